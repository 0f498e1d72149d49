"""`rtdetr-explained experiment denoising`: equal arms, exact resume, and what the folder says."""

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_model import TINY

from rtdetr_explained import cli
from rtdetr_explained.data.shapes import SHAPE_CLASSES
from rtdetr_explained.errors import InputError
from rtdetr_explained.experiments import denoising
from rtdetr_explained.experiments.collect import matching_path, read_matching
from rtdetr_explained.experiments.denoising import is_finished, run_experiment
from rtdetr_explained.experiments.result import ARMS, read_result
from rtdetr_explained.experiments.settings import Settings
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.training import loop
from rtdetr_explained.training.data import Batch
from rtdetr_explained.training.lock import locked
from rtdetr_explained.training.run import Run, start_run
from rtdetr_explained.training.step import train_step

SMALL: dict[str, Any] = {
    "images": 24,
    "epochs": 3,
    "batch": 4,
    "side": 64,
    "evaluate_images": 3,
    "model": "tiny",
    "threads": 1,
    "workers": 0,
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    return Settings(tmp_path / "out", **SMALL)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment of the settings below, not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CONFIGS, "tiny", TINY)
        settings = Settings(tmp_path_factory.mktemp("finished") / "out", **SMALL)
        assert run_experiment(settings, resume=False)
    return settings.out


def copy(finished: Path, settings: Settings) -> None:
    shutil.copytree(finished, settings.out)


def watch_steps(monkeypatch: pytest.MonkeyPatch, before: Callable[[Run, Batch, bool], object]) -> None:
    """Call something before every training step with the run, the batch, and whether the arm has denoising."""

    def watched(run, batch, config, *rest):  # type: ignore[no-untyped-def]
        before(run, batch, config.denoising)
        return train_step(run, batch, config, *rest)

    monkeypatch.setattr(loop, "train_step", watched)


def log(settings: Settings, arm: str) -> list[dict[str, str]]:
    with open(settings.out / arm / "log.csv", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_the_arms_differ_in_denoising_only(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    first, second = (settings.arm(name) for name in ARMS)
    differing = {f.name for f in fields(first) if getattr(first, f.name) != getattr(second, f.name)}
    assert differing == {"denoising", "out"}
    weights = [start_run(config, SHAPE_CLASSES).model.state_dict() for config in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    seen: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    order: list[bool] = []

    def watch(run: Run, batch: Batch, denoising: bool) -> None:
        seen[denoising].append(batch.images)
        order.append(denoising)

    watch_steps(monkeypatch, watch)
    assert run_experiment(settings, resume=False)
    assert order == [True, True, False, False] * 3  # in turns, so that a stopped experiment can be compared, too
    assert len(seen[True]) == len(seen[False]) == 6
    assert all(torch.equal(a, b) for a, b in zip(seen[True], seen[False], strict=True))
    rows = [log(settings, arm) for arm in ARMS]
    assert [row["lr"] for row in rows[0]] == [row["lr"] for row in rows[1]]
    assert all(float(row["dn"]) > 0 for row in rows[0])
    assert all(float(row["dn"]) == 0 for row in rows[1])


def test_the_schedule_is_that_of_the_whole_budget(settings: Settings, finished: Path):
    """As in one run of `train` over all the images, although the arms take turns."""
    loop.train(settings.arm(ARMS[0]))
    assert log(settings, ARMS[0]) == log(replace(settings, out=finished), ARMS[0])


def test_the_result_holds_the_curves_and_what_fixes_them(settings: Settings, finished: Path):
    settings = replace(settings, out=finished)
    result = read_result(settings.out / "denoising.json")
    assert result["settings"] == settings.fixed()
    assert (result["epochs_done"], result["held_out_seeds"]) == (3, [0, 2])
    assert result["training_seeds"] == [1_000_000, 1_000_023]
    for arm in ARMS:
        curves, rows = result["arms"][arm], log(settings, arm)
        assert curves["evaluations"]["images"] == [8, 16, 24]
        assert curves["instability"]["images"] == [16, 24]
        # two steps in an epoch: a point of the loss curve each, without the denoising queries' part
        expected = [float(row["last"]) + float(row["aux"]) + float(row["enc"]) for row in rows]
        assert curves["loss"]["loss"] == pytest.approx(expected, abs=1e-3)
        assert curves["grad_norm"] == pytest.approx(np.median([float(row["grad_norm"]) for row in rows]), abs=0.01)
        matched = [read_matching(settings.out / arm, images) for images in (8, 16)]
        changed = np.mean([(a != b).sum() for a, b in zip(*matched, strict=True)])
        assert curves["instability"]["changes"][0] == pytest.approx(changed, abs=1e-4)
    assert (settings.out / "denoising.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(("arm", "step"), [(True, 2), (False, 3)])
def test_a_stopped_experiment_goes_on_exactly(
    settings: Settings, finished: Path, monkeypatch: pytest.MonkeyPatch, arm: bool, step: int
):
    whole = replace(settings, out=finished)

    def stop(run: Run, batch: Batch, denoising: bool) -> None:
        if (denoising, run.step) == (arm, step):
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        watch_steps(patch, stop)
        assert not run_experiment(settings, resume=False)
    assert not denoising.is_finished(settings)
    assert run_experiment(settings, resume=True)
    results = [read_result(s.out / "denoising.json") for s in (whole, settings)]
    for name in ARMS:
        assert log(settings, name) == log(whole, name)
        for curve in ("loss", "evaluations", "instability"):
            assert results[0]["arms"][name][curve] == results[1]["arms"][name][curve]


def test_a_matching_that_is_missing_is_made_from_the_checkpoint(settings: Settings, finished: Path):
    copy(finished, settings)
    path = matching_path(settings.out / ARMS[1], 24)
    before = read_matching(settings.out / ARMS[1], 24)
    path.unlink()
    assert run_experiment(settings, resume=True)
    np.testing.assert_array_equal(read_matching(settings.out / ARMS[1], 24), before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1}, "give at least 2"),
        ({"images": 30}, "give a multiple of 12"),
        ({"side": 0}, "give a multiple of 32"),
        ({"side": 100}, "give a multiple of 32"),
        ({"batch": 0}, "at least 1"),
        ({"images": 0}, "no length is given"),
        ({"evaluate_images": 0}, "at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: Settings, changes: dict[str, int], message: str):
    with pytest.raises(InputError, match=message):
        replace(settings, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "nano"}, "nano chooses 100 queries, but .* only 84 tokens"),
        ({"model": "huge"}, "There is no model"),
    ],
)
def test_a_model_that_does_not_fit_leaves_no_folder(settings: Settings, changes: dict, message: str):
    with pytest.raises(InputError, match=message):
        run_experiment(replace(settings, **changes), resume=False)
    assert not settings.out.exists()


def test_the_command_says_in_one_sentence_what_the_folder_holds(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def command(*more: str) -> tuple[int, str, str]:
        given = {**settings.fixed(), "out": settings.out, "threads": 1, "workers": 0}
        options = [text for name, value in given.items() for text in ("--" + name.replace("_", "-"), str(value))]
        code = cli.main(["experiment", "denoising", *options, *more])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    code, _, error = command("--resume")
    assert (code, error) == (2, f"There is no experiment in {settings.out} to resume; start without --resume.\n")

    def stop(run: Run, batch: Batch, denoising: bool) -> None:
        if run.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        watch_steps(patch, stop)
        code, out, _ = command()
    assert code == 130
    assert "Stopped after epoch 1 with denoising" in out
    code, _, error = command()
    assert code == 2
    assert "holds an experiment already; add --resume" in error
    code, _, error = command("--resume", "--seed", "5")
    assert code == 2
    assert "begun with seed 0, not 5" in error
    code, out, _ = command("--resume")
    assert code == 0
    words = "tiny at 64 px, trained twice from the same weights (seed 0) on the same 24 generated scenes"
    assert out.splitlines()[-1].startswith(words)
    for again in ((), ("--resume",)):
        code, out, error = command(*again)
        assert (code, error) == (0, "")
        assert out.count("\n") == 1
        assert "is finished" in out


def test_two_experiments_in_one_folder_at_once_are_refused(settings: Settings, finished: Path):
    copy(finished, settings)
    with locked(settings.out), pytest.raises(InputError, match=f"Another run is writing to {settings.out}"):
        run_experiment(settings, resume=True)


def test_a_damaged_or_unusable_folder_is_one_sentence(settings: Settings, tmp_path: Path):
    settings.out.mkdir()
    for text in ("{", "[]"):
        (settings.out / "experiment.json").write_text(text)
        with pytest.raises(InputError, match="damaged"):
            run_experiment(settings, resume=True)
    (tmp_path / "file").write_text("")
    assert cli.main(["experiment", "denoising", "-o", str(tmp_path / "file" / "out")]) == 2


def test_half_a_result_is_made_again(settings: Settings, finished: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    whole = (folder / "denoising.json").read_text()
    (folder / "denoising.json").write_text(whole[: len(whole) // 2])
    again = replace(settings, out=folder)
    assert not is_finished(again)
    assert run_experiment(again, resume=True)
    assert (folder / "denoising.json").read_text() == whole


def test_the_settings_in_the_folder_are_the_ones_that_count(settings: Settings, finished: Path):
    there = json.loads((finished / "experiment.json").read_text())
    assert there == settings.fixed()
    assert "threads" not in there
