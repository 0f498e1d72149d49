"""The device to compute on: by name, or the best that this machine has."""

import torch

from rtdetr_explained.errors import InputError


def best_device() -> str:
    """What "auto" stands for: "cuda" where there is such a GPU, else "mps", else "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def usable_device(device: str | torch.device) -> torch.device:
    """The torch device, "auto" included, or InputError when it does not exist or this machine has none."""
    try:
        found = torch.device(best_device() if device == "auto" else device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError):
        raise InputError(f"The device {str(device)!r} cannot be used on this machine; use 'cpu'.") from None
    return found
