from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.class_names import COCO_CLASSES
from rtdetr_explained.model.config import CONFIGS, ModelConfig
from rtdetr_explained.model.query_selection import make_anchors
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights import keys
from rtdetr_explained.weights.recognise import Layout, image_size_of_anchors, points_per_level, recognise
from rtdetr_explained.weights.saving import to_transformers

NARROW = replace(CONFIGS["rtdetrv2_r18vd"], name="custom", width=8)  # a structure that no variant has


def tensors_of(config: ModelConfig) -> dict[str, Tensor]:
    """Every tensor of a model without its memory, apart from the few whose values matter."""
    with torch.device("meta"):
        state = RTDETR(config).state_dict()
    scale = torch.tensor([1 / p for p in config.num_points for _ in range(p)])
    return {n: scale if n.endswith("num_points_scale") else t for n, t in state.items()}


@pytest.mark.parametrize(
    ("layout", "config"),
    [
        pytest.param(layout, config, id=f"{name}-{layout}")
        for name, config in CONFIGS.items()
        for layout in ("rtdetr-explained", "official", "transformers")
        if config.backbone == "resnet_vd" or layout == "rtdetr-explained"  # no other layout has the other backbone
    ],
)
def test_every_variant_is_recognised_from_its_tensors(layout: Layout, config: ModelConfig) -> None:
    state = tensors_of(config)
    if layout == "transformers":
        state, _ = keys.to_ours(to_transformers(state), keys.TRANSFORMERS)
    assert recognise(state, layout) == config


@pytest.mark.parametrize("num_points", [(1, 1, 1), (3, 3, 3), (4, 4, 4), (2, 6, 4), (7, 1, 1)])
def test_points_per_level_are_read_from_the_scale(num_points: tuple[int, ...]) -> None:
    scale = torch.tensor([1 / p for p in num_points for _ in range(p)])
    assert points_per_level(scale) == num_points
    assert points_per_level(scale.half()) == num_points


@pytest.mark.parametrize("values", [[], [0.25] * 11, [0.25] * 8, [0.0] * 12, [2.0] * 3, [0.5, 0.25, 0.5, 0.5, 1.0]])
def test_a_scale_that_makes_no_sense_is_refused(values: list[float]) -> None:
    with pytest.raises(InputError, match="num_points_scale"):
        points_per_level(torch.tensor(values))


def test_classes_without_names_are_numbered() -> None:
    r18 = CONFIGS["rtdetrv2_r18vd"]
    few = recognise(tensors_of(replace(r18, class_names=("a", "b", "c"))), "official")
    assert few.class_names == ("class 0", "class 1", "class 2")
    assert few.name == "rtdetrv2_r18vd"
    assert recognise(tensors_of(replace(NARROW, class_names=COCO_CLASSES)), "official").class_names == COCO_CLASSES


def test_a_head_with_one_score_for_many_classes_is_agnostic() -> None:
    agnostic = replace(CONFIGS["rtdetrv2_r18vd"], query_select_method="agnostic")
    assert recognise(tensors_of(agnostic), "rtdetr-explained") == agnostic
    one_class = recognise(tensors_of(replace(NARROW, class_names=("ship",))), "rtdetr-explained")
    assert one_class.query_select_method == "default"


def test_an_efficientnet_is_recognised_with_its_norms_and_folded() -> None:
    folded = CONFIGS["nano-photo"]
    thawed = replace(folded, freeze_norm=False, freeze_at=-1)
    assert recognise(tensors_of(thawed), "rtdetr-explained") == thawed
    other = replace(folded, name="custom", hidden_dim=64, num_queries=300, image_size=(640, 640), num_denoising=100)
    found = recognise(tensors_of(other), "rtdetr-explained")
    assert (found.backbone, found.freeze_norm, found.hidden_dim) == ("efficientnet_lite0", True, 64)


def test_frozen_norms_are_recognised_where_they_are_not_those_of_the_variant() -> None:
    thawed = replace(CONFIGS["rtdetrv2_r50vd"], freeze_norm=False, freeze_at=-1)
    assert recognise(tensors_of(thawed), "official") == thawed
    assert recognise(tensors_of(thawed), "transformers") == thawed
    frozen = replace(CONFIGS["rtdetrv2_r18vd"], freeze_norm=True, freeze_at=0)
    assert recognise(tensors_of(frozen), "official") == frozen
    # transformers freezes the norms of every backbone, which says nothing about how the model was made
    assert recognise(tensors_of(frozen), "transformers") == CONFIGS["rtdetrv2_r18vd"]
    stripped = {n: t for n, t in tensors_of(thawed).items() if not n.endswith("num_batches_tracked")}
    assert recognise(stripped, "official") == CONFIGS["rtdetrv2_r50vd"]


@pytest.mark.parametrize("size", [(640, 640), (480, 640), (1280, 736), (256, 256), (64, 96), (1984, 1600)])
def test_the_input_size_is_read_from_the_anchors(size: tuple[int, int]) -> None:
    anchors, _ = make_anchors([(size[0] // stride, size[1] // stride) for stride in (8, 16, 32)])
    assert image_size_of_anchors(anchors) == size


def test_anchors_that_make_no_sense_tell_no_size() -> None:
    for anchors in (torch.zeros(1, 8400, 4), torch.full((1, 8400, 4), torch.inf), torch.zeros(3), torch.zeros(1, 1, 4)):
        assert image_size_of_anchors(anchors) is None
