"""Tensors out of any file of weights: unpacked from what training programs wrap them in, and checked before use.

No code in a file is ever executed, and nothing that would take more memory than the file is large is allocated.
"""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rtdetr_explained.errors import InputError
from rtdetr_explained.weights.strangers import stranger_by_name

EXPECTED = "RT-DETR weights: an official .pth, or .safetensors of this project or of Hugging Face transformers"
# Where programs put the weights inside a checkpoint; averaged weights come first, since they are what is evaluated.
WRAPPERS = ("ema_state_dict", "ema", "model_ema", "module", "model_state_dict", "state_dict", "model", "weights")
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DistributedDataParallel, torch.compile, and of wrapping classes
MAX_UNPACKED = 4  # times the size of the file; a checkpoint is hardly ever compressed
# Numbers of NumPy, such as a best score, are written beside the tensors by many programs; these make nothing but them.
SCALAR: Any = np.float64(0).__reduce__()[0]
NUMPY_NUMBERS: list[Any] = [
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"),
    (SCALAR, "numpy.core.multiarray.scalar"),  # its name up to NumPy 1
    (SCALAR, "numpy._core.multiarray.scalar"),
]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors of a file and what is written beside them, told apart by content: safetensors or PyTorch.

    Beside safetensors that is their text metadata; a checkpoint of this project gives its `model_config`. Raises
    InputError, one sentence, for a file that holds no plain, finite, dense tensors.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; give the path of {EXPECTED}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); give the path of {EXPECTED}.") from None
    if head[8:9] == b"{":  # after the eight bytes of its length, the header of safetensors is JSON
        try:
            with safe_open(path, "pt") as file:
                # Not a dict: it has `keys()` but cannot be looped over.
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return checked(tensors, path), file.metadata() or {}
        except SafetensorError as error:
            raise InputError(f"{path.name} is a damaged or truncated safetensors file ({error}).") from None
    checkpoint = load_pickle(path)
    beside = {}
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("model_config"), dict):
        beside = {"model_config": checkpoint["model_config"]}  # see training/run.py, snapshot
    return checked(unwrap(checkpoint, path), path), beside


def load_pickle(path: Path) -> Any:
    """torch.load that refuses everything but plain data and tensors."""
    unpacked = unpacked_bytes(path)
    if unpacked > MAX_UNPACKED * max(path.stat().st_size, 1):
        raise InputError(
            f"{path.name} would unpack to {unpacked / 1e6:,.0f} MB, far more than its size; expected were {EXPECTED}."
        )
    try:
        with torch.serialization.safe_globals(NUMPY_NUMBERS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # random bytes make the reader raise nearly anything
        if tool := stranger_by_name(path):
            raise InputError(f"{path.name} is a checkpoint of {tool}; only RT-DETR can be read.") from None
        raise InputError(
            f"{path.name} is no readable checkpoint: it is damaged, of another kind, or holds Python objects other "
            f"than tensors, which are never executed; expected were {EXPECTED}."
        ) from None


def unpacked_bytes(path: Path) -> int:
    """What a zip file takes when it is unpacked; 0 for a file of another kind."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return 0


def unwrap(checkpoint: Any, path: Path) -> dict[str, Tensor]:
    """The state dict inside a checkpoint, however deep it is wrapped, under names without prefixes."""
    state = checkpoint
    while isinstance(state, dict) and not tensors_of(state):
        inner = next((state[name] for name in WRAPPERS if isinstance(state.get(name), dict) and state[name]), None)
        if inner is None:
            break
        state = inner
    found = tensors_of(state) if isinstance(state, dict) else {}
    if not found:
        what = f"entries named {shorten(map(str, state))}" if isinstance(state, dict) else f"a {type(state).__name__}"
        raise InputError(f"{path.name} holds {what} instead of a state dict of tensors; expected were {EXPECTED}.")
    return found


def tensors_of(state: dict[Any, Any]) -> dict[str, Tensor]:
    """The named tensors of a dict when it is a state dict: more of them than of anything else."""
    found = {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)}
    return found if 2 * len(found) > len(state) else {}


def without_prefixes(tensors: dict[str, Tensor], known: tuple[str, ...]) -> dict[str, Tensor]:
    """The same tensors without what wrappers put before all their names, down to where one of `known` is found."""
    while tensors and not any(name in tensors for name in known):
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in tensors)), None)
        if prefix is None:
            return tensors
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def checked(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors, when each is an ordinary array whose values are all in the file; raises InputError otherwise."""
    for name, tensor in tensors.items():
        kind = (
            "nested"
            if tensor.is_nested
            else "quantized"
            if tensor.is_quantized
            else "without values (on the meta device)"
            if tensor.is_meta
            else "sparse"
            if tensor.layout != torch.strided
            else "complex"
            if tensor.is_complex()
            else ""
        )
        if kind:
            raise InputError(f"{path.name} holds a tensor that is {kind}, {name}; save the weights as plain tensors.")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise InputError(
                f"{path.name} holds {name} of shape {list(tensor.shape)}, which is more than the file stores of it."
            )
    return tensors


def check_finite(tensors: dict[str, Tensor], path: Path) -> None:
    """Raise InputError when a value is NaN or infinite: such a model finds nothing, or anything."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            bad = int((~tensor.isfinite()).sum())
            raise InputError(
                f"{path.name} holds NaN or infinite numbers ({bad:,} in {name}): the training that wrote it had broken "
                "down; use a checkpoint from before."
            )


def shorten(names: Any, limit: int = 3) -> str:
    """The first few names, comma-separated."""
    names = list(names)
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


def weights_in(folder: Path) -> Path:
    """The file of weights in a folder, such as one of `save_pretrained` or of a training run of this project."""
    for pattern in ("model.safetensors", "*.safetensors", "pytorch_model.bin", "checkpoint.pt", "*.pth", "*.pt"):
        found = sorted(folder.glob(pattern), key=os.path.getmtime)
        parts = [path for path in found if re.search(r"-\d{5}-of-\d{5}", path.name)]
        if parts:
            raise InputError(f"The weights in {folder} are in {len(parts)} parts; save them into one file.")
        if found:
            return found[-1]
    raise InputError(f"There are no weights in {folder}; expected were {EXPECTED}.")
