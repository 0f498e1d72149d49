"""The formulas of the eight stages with the numbers of one image in them, computed again and compared with its trace.

Sources: RT-DETR (2304.08069), RT-DETRv2 (2407.17140), Deformable DETR (2010.04159), DINO (2203.03605).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from rtdetr_explained.errors import InputError
from rtdetr_explained.formulas.formula import Choice, Formula, choose
from rtdetr_explained.tracing.trace import Trace

# The module that writes a stage's formulas; its function has the name of the stage.
MODULES = {
    "overview": "encoder",
    "backbone": "encoder",
    "aifi": "encoder",
    "ccff": "encoder",
    "query_selection": "queries",
    "decoder": "queries",
    "deformable_attention": "sampling",
    "denoising": "denoising",
}


def formulas(
    slug: str,
    trace: Trace,
    *,
    query: int = 0,
    layer: int | None = None,
    head: int | None = None,
    level: int | None = None,
    point: int | None = None,
    cell: int | None = None,
    group: int = 0,
) -> list[Formula]:
    """The formulas of a stage, in the order of the pass, for what is selected.

    `layer`, `head`, `level`, `point` and `cell` count from 0; None takes the last layer, the head with the greatest
    weight, all levels, the heaviest point, and the cell under the query. `point` counts over heads, then levels, then
    points, and gives way to the heaviest where it is not of that head and level; `group` is one of the groups of
    denoising queries. Raises InputError when there is no such stage, query, layer, head, level, point or cell.
    """
    if slug not in MODULES:
        raise InputError(f"There is no stage {slug!r}; choose one of {', '.join(MODULES)}.")
    write: Callable[[Choice], list[Formula]] = getattr(import_module(f"{__package__}.{MODULES[slug]}"), slug)
    return write(choose(trace, query, layer, head, level, point, cell, group))
