"""Class names that strangers could choose, and a model that has them."""

from dataclasses import replace
from pathlib import Path

from random_models import TINY, random_model

from rtdetr_explained.weights.saving import save_weights

NAMES = (
    "$_$",
    r"$\frac{1}{$",
    "<b>bold</b><script>x</script>&amp;",
    ":red[x] **y** `z` [l](javascript:1) :material/delete:",
    "half \ud800 pair",
    "nul\x00esc\x1b[31m",
    "=1+1",
    "user\u202egnp",
    "two\nlines",
    "人 犬",
    "x" * 300,
    "",
)


def save_hostile_model(path: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Random weights of a small model whose classes have these names."""
    config = replace(TINY, class_names=names)
    save_weights(path, random_model(config).state_dict(), config)
    return path
