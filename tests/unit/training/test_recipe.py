"""Recipes: the published values, and files that cannot be used."""

from pathlib import Path

import pytest

from rtdetr_explained.errors import InputError
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.recipe import read_recipe, recipe_names
from rtdetr_explained.training.run import model_config
from rtdetr_explained.weights.zoo import ZOO


def test_every_published_model_has_a_recipe_with_the_published_values():
    """Of the table in the configuration files: epochs, epochs without augmentation, backbone's rate, multi-scale."""
    published = {
        "r18": (120, 3, 1e-4, False, True),
        "r34": (120, 3, 5e-5, True, False),
        "r50_m": (84, 3, 1e-5, True, True),
        "r50": (72, 1, 1e-5, True, True),
        "r101": (72, 1, 1e-6, True, True),
    }
    tuned = {"r18_dsp": (36, 3), "r34_dsp": (12, 2), "r50_m_dsp": (36, 3), "r50_dsp": (12, 2)}
    fewer_points = {f"r18_sp{points}": points for points in (1, 2, 3)}
    assert set(recipe_names()) == {*published, *tuned, *fewer_points, "nano", "nano-photo"}
    assert {read_recipe(name)["model"] for name in recipe_names()} == set(ZOO)
    for name, length in tuned.items():
        base, recipe = read_recipe(name.removesuffix("_dsp")), read_recipe(name)
        assert (recipe["epochs"], recipe["weak_epochs"]) == length
        assert (recipe["model"], recipe["weights"]) == (f"{base['model']}_dsp", base["model"])
        lengths = {"model", "epochs", "weak_epochs", "weights"}
        assert {k: v for k, v in recipe.items() if k not in lengths} == {k: base[k] for k in base if k not in lengths}
        assert model_config(TrainConfig(out=Path("run"), **recipe)).cross_attn_method == "discrete"
    for name, points in fewer_points.items():
        recipe = read_recipe(name)
        assert recipe == read_recipe("r18") | {"model": f"rtdetrv2_{name.replace('r18', 'r18vd')}"}
        assert model_config(TrainConfig(out=Path("run"), **recipe)).num_points == (points, points, points)
    for name, values in published.items():
        c = TrainConfig(out=Path("run"), **read_recipe(name))
        assert c.lr * c.backbone_lr_factor == pytest.approx(values[2])
        assert (c.epochs, c.weak_epochs, c.multi_scale, c.decay_biases) == (*values[:2], *values[3:])
        assert (c.batch, c.lr, c.weight_decay, c.warmup, c.clip) == (16, 1e-4, 1e-4, 2000, 0.1)
        assert (c.ema_decay, c.ema_warmup, c.flat_fraction) == (0.9999, 2000, 1.0)
        assert (c.amp, c.device, c.workers) == ("fp16", "auto", 4)  # --use-amp, and num_workers of dataloader.yml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = ", "not valid TOML"),
        ("learning_rate = 1", "did you mean"),
        ('lr = "high"', "give a number"),
        ("batch = 1.5", "give a whole number"),
        ("resume = 1", "give true or false"),
        ("model = 18", "give a text in quotes"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str | None, message: str):
    file = tmp_path / "mine.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_recipe(str(file))


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path):
    (tmp_path / "mine.toml").write_text('model = "rtdetrv2_r18vd"\n', encoding="utf-8-sig")
    assert read_recipe(str(tmp_path / "mine.toml")) == {"model": "rtdetrv2_r18vd"}
