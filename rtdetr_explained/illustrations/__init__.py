"""The eight illustrations, a room for each stage: what is chosen in a trace becomes numbers, and numbers a picture."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.sites import STAGES

if TYPE_CHECKING:
    from rtdetr_explained.drawing.marks import Picture
    from rtdetr_explained.tracing.choice import Choice

ROOMS = ("query_selection", "decoder", "deformable_attention")  # with a file for the numbers and one for the figure


def picture(slug: str, choice: Choice) -> Picture:
    """The illustration of a stage; that of denoising is drawn from a trace with denoising queries.

    Raises InputError for a stage that does not exist.
    """
    if slug not in STAGES:
        raise InputError(f"There is no stage {slug!r}; choose one of {', '.join(STAGES)}.")
    room = f"{__name__}.{slug}"
    numbers, figure = (f"{room}.view", f"{room}.figure") if slug in ROOMS else (room, room)
    return import_module(figure).picture(import_module(numbers).view(choice))
