"""The formulas of the eight stages with the numbers of one image in them, computed again and compared with its trace.

One file a stage, each with `formulas(choice)`. Sources: RT-DETR (2304.08069), RT-DETRv2 (2407.17140), Deformable DETR
(2010.04159), DINO (2203.03605).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.sites import STAGES

if TYPE_CHECKING:
    from rtdetr_explained.formulas.formula import Formula
    from rtdetr_explained.tracing.choice import Choice


def formulas(slug: str, choice: Choice) -> list[Formula]:
    """The formulas of a stage, in the order of the pass, for what is selected.

    Without a head they take the one with the greatest weight; a point gives way to the heaviest where it is not of the
    head and level that are selected. Raises InputError when there is no such stage.
    """
    if slug not in STAGES:
        raise InputError(f"There is no stage {slug!r}; choose one of {', '.join(STAGES)}.")
    return import_module(f"{__name__}.{slug}").formulas(choice)
