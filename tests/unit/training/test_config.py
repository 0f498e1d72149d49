"""Settings out of range."""

import math
from pathlib import Path

import pytest

from rtdetr_explained.errors import InputError
from rtdetr_explained.training.config import TrainConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": -1},
        {"steps": 5},
        {"batch": 0},
        {"images": 3, "batch": 4},
        {"side": 100},
        {"lr": 0.0},
        {"weight_decay": -1.0},
        {"backbone_lr_factor": -0.1},
        {"backbone_lr_factor": math.nan},
        {"flat_fraction": 1.5},
    ],
)
def test_unusable_settings_are_refused(wrong: dict):
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainConfig(out=Path("run"), **{"images": 100, **wrong})
