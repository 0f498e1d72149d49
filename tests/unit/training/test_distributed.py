"""Several processes train one model: started by torchrun, as a user starts them, with gloo on the CPU."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_model import STEADY, TINY

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.training.checkpoint import load_checkpoint
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.distributed import ALONE, joined, mean_over_processes
from rtdetr_explained.training.loop import train
from rtdetr_explained.training.run import TrainingStopped

PROGRAM = Path(__file__).parents[2] / "support" / "tiny_model.py"


def losses(folder: Path) -> list[float]:
    with open(folder / "log.csv", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def start(out: Path, *options: str) -> subprocess.Popen:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    common = ["--threads", "1", "--workers", "0", "--evaluate-images", "1", "--evaluate-every", "0", "--batch", "8"]
    command = [*torchrun, str(PROGRAM), "train", "--out", str(out), *common, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PID_FOLDER": str(out.parent)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def test_two_processes_with_half_a_batch_learn_what_one_with_the_whole_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Shares, number of boxes, batch norms and gradients all have to agree for this, and one process has to log."""
    monkeypatch.setitem(CONFIGS, "steady", STEADY)
    options = ["--model", "steady", "--steps", "50", "--lr", "4e-4", "--warmup", "10", "--no-denoising"]
    two = start(tmp_path / "two", *options)
    one = TrainConfig(
        out=tmp_path / "one",
        model="steady",
        steps=50,
        warmup=10,
        denoising=False,
        batch=8,
        threads=1,
        workers=0,
        evaluate_images=1,
        evaluate_every=0,
    )
    train(one)
    _, error = two.communicate(timeout=300)
    assert two.returncode == 0, error
    a, b = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(a) == len(b) == 50
    assert b[:4] == pytest.approx(a[:4], rel=1e-4)
    assert b == pytest.approx(a, rel=0.05)  # rounding grows from step to step
    states = [load_checkpoint(tmp_path / name / "checkpoint.pt")["model"] for name in ("one", "two")]
    for name, tolerance in (("running_var", 0.2), ("num_batches_tracked", 0.0)):
        first, second = (state[f"backbone.stem.0.norm.{name}"] for state in states)
        torch.testing.assert_close(first, second, rtol=tolerance, atol=0.0)


@pytest.mark.parametrize("lost", ["loop.mean_over_processes", "run.distribute"])
def test_a_process_that_is_lost_anywhere_ends_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
):
    def gone(*arguments: object) -> None:
        monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
        raise RuntimeError("[gloo/transport/tcp/pair.cc] Connection reset by peer")

    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    monkeypatch.setattr(f"rtdetr_explained.training.{lost}", gone)
    with pytest.raises(TrainingStopped, match="another process of this run has ended"):
        train(TrainConfig(out=tmp_path, model="tiny", steps=2, batch=2, threads=1, workers=0, evaluate_every=0))


def test_a_killed_process_ends_the_run_with_a_sentence_and_leaves_the_checkpoint(tmp_path: Path):
    run = start(tmp_path / "run", "--model", "tiny", "--steps", "100000", "--checkpoint-minutes", "0.0001")
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "log.csv").exists() or len(losses(tmp_path / "run")) < 3:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(int((tmp_path / "1").read_text()), signal.SIGKILL)
    _, error = run.communicate(timeout=120)
    assert run.returncode != 0
    assert "another process of this run has ended" in error
    assert "with --resume" in error
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] >= 1


def test_a_process_that_is_alone_needs_nobody():
    with joined("cpu") as processes:
        assert processes == ALONE
        assert processes.first
        processes.wait()
        values = torch.ones(3)
        assert mean_over_processes(values) is values


def test_half_an_environment_of_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match="start several processes with torchrun"), joined("cpu"):
        pass
