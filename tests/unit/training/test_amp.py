"""Training in half precision: what stays float32, and how scaled losses recover from gradients that overflow."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_model import TINY
from torch import Tensor

from rtdetr_explained import cli
from rtdetr_explained.data.shapes import SHAPE_CLASSES
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.training import step
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.data import Batch, ShapesDataset, batches
from rtdetr_explained.training.run import Run, TrainingStopped, restore, snapshot, start_run
from rtdetr_explained.training.step import train_step

WEIGHT = "decoder.bbox_heads.0.layers.0.weight"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    return TrainConfig(out=tmp_path, model="tiny", images=80, batch=4, warmup=2, threads=1, workers=0, amp="fp16")


@pytest.fixture
def batch() -> Batch:
    (batch,) = batches(ShapesDataset((64, 64)), 0, 4, 4, workers=0)
    return batch


def overflow(run: Run) -> torch.utils.hooks.RemovableHandle:
    """Make one gradient infinite from now on."""
    return run.model.get_parameter(WEIGHT).register_hook(lambda gradient: gradient * math.inf)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_the_network_runs_in_half_precision_and_losses_and_weights_in_float32(
    config: TrainConfig, batch: Batch, monkeypatch: pytest.MonkeyPatch, amp: str
):
    criterion, half = step.criterion, set()
    seen: set[torch.dtype] = set()

    def watching(outputs: dict, targets: list) -> dict[str, Tensor]:
        terms = criterion(outputs, targets)
        seen.update(term.dtype for term in terms.values())
        return terms

    monkeypatch.setattr(step, "criterion", watching)
    run = start_run(replace(config, amp=amp), SHAPE_CLASSES)
    linear = run.model.get_submodule("decoder.layers.0.linear1")
    linear.register_forward_hook(lambda module, inputs, output: half.add(output.dtype))
    row = train_step(run, batch, replace(config, amp=amp), total_steps=20)
    assert half == {step.HALF[amp]}
    assert seen == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in run.model.parameters())
    exact = start_run(replace(config, amp="off"), SHAPE_CLASSES)
    assert row["loss"] == pytest.approx(train_step(exact, batch, replace(config, amp="off"), 20)["loss"], rel=0.15)


def test_gradients_are_clipped_after_their_scale_is_gone(config: TrainConfig, batch: Batch):
    """With the scale left in, every norm would be thousands of times too large."""
    scaled, exact = start_run(config, SHAPE_CLASSES), start_run(replace(config, amp="off"), SHAPE_CLASSES)
    norm = math.inf
    while math.isinf(norm):  # the first scales are meant to be too large
        norm = train_step(scaled, batch, config, 20)["grad_norm"]
    assert scaled.scaler.get_scale() > 100
    exact.step = scaled.step - 1  # for the same noise
    assert norm == pytest.approx(train_step(exact, batch, replace(config, amp="off"), 20)["grad_norm"], rel=0.5)


def test_a_step_that_overflows_is_left_out_and_counted(config: TrainConfig, batch: Batch):
    run = start_run(config, SHAPE_CLASSES)
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    scale = 256.0  # with the first one, 65536, real gradients overflow or not as the processor rounds
    run.scaler.load_state_dict(run.scaler.state_dict() | {"scale": scale})
    hook = overflow(run)
    assert train_step(run, batch, config, 20)["grad_norm"] == math.inf
    hook.remove()
    assert (run.step, run.skipped, run.scaler.get_scale()) == (1, 1, scale / 2)
    assert all(torch.equal(value, before[name]) for name, value in run.model.named_parameters())
    assert math.isfinite(train_step(run, batch, config, 20)["grad_norm"])
    assert (run.step, run.skipped) == (2, 1)
    assert not torch.equal(run.model.get_parameter(WEIGHT), before[WEIGHT])


def test_gradients_that_overflow_without_any_scale_stop_the_run(config: TrainConfig, batch: Batch):
    run = start_run(config, SHAPE_CLASSES)
    overflow(run)
    for _ in range(16):  # halvings from 65536 to 1
        train_step(run, batch, config, 100)
    assert (run.skipped, run.scaler.get_scale()) == (16, 1)
    with pytest.raises(TrainingStopped, match=f"gradient is not finite.*first in {WEIGHT}"):
        train_step(run, batch, config, 100)


def test_a_checkpoint_keeps_the_scale_and_what_was_left_out(config: TrainConfig, batch: Batch):
    run = start_run(config, SHAPE_CLASSES)
    hook = overflow(run)
    train_step(run, batch, config, 20)
    hook.remove()
    saved = snapshot(run, config)
    resumed = start_run(replace(config, resume=True), SHAPE_CLASSES)
    restore(resumed, saved, config)
    assert (resumed.skipped, resumed.scaler.get_scale()) == (1, run.scaler.get_scale())
    assert train_step(resumed, batch, config, 20) == train_step(run, batch, config, 20)
    exact = start_run(replace(config, amp="off", resume=True), SHAPE_CLASSES)
    restore(exact, saved, config)  # the rest may run in another precision
    assert exact.scaler.get_scale() == 1
    restore(start_run(config, SHAPE_CLASSES), snapshot(exact, config), config)


def test_the_command_tells_how_many_steps_were_left_out(config: TrainConfig, monkeypatch, capsys):
    def spoiled(run: Run, *arguments) -> dict[str, float]:
        hook = overflow(run)
        row = train_step(run, *arguments)
        hook.remove()
        return row

    monkeypatch.setattr("rtdetr_explained.training.loop.train_step", spoiled)
    common = ["--images", "8", "--batch", "4", "--threads", "1", "--workers", "0", "--evaluate-images", "1"]
    out = ["--out", str(config.out / "run")]
    assert cli.main(["train", "--model", "tiny", "--amp", "fp16", *common, *out]) == 0
    assert "2 steps were left out" in capsys.readouterr().err


@pytest.mark.parametrize(("wrong", "message"), [({"amp": "half"}, "off, bf16, fp16"), ({"device": "mps"}, "use bf16")])
def test_precisions_that_do_not_exist_are_refused(config: TrainConfig, wrong: dict, message: str):
    with pytest.raises(InputError, match=message):
        replace(config, **wrong)
