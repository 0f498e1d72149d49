import csv
import errno
import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_model import TINY
from torch import Tensor

from rtdetr_explained.data.shapes import SHAPE_CLASSES
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS, ModelConfig
from rtdetr_explained.training import loop, plot, step
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.data import ShapesDataset, batches
from rtdetr_explained.training.loop import train
from rtdetr_explained.training.run import Run, TrainingStopped, start_run
from rtdetr_explained.training.step import train_step
from rtdetr_explained.weights.files import load_weights


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    return TrainConfig(
        out=tmp_path / "run", model="tiny", images=16, batch=4, warmup=2, threads=1, workers=0, evaluate_images=4
    )


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def without_time(log: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in log]


def interrupt_at(step: int, how: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something just before a training step begins."""

    def interrupted(run: Run, *arguments: object) -> dict[str, float]:
        if run.step == step:
            how()
        return train_step(run, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "train_step", interrupted)


def test_a_run_writes_its_numbers_and_a_checkpoint(config: TrainConfig):
    run = train(replace(config, evaluate_every=8))
    log, evaluations = rows(config.out / "log.csv"), rows(config.out / "evaluation.csv")
    assert [(row["step"], row["images"]) for row in log] == [(str(i), str(4 * i)) for i in range(1, 5)]
    assert [row["images"] for row in evaluations] == ["8", "16"]
    for row in log:
        loss = float(row["loss"])
        assert sum(float(row[kind]) for kind in step.KINDS) == pytest.approx(loss, rel=1e-4)
        assert sum(float(row[part]) for part in step.PARTS) == pytest.approx(loss, rel=1e-4)
    assert float(log[0]["lr"]) == pytest.approx(config.lr / 2)
    assert all(0 <= float(row["AP50"]) <= 1 for row in evaluations)
    state = loop.load_checkpoint(config.out / "checkpoint.pt")
    assert (state["step"], state["images"]) == (4, 16)
    assert torch.equal(
        state["model"]["decoder.layers.0.linear1.weight"], run.model.get_parameter("decoder.layers.0.linear1.weight")
    )
    assert state["ema"]["updates"] == 4


def test_a_finished_run_leaves_weights_that_load(config: TrainConfig):
    run = train(config)
    read_config, state, _ = load_weights(config.out / "run.safetensors")
    assert read_config == run.model.config
    for name, value in run.ema.module.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=2e-3, atol=1e-4, check_dtype=False)


@pytest.mark.parametrize(
    ("folder", "name", "file"),
    [
        ("birds", "", "birds.safetensors"),
        ("v1.2", "", "v1.2.safetensors"),
        ("birds", "owls", "owls.safetensors"),
        ("nano", "", "nano-trained.safetensors"),  # `nano` is the model that comes with the package
        ("rtdetrv2_r18vd", "", "rtdetrv2_r18vd-trained.safetensors"),
    ],
)
def test_the_weights_are_named_after_the_run(config: TrainConfig, folder: str, name: str, file: str):
    config = replace(config, out=config.out / folder, name=name, model="nano")
    assert loop.weights_path(config) == config.out / file


def test_a_run_in_the_working_directory_has_its_name(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    config.out.mkdir()
    monkeypatch.chdir(config.out)
    assert loop.weights_path(replace(config, out=Path("."))).name == "run.safetensors"


@pytest.mark.parametrize(("name", "message"), [("nano", "a model that there is already"), ("a/b", "without folder")])
def test_a_name_that_means_something_else_is_refused(config: TrainConfig, name: str, message: str):
    with pytest.raises(InputError, match=message):
        train(replace(config, name=name))
    assert not (config.out / "checkpoint.pt").exists()


def test_two_runs_in_one_folder_at_once_are_refused(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    def second() -> None:
        for resume in (False, True):
            with pytest.raises(InputError, match=f"Another run is writing to {config.out} at this moment"):
                train(replace(config, resume=resume))
        told.append(True)

    told: list[bool] = []
    interrupt_at(2, second, monkeypatch)
    assert train(config).step == 4
    assert told
    assert [row["step"] for row in rows(config.out / "log.csv")] == ["1", "2", "3", "4"]


def test_a_finished_run_leaves_whole_files_only(config: TrainConfig):
    config.out.mkdir()
    nobody = 2**22 + 1  # the number of no process
    for name in (
        "checkpoint.pt.part",
        *(f".{file}.{nobody}.1.part" for file in ("log.csv", "summary.svg", "run.safetensors")),
    ):
        (config.out / name).write_text("left by a run that was killed")
    train(config)
    names = {path.name for path in config.out.iterdir()} - {".lock"}
    assert names == {"checkpoint.pt", "log.csv", "evaluation.csv", "summary.svg", "summary.png", "run.safetensors"}


def test_a_picture_of_the_run_is_whole_or_the_one_before(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    train(config)
    before = (config.out / "summary.svg").read_bytes()

    def half(path: Path, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        plot.save_summary(config.out)
    assert (config.out / "summary.svg").read_bytes() == before
    assert not list(config.out.glob("*.part"))


def test_a_checkpoint_tells_what_its_weights_are(config: TrainConfig):
    run = train(replace(config, side=96))
    state = torch.load(config.out / "checkpoint.pt", weights_only=True)
    assert tuple(state["model_config"]["class_names"]) == SHAPE_CLASSES
    assert tuple(state["model_config"]["image_size"]) == (96, 96)
    assert ModelConfig(**state["model_config"]) == run.model.config
    assert state["ema"]["module"].keys() == run.ema.module.state_dict().keys()


def test_training_on_the_same_scenes_reduces_the_loss(config: TrainConfig):
    run = start_run(replace(config, lr=2e-3), SHAPE_CLASSES)
    (batch,) = batches(ShapesDataset((64, 64)), 0, 4, 4, workers=0)
    losses = [train_step(run, batch, replace(config, lr=2e-3), total_steps=1000)["loss"] for _ in range(30)]
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
):
    whole = train(replace(config, out=config.out / "whole"))
    with monkeypatch.context() as patch:
        interrupt_at(1, lambda: signal.raise_signal(number), patch)
        assert train(config).step == 2
    resumed = train(replace(config, resume=True, seed=123))
    assert without_time(rows(config.out / "log.csv")) == without_time(rows(config.out / "whole" / "log.csv"))
    assert without_time(rows(config.out / "evaluation.csv")) == without_time(
        rows(config.out / "whole" / "evaluation.csv")
    )
    for a, b in ((whole.model, resumed.model), (whole.ema.module, resumed.ema.module)):
        for name, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[name]), name
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_steps_after_the_last_checkpoint_are_repeated_not_logged_twice(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    def crash() -> None:
        raise KeyError("power cut")

    whole = train(replace(config, out=config.out / "whole"))
    with monkeypatch.context() as patch:
        interrupt_at(3, crash, patch)
        with pytest.raises(KeyError):
            train(config)  # its only checkpoint is that of the start
    assert len(rows(config.out / "log.csv")) == 3
    resumed = train(replace(config, resume=True))
    assert without_time(rows(config.out / "log.csv")) == without_time(rows(config.out / "whole" / "log.csv"))
    assert resumed.step == whole.step


def test_a_resumed_run_may_be_longer_and_at_another_size(config: TrainConfig):
    train(config)
    with pytest.raises(InputError, match="make it longer"):
        train(replace(config, resume=True))
    run = train(replace(config, resume=True, images=28, side=96, lr=1e-3))
    assert (run.step, run.images) == (7, 28)
    log = rows(config.out / "log.csv")
    assert len(log) == 7
    assert float(log[4]["lr"]) > float(log[3]["lr"])  # the schedule is that of the longer run


def test_an_existing_run_is_neither_overwritten_nor_mixed_up(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    train(replace(config, images=4))
    with pytest.raises(InputError, match="add --resume"):
        train(config)
    monkeypatch.setitem(CONFIGS, "other", replace(TINY, name="other", num_layers=1))
    with pytest.raises(InputError, match="another model"):
        train(replace(config, model="other", resume=True))
    with pytest.raises(InputError, match="no model 'mini'"):
        train(replace(config, model="mini", out=config.out / "new"))


@pytest.mark.parametrize("wrong", [{"side": 32}, {"side": 64, "multi_scale": True}])
def test_an_input_with_too_few_tokens_for_the_queries_is_refused(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, wrong: dict
):
    monkeypatch.setitem(CONFIGS, "greedy", replace(TINY, name="greedy", num_queries=40))
    with pytest.raises(InputError, match="greedy chooses 40 queries, but an input of 32 pixels has only 21 tokens"):
        train(replace(config, model="greedy", **wrong))


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(config: TrainConfig, device: str):
    with pytest.raises(InputError, match=f"device '{device}' cannot be used"):
        train(replace(config, device=device))


def test_a_nan_stops_the_run_and_leaves_the_last_good_checkpoint(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    criterion = step.criterion

    def poisoned(outputs: dict, targets: list) -> dict[str, Tensor]:
        terms = criterion(outputs, targets)
        return {**terms, "loss_giou": terms["loss_giou"] * math.nan} if poison else terms

    poison: list[bool] = []
    monkeypatch.setattr(step, "criterion", poisoned)
    interrupt_at(3, lambda: poison.append(True), monkeypatch)
    with pytest.raises(TrainingStopped) as stopped:
        train(replace(config, checkpoint_minutes=1e-9))
    message = str(stopped.value)
    assert "step 4" in message
    assert "scene 1000012, scene 1000013, scene 1000014, scene 1000015" in message
    assert "loss_giou" in message
    assert "Largest gradient of the step before, after clipping: " in message
    state = loop.load_checkpoint(config.out / "checkpoint.pt")
    assert state["step"] == 3
    assert all(value.isfinite().all() for value in state["model"].values())


def test_nan_weights_and_infinite_gradients_stop_the_run_too(config: TrainConfig):
    run = start_run(config, SHAPE_CLASSES)
    (batch,) = batches(ShapesDataset((64, 64)), 0, 4, 4, workers=0)
    weight = run.model.get_parameter("decoder.bbox_heads.0.layers.0.weight")
    hook = weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingStopped, match=r"gradient is not finite.*this step: not finite, first in decoder.bbox"):
        train_step(run, batch, config, total_steps=10)
    hook.remove()
    assert run.step == 0
    with torch.no_grad():
        run.model.get_parameter("decoder.score_heads.0.bias")[0] = math.nan
    with pytest.raises(TrainingStopped, match="part 'aux_0'"):
        train_step(run, batch, config, total_steps=10)


def test_a_full_disk_stops_with_a_sentence_and_keeps_the_checkpoint(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    def no_room(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    interrupt_at(2, lambda: monkeypatch.setattr(os, "fsync", no_room), monkeypatch)
    with pytest.raises(TrainingStopped, match=r"step 4 could not be written.*No space left"):
        train(config)
    assert loop.load_checkpoint(config.out / "checkpoint.pt")["step"] == 0
