"""RT-DETRv2, explained: a readable detector, its traces, and the eight illustrations drawn from them.

import rtdetr_explained as rx

detector = rx.load("nano")
trace = detector.trace("photo.jpg")
trace.detections(threshold=0.5)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtdetr_explained.detector import Detector as Detector
    from rtdetr_explained.errors import InputError as InputError
    from rtdetr_explained.loading import load as load
    from rtdetr_explained.tracing import edits as edits
    from rtdetr_explained.tracing.trace import Trace as Trace

# Resolved on first use, so that drawing scenes or printing a help text does not wait for torch.
_PUBLIC = {
    "load": ("rtdetr_explained.loading", "load"),
    "Detector": ("rtdetr_explained.detector", "Detector"),
    "Trace": ("rtdetr_explained.tracing.trace", "Trace"),
    "InputError": ("rtdetr_explained.errors", "InputError"),
    "edits": ("rtdetr_explained.tracing.edits", None),
}
__all__ = list(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'rtdetr_explained' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    found = import_module(module)
    return getattr(found, attribute) if attribute else found
