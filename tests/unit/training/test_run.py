"""How a run starts."""

from dataclasses import replace
from pathlib import Path

import pytest

from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.run import settled


@pytest.mark.parametrize(
    ("best", "amp", "settled_amp", "remark"),
    [
        ("cuda", "fp16", "fp16", []),
        ("cpu", "fp16", "off", ["There is no CUDA device: the run is on cpu, and amp is off instead of fp16."]),
        ("mps", "fp16", "off", ["There is no CUDA device: the run is on mps, and amp is off instead of fp16."]),
        ("mps", "bf16", "bf16", []),
    ],
)
def test_auto_is_the_best_device_and_fp16_is_for_gpus_that_scale(
    monkeypatch: pytest.MonkeyPatch, best: str, amp: str, settled_amp: str, remark: list[str]
):
    monkeypatch.setattr("rtdetr_explained.training.run.best_device", lambda: best)
    config = TrainConfig(out=Path("run"), steps=1, device="auto", amp=amp)
    assert settled(config) == (replace(config, device=best, amp=settled_amp), remark)
    asked = replace(config, device="cpu")
    assert settled(asked) == (asked, [])
