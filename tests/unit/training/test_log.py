"""The logs of a run."""

import sys
import types
from pathlib import Path

import pytest

from rtdetr_explained.training.log import open_tensorboard, start_log, write_scalars


def test_tensorboard_gets_what_the_log_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Writer(list):
        def __init__(self, folder: Path, purge_step: int) -> None:
            super().__init__([(folder.name, purge_step)])

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.append((name, value, step))

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    board = open_tensorboard(tmp_path, 4)
    write_scalars(board, "train", {"loss": 2.0, "AP": None}, 5)
    assert board == [("tensorboard", 5), ("train/loss", 2.0, 5)]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert open_tensorboard(tmp_path, 4) is None


def test_half_a_row_that_a_full_disk_left_is_no_row(tmp_path: Path):
    path, columns = tmp_path / "log.csv", ("step", "loss")
    path.write_text("step,loss\n1,0.5\n20,0.4\n3")  # of step 31
    start_log(path, columns, keep_until_step=30)
    assert path.read_text().split() == ["step,loss", "1,0.5", "20,0.4"]
