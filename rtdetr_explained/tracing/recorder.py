"""The recorder: hooks that are set once, and write only into the recorder of the thread that is tracing.

A Streamlit server traces several images through one shared model at the same time, each in a thread of its own. The
recorder therefore lives in a `ContextVar`: a hook that finds none returns at once.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtdetr_explained.model.tap import Tap
from rtdetr_explained.tracing.sites import Keep, SiteInfo

Editor = Callable[[Tensor], Tensor]
_current: ContextVar["Recorder | None"] = ContextVar("recorder", default=None)


class Recorder:
    """What one forward pass leaves behind: values and facts of sites, shapes of all outputs, time of timed modules."""

    def __init__(self, keep: Keep, device: torch.device, editors: dict[str, list[Editor]] | None = None):
        self.keep = keep
        self.device = device
        self.editors = editors or {}
        self.values: dict[str, np.ndarray] = {}
        self.sites: dict[str, SiteInfo] = {}
        self.calls: dict[str, list[dict[str, tuple[int, ...]]]] = defaultdict(list)
        self.ms: dict[str, float] = defaultdict(float)

    def tap(self, name: str, tap: Tap, tensor: Tensor) -> Tensor:
        """Apply the edits for this site, keep what is asked for, and hand the tensor on."""
        for edit in self.editors.get(name, ()):
            tensor = edit(tensor)
        kind = self.keep(name)
        if kind:
            self.values[name] = frozen_copy(tensor, half=kind == "half")
        dtype = str(self.values[name].dtype) if kind else str(tensor.dtype).removeprefix("torch.")
        shape = tuple(tensor.shape[1:])
        self.sites[name] = SiteInfo(name, tap.axes, tap.unit, tap.doc, shape, dtype, bool(kind))
        return tensor

    def clock(self) -> float:
        """Now, in milliseconds, once the device has finished what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        if self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter() * 1e3

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Output shapes by module; a module that ran several times has one entry per call, `name@layer0` and on."""
        shapes = {}
        for name, outputs in self.calls.items():
            for call, output in enumerate(outputs):
                unique = name if len(outputs) == 1 else f"{name}@layer{call}"
                shapes |= {unique + part: shape for part, shape in output.items()}
        return shapes


@contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Within the block, passes of this thread through a hooked model are recorded."""
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)


def install_hooks(model: nn.Module, timed: tuple[str, ...]) -> None:
    """Hook every module of `model` once; `timed` names those whose running time is added up."""
    for name, module in model.named_modules():
        if isinstance(module, Tap):
            module.register_forward_hook(_tap_hook(name))
            continue
        if name in timed:
            module.register_forward_pre_hook(_start_hook(name))
            module.register_forward_hook(_stop_hook(name))
        if name:
            module.register_forward_hook(_shape_hook(name))


def _tap_hook(name: str) -> Callable[..., Tensor | None]:
    def hook(module: Tap, inputs: tuple, output: Tensor) -> Tensor | None:
        recorder = _current.get()
        return recorder.tap(name, module, output) if recorder else None

    return hook


def _shape_hook(name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
        if recorder := _current.get():
            recorder.calls[name].append(output_shapes("", output))

    return hook


def _start_hook(name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple) -> None:
        if recorder := _current.get():
            recorder.ms[name] -= recorder.clock()

    return hook


def _stop_hook(name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
        if recorder := _current.get():
            recorder.ms[name] += recorder.clock()

    return hook


def output_shapes(name: str, output: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors in a module's output; those inside a list, tuple or dict are `name[key]`."""
    if isinstance(output, Tensor):
        return {name: tuple(output.shape)}
    if isinstance(output, dict):
        parts = output.items()
    else:
        parts = enumerate(output) if isinstance(output, list | tuple) else ()
    return {k: v for key, part in parts for k, v in output_shapes(f"{name}[{key}]", part).items()}


def frozen_copy(tensor: Tensor, half: bool = False) -> np.ndarray:
    """The only image of the batch as a read-only NumPy array of its own memory."""
    dtype = tensor.dtype
    if dtype.is_floating_point:
        dtype = torch.float16 if half else torch.float64 if dtype == torch.float64 else torch.float32
    copied = tensor.detach()[0].to("cpu", dtype, copy=True, memory_format=torch.contiguous_format)
    array = copied.numpy()
    array.setflags(write=False)
    return array
