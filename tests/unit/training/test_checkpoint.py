import errno
import io
import os
from pathlib import Path

import pytest
import torch

from rtdetr_explained.errors import InputError
from rtdetr_explained.training import checkpoint
from rtdetr_explained.training.checkpoint import load_checkpoint, save_checkpoint


def test_what_is_saved_comes_back(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 7, "size": (64, 96), "weights": {"a": torch.arange(3.0)}})
    state = load_checkpoint(path)
    assert (state["step"], state["size"]) == (7, (64, 96))
    assert torch.equal(state["weights"]["a"], torch.arange(3.0))


def test_a_full_disk_leaves_the_checkpoint_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})
    before = path.read_bytes()

    def no_room(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("room", [100, 300_000], ids=["at once", "halfway"])
def test_the_reason_of_a_failed_write_is_the_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int):
    class Disk(io.FileIO):
        def write(self, data, /) -> int:
            if self.tell() + len(data) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})
    monkeypatch.setattr(checkpoint, "open", Disk, raising=False)
    with pytest.raises(OSError, match="No space left"):  # torch by itself tells of an unexpected position
        save_checkpoint(path, {f"weight {i}": torch.ones(40_000) for i in range(4)})
    monkeypatch.undo()
    assert load_checkpoint(path)["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_the_new_file_takes_the_name_only_when_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (events.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda old, new: (events.append("replace"), replace(old, new)))
    save_checkpoint(tmp_path / "checkpoint.pt", {"step": 1})
    assert events[:2] == ["fsync", "replace"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "There is no checkpoint"), (b"", "is damaged"), (b"hello", "is damaged"), ("half", "is damaged")],
)
def test_a_file_that_cannot_be_resumed_is_refused(tmp_path: Path, content: bytes | str | None, message: str):
    path = tmp_path / "checkpoint.pt"
    if content == "half":
        save_checkpoint(path, {"weights": torch.zeros(1000)})
        content = path.read_bytes()[:2000]
    if isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_checkpoint(path)


def test_another_kind_of_file_is_refused_and_nothing_in_it_runs(tmp_path: Path):
    path = tmp_path / "weights.pt"
    torch.save({"model": {"a": torch.zeros(1)}}, path)
    with pytest.raises(InputError, match="not a training checkpoint"):
        load_checkpoint(path)
    torch.save({"format": 1, "call": print}, path)
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(path)
