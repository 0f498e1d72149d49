"""A folder belongs to one run at a time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rtdetr_explained.errors import InputError
from rtdetr_explained.training.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from rtdetr_explained.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_held_once_and_free_again_afterwards(tmp_path: Path):
    with locked(tmp_path):
        with pytest.raises(InputError, match=f"Another run is writing to {tmp_path} at this moment"), locked(tmp_path):
            pass
        (tmp_path / "other").mkdir()
        with locked(tmp_path / "other"):
            pass
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError("an error lets go of it, too")
    with locked(tmp_path):
        pass


def test_a_killed_process_lets_go(tmp_path: Path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="Another run"), locked(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with locked(tmp_path):
        pass


def test_a_disk_without_locks_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def acquire(lock: object, timeout: float) -> None:
        raise NotImplementedError("this disk knows no locks")

    monkeypatch.setattr("rtdetr_explained.training.lock.FileLock.acquire", acquire)
    with locked(tmp_path), locked(tmp_path):
        pass
