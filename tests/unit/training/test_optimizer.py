import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.optimizer import (
    largest_gradient,
    learning_rate_factor,
    parameter_groups,
    set_learning_rate,
)
from rtdetr_explained.training.recipe import read_recipe


def names_by_group(model: nn.Module, groups: list[dict]) -> list[set[str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [{names[id(parameter)] for parameter in group["params"]} for group in groups]


def test_norms_and_biases_do_not_decay_and_everything_is_in_one_group():
    model = RTDETR(CONFIGS["nano"])
    groups = parameter_groups(model, 4e-4, 1e-4, backbone_lr_factor=1.0, decay_biases=False)
    names = names_by_group(model, groups)
    assert sum(map(len, names)) == len(set.union(*names)) == len(list(model.parameters()))
    decaying = set.union(*(n for n, g in zip(names, groups, strict=True) if g["weight_decay"] == 1e-4))
    free = set.union(*(n for n, g in zip(names, groups, strict=True) if g["weight_decay"] == 0))
    assert decaying == {name for name, parameter in model.named_parameters() if parameter.ndim > 1}
    assert free == {name for name, parameter in model.named_parameters() if parameter.ndim == 1}


def tensors(groups: list[dict], backbone_lr: float, lr: float) -> dict[tuple[str, bool], int]:
    part = {backbone_lr: "backbone", lr: "rest"}
    return {(part[group["lr"]], group["weight_decay"] > 0): len(group["params"]) for group in groups}


@pytest.mark.parametrize(
    ("name", "backbone", "rest"),
    [  # tensors that decay and that do not, as counted in the reference
        ("r18", None, (164, 162)),
        ("r34", (39, 78), (106, 181)),
        ("r50_m", (52, 0), (213, 134)),
        ("r50", (52, 0), (209, 126)),
        ("r101", (103, 0), (209, 126)),
    ],
)
def test_the_groups_of_the_published_recipes(name: str, backbone: tuple[int, int] | None, rest: tuple[int, int]):
    recipe = TrainConfig(out=Path("run"), **read_recipe(name))
    with torch.device("meta"):
        model = RTDETR(CONFIGS[recipe.model])
    groups = parameter_groups(model, recipe.lr, 1e-4, recipe.backbone_lr_factor, recipe.decay_biases)
    found = tensors(groups, recipe.lr * recipe.backbone_lr_factor, recipe.lr) if backbone else {}
    # Here query, key and value of a self-attention are three layers, there they are one.
    layers = len(model.decoder.layers) + 1
    more = (4 * layers, 0) if recipe.decay_biases else (2 * layers, 2 * layers)
    counted = [sum(len(g["params"]) for g in groups if (g["weight_decay"] > 0) == decays) for decays in (True, False)]
    assert counted == [b + r + m for b, r, m in zip(backbone or (0, 0), rest, more, strict=True)]
    for decays, count in zip((True, False), backbone or (), strict=False):
        assert found.get(("backbone", decays), 0) == count


def test_the_schedule_rises_stays_and_falls():
    factors = [learning_rate_factor(step, total=1000, warmup=100, flat_fraction=0.5) for step in range(1000)]
    assert factors[:100] == pytest.approx([(step + 1) / 100 for step in range(100)])
    assert set(factors[99:501]) == {1.0}
    assert all(a > b for a, b in itertools.pairwise(factors[500:]))
    assert factors[750] == pytest.approx(0.01 + 0.99 / 2)
    assert factors[-1] == pytest.approx(0.01, abs=1e-4)


def test_the_schedule_of_the_published_recipes_never_falls():
    assert learning_rate_factor(0, 10_000, 2000, 1.0) == pytest.approx(1 / 2000)
    assert learning_rate_factor(9_999, 10_000, 2000, 1.0) == 1.0
    assert learning_rate_factor(0, 10, warmup=0, flat_fraction=1.0) == 1.0


def test_set_learning_rate_keeps_the_ratio_of_the_groups():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW(
        [{"params": [a], "lr": 1e-3, "initial_lr": 1e-3}, {"params": [b], "lr": 1e-4, "initial_lr": 1e-4}]
    )
    for factor in (0.5, 0.25):
        set_learning_rate(optimizer, factor)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1e-3 * factor, 1e-4 * factor])


def test_largest_gradient_names_the_parameter_and_prefers_nan():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert largest_gradient(model) == ("none", 0.0)
    model[0].weight.grad = torch.tensor([[0.0, -3.0], [1.0, 2.0]])
    model[1].bias.grad = torch.tensor([0.5, 2.5])
    assert largest_gradient(model) == ("0.weight", 3.0)
    model[1].bias.grad[0] = math.nan
    name, size = largest_gradient(model)
    assert name == "1.bias"
    assert math.isnan(size)
