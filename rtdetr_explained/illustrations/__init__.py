"""The eight illustrations, a room for each stage: what is chosen in a trace becomes numbers, and numbers a picture."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rtdetr_explained.tracing.sites import STAGES

if TYPE_CHECKING:
    from rtdetr_explained.drawing.marks import Picture
    from rtdetr_explained.tracing.choice import Choice

ILLUSTRATIONS: dict[str, ModuleType]
__all__ = ["ILLUSTRATIONS", "picture"]
ROOMS = ("query_selection", "decoder", "deformable_attention")  # with a file for the numbers and one for the figure
# those that are no longer modules with five functions
PICTURES = ("overview", "backbone", "aifi", "ccff", "query_selection", "decoder")


def picture(slug: str, choice: Choice) -> Picture:
    """The illustration of a stage; that of denoising is drawn from a trace with denoising queries."""
    room = f"{__name__}.{slug}"
    numbers, figure = (f"{room}.view", f"{room}.figure") if slug in ROOMS else (room, room)
    return import_module(figure).picture(import_module(numbers).view(choice))


def __getattr__(name: str) -> Any:
    # On first use, so that whoever only wants a colour does not wait for plotly and matplotlib.
    if name != "ILLUSTRATIONS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = {slug: f"{__name__}.{slug}.view" if slug in ROOMS else f"{__name__}.{slug}" for slug in STAGES}
    globals()[name] = {slug: import_module(module) for slug, module in modules.items()}
    return globals()[name]
