"""One step of training: what reaches the network, what noise is drawn, and how far the gradients may push."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import TINY
from torch import Tensor

from rtdetr_explained.data.augment import multi_scale_sides
from rtdetr_explained.data.shapes import SHAPE_CLASSES
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.data import Batch, ShapesDataset, batches
from rtdetr_explained.training.distributed import Processes
from rtdetr_explained.training.run import Run, TrainingStopped, start_run
from rtdetr_explained.training.step import rescaled, summed, train_step


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    return TrainConfig(out=tmp_path / "run", model="tiny", images=400, batch=4, warmup=0, threads=1, workers=0)


@pytest.fixture
def run(config: TrainConfig) -> Run:
    return start_run(config, SHAPE_CLASSES)


@pytest.fixture
def batch() -> Batch:
    (batch,) = batches(ShapesDataset((64, 64)), 0, 4, 4, workers=0)
    return batch


class Reached(Exception):
    """Raised in place of the rest of a step."""


def watch(module: torch.nn.Module, say: Callable[[Tensor], object]) -> None:
    """Hand on the first argument of a module, and end the step there."""

    def hook(module: torch.nn.Module, inputs: tuple) -> None:
        say(inputs[0])
        raise Reached

    module.register_forward_pre_hook(hook)


def gradient_norm(run: Run) -> float:
    """The norm of all gradients together, as the optimiser was given them."""
    squares = [float((p.grad.double() ** 2).sum()) for p in run.model.parameters() if p.grad is not None]
    return sum(squares) ** 0.5


def test_gradients_are_clipped_as_a_whole_and_the_norm_before_is_logged(config: TrainConfig, run: Run, batch: Batch):
    free, tight = replace(config, clip=1e9), replace(config, clip=0.25)
    norm = train_step(run, batch, free, total_steps=100)["grad_norm"]
    assert gradient_norm(run) == pytest.approx(norm, rel=1e-4)
    assert norm > 1
    other = start_run(config, SHAPE_CLASSES)
    assert train_step(other, batch, tight, total_steps=100)["grad_norm"] == pytest.approx(norm, rel=1e-4)
    assert gradient_norm(other) == pytest.approx(0.25, rel=1e-3)


def test_white_is_one_and_black_is_zero(config: TrainConfig, run: Run, batch: Batch):
    seen: list[Tensor] = []
    watch(run.network, seen.append)
    batch.images[:] = torch.arange(4, dtype=torch.uint8)[:, None, None, None] * 85  # 0, 85, 170, 255
    with pytest.raises(Reached):
        train_step(run, batch, config, total_steps=100)
    torch.testing.assert_close(seen[0][:, 0, 0, 0], torch.tensor([0, 1 / 3, 2 / 3, 1]))
    assert seen[0].shape == (4, 3, 64, 64)


def test_multi_scale_draws_another_size_from_step_to_step(config: TrainConfig, run: Run):
    (batch,) = batches(ShapesDataset((256, 256)), 0, 1, 1, workers=0)
    sides: list[int] = []
    watch(run.network, lambda images: sides.append(images.shape[2]))
    for step in range(60):
        run.step = step
        with pytest.raises(Reached):
            train_step(run, batch, config, total_steps=100, multi_scale=True)
    assert set(sides) == set(multi_scale_sides(256)) == {192, 224, 256, 288, 320}
    assert sides[:30] != sides[30:]
    run.step = 7
    with pytest.raises(Reached):
        train_step(run, batch, config, total_steps=100, multi_scale=True)
    assert sides[-1] == sides[7]  # a resumed run repeats it
    del sides[:]
    for step in range(10):
        run.step = step
        with pytest.raises(Reached):
            train_step(run, batch, config, total_steps=100)
    assert set(sides) == {256}


def test_each_process_and_each_step_draws_noise_of_its_own(config: TrainConfig, run: Run, batch: Batch):
    drawn: list[np.ndarray] = []
    watch(run.model.denoising.noised_boxes, lambda boxes: drawn.append(boxes.numpy()))
    for step, rank in ((3, 0), (3, 1), (4, 0), (3, 0)):
        run.step = step
        with pytest.raises(Reached):
            train_step(run, batch, config, 100, processes=Processes(rank, 2))
    first, other_process, other_step, again = drawn
    np.testing.assert_array_equal(first, again)
    real = first.any(axis=-1)  # the others are padding
    assert real.any()
    for other in (other_process, other_step):
        assert not np.isclose(first, other)[real].all(axis=-1).any()
    run.seed += 1
    with pytest.raises(Reached):
        train_step(run, batch, config, 100, processes=Processes(0, 2))
    assert not np.isclose(first, drawn[-1])[real].all(axis=-1).any()


def test_without_denoising_no_noise_is_drawn(config: TrainConfig, run: Run, batch: Batch):
    watch(run.model.denoising.noised_boxes, lambda boxes: None)
    assert train_step(run, batch, replace(config, denoising=False), 100)["dn"] == 0
    with pytest.raises(Reached):
        train_step(run, batch, config, 100)


def test_a_step_counts_and_moves_weights_and_average(config: TrainConfig, run: Run, batch: Batch):
    name = "decoder.score_heads.0.weight"
    before, average = run.model.state_dict()[name].clone(), run.ema.module.state_dict()[name].clone()
    row = train_step(run, batch, config, total_steps=100)
    assert (run.step, run.images, run.ema.updates) == (1, 4, 1)
    assert row["lr"] == config.lr
    assert not torch.equal(run.model.state_dict()[name], before)
    moved = run.ema.module.state_dict()[name] - average
    share = 1 - config.ema_decay * (1 - np.exp(-1 / config.ema_warmup))
    torch.testing.assert_close(moved, share * (run.model.state_dict()[name] - before), rtol=1e-3, atol=1e-7)


def test_a_batch_is_rescaled_by_the_nearest_pixel_and_alike_for_the_same_step():
    images = torch.arange(64.0).repeat(1, 3, 64, 1)
    wide = torch.zeros(1, 3, 128, 192)
    shapes = {tuple(rescaled(wide, 0, step).shape[2:]) for step in range(40)}
    assert shapes == {(96, 128), (128, 192), (160, 256)}
    for step in range(10):
        made = rescaled(images, 0, step)
        assert torch.equal(made, rescaled(images, 0, step))
        assert set(made.unique().tolist()) <= set(range(64))


@pytest.mark.parametrize("writable", [True, False])
def test_a_long_list_of_images_goes_to_a_file(config: TrainConfig, writable: bool):
    config = replace(config, batch=12, images=12)
    run = start_run(config, SHAPE_CLASSES)
    (batch,) = batches(ShapesDataset((64, 64)), 0, 12, 12, workers=0)
    with torch.no_grad():
        run.model.get_parameter("decoder.score_heads.0.bias")[0] = math.nan
    if writable:
        config.out.mkdir()
    with pytest.raises(TrainingStopped) as stopped:
        train_step(run, batch, config, total_steps=10)
    named = [name for name in batch.names if name in str(stopped.value)]
    if writable:
        assert named == batch.names[:8]
        assert f"and 4 more (all in {config.out / 'stopped.txt'}): " in str(stopped.value)
        assert (config.out / "stopped.txt").read_text().splitlines() == batch.names
    else:
        assert named == batch.names


def test_losses_are_summed_by_kind_and_by_part():
    terms = {
        "loss_vfl": 1.0,
        "loss_bbox_aux_0": 2.0,
        "loss_bbox_aux_1": 4.0,
        "loss_giou_enc_0": 8.0,
        "loss_vfl_dn_1": 16.0,
    }
    sums = summed({name: torch.tensor(value) for name, value in terms.items()})
    assert sums == {"vfl": 17, "bbox": 6, "giou": 8, "last": 1, "aux": 6, "enc": 8, "dn": 16}
