"""Saving a run so that no crash can lose it, and continuing it as if it had never stopped."""

import os
from pathlib import Path
from typing import Any

import torch

from rtdetr_explained.errors import InputError

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, or leave the one that is there untouched.

    It goes to a second file first and takes the name only when it is complete on the disk: a full disk, a kill or a
    power cut in between costs the new checkpoint, never the old one. Raises OSError when the disk refuses.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        with open(unfinished, "wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch covers the disk's reason with one about positions
            raise error.__context__ from None
        raise
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(path.parent)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises InputError when the file is missing, damaged, or not a checkpoint of this program.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"There is no checkpoint at {path} to resume from; start without --resume.") from None
    except OSError as error:
        raise InputError(f"The checkpoint {path} cannot be opened ({error.strerror}).") from None
    except Exception:  # a broken pickle can raise nearly anything
        raise InputError(f"The checkpoint {path} is damaged; start again in another folder.") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path} is not a training checkpoint of this version; start again in another folder.")
    return state


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut; Windows has no such call."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
