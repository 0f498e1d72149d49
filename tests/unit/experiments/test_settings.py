"""The two arms of the experiment: what each is called, and what it does."""

from pathlib import Path

import pytest

from rtdetr_explained.experiments.result import ARMS, name_of
from rtdetr_explained.experiments.settings import Settings


@pytest.mark.parametrize(("arm", "denoising"), [("with_denoising", True), ("without_denoising", False)])
def test_an_arm_does_what_its_name_says(tmp_path: Path, arm: str, denoising: bool):
    config = Settings(tmp_path).arm(arm)
    assert config.denoising is denoising
    assert config.out == tmp_path / arm
    assert name_of(arm) == ("with denoising" if denoising else "without denoising")
    assert arm in ARMS


def test_epochs_are_equal_parts_of_the_images(tmp_path: Path):
    settings = Settings(tmp_path, images=12_800, epochs=16)
    ends = [settings.epoch_end(epoch) for epoch in range(17)]
    assert ends == [800 * epoch for epoch in range(17)]
