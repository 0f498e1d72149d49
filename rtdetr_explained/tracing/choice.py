"""What a reader looks at in a trace: a query, a layer, a head … checked once, for every illustration and formula."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.trace import QueryTrace, Trace

Unit = Literal["px", "image"]  # pixels of the photo, or 0..1 of its width and height
Scope = Literal["map", "stage"]  # whose range the colours span: each map's own, or that of all maps of the stage


@dataclass(frozen=True)
class Choice:
    """What is selected in a trace, made by `choose`; indices count from 0.

    None stands for: no query to compare, all heads (or their mean), all levels, the heaviest point, the cell below the
    query's first reference point, all channels, and the scope that suits the illustration.
    """

    trace: Trace
    query: int
    compare: int | None
    layer: int
    head: int | None
    level: int | None
    point: int | None
    cell: int | None
    channel: int | None
    group: int
    threshold: float
    unit: Unit
    scale: Scope | None

    @cached_property
    def path(self) -> QueryTrace:
        """The query through all layers."""
        return self.trace.query(self.query)

    @property
    def config(self) -> dict[str, Any]:
        """The model's architecture."""
        return self.trace.meta["config"]

    @property
    def cell_of_s5(self) -> int:
        """The cell of S5 that was chosen, or else the one below the query's first reference point."""
        return cell_below(self.path.reference_boxes[0], self.trace.map_sizes[-1]) if self.cell is None else self.cell

    def rows(self, site: str) -> np.ndarray:
        """The values of a site for the matching queries alone: in denoising traces other queries come before them.

        Every axis named "query" or "query_attended" is cut to the Q matching ones.
        """
        captured = self.trace[site]
        count = len(self.trace.logits)
        keep = (slice(-count, None) if axis.startswith("query") else slice(None) for axis in captured.axes)
        return captured.array[tuple(keep)]

    def values(self, site: str) -> np.ndarray:
        """The values of a site in double precision."""
        return self.trace[site].array.astype(np.float64)

    def channel_of(self, count: int, name: str) -> int | None:
        """The channel, if the map `name` with so many channels has it; raises InputError otherwise."""
        return None if self.channel is None else check("channel", self.channel, count, f" in {name}")


def choose(
    trace: Trace,
    *,
    query: int | None = None,
    compare: int | None = None,
    layer: int | None = None,
    head: int | None = None,
    level: int | None = None,
    point: int | None = None,
    cell: int | None = None,
    channel: int | None = None,
    group: int = 0,
    threshold: float = 0.5,
    unit: Unit = "px",
    scale: Scope | None = None,
) -> Choice:
    """Check what is selected and fill in what is left open: the query that scores best, and the last layer.

    `point` counts over heads and points together, `cell` row by row from the top left of S5. Raises InputError, one
    sentence, for anything that the trace does not have.
    """
    config = trace.meta["config"]
    heads, points = config["num_heads"], sum(config["num_points"])
    h, w = trace.map_sizes[-1]
    groups = trace.meta["denoising"]["num_groups"] if "denoising" in trace.meta else 1
    if not 0 <= threshold <= 1:
        raise InputError(f"The threshold is {threshold}; give a score from 0 to 1.")
    for name, value, allowed in (("unit", unit, get_args(Unit)), ("scale", scale, (None, *get_args(Scope)))):
        if value not in allowed:
            raise InputError(f"There is no {name} {value!r}; use one of {', '.join(filter(None, allowed))}.")
    if query is None:
        query = int(np.argmax(trace.scores))
    return Choice(
        trace=trace,
        query=check("query", query, len(trace.logits)),
        compare=None if compare is None else check("query", compare, len(trace.logits)),
        layer=trace.num_layers - 1 if layer is None else check("layer", layer, trace.num_layers),
        head=None if head is None else check("head", head, heads),
        level=None if level is None else check("level", level, len(trace.map_sizes)),
        point=None if point is None else check("point", point, heads * points),
        cell=None if cell is None else check("cell", cell, h * w),
        channel=channel,
        group=check("group", group, groups),
        threshold=threshold,
        unit=unit,
        scale=scale,
    )


def check(what: str, index: int, count: int, where: str = "") -> int:
    """The index, when there are so many of `what`; raises InputError otherwise."""
    if not 0 <= index < count:
        raise InputError(f"There is no {what} {index}{where}; choose one from 0 to {count - 1}.")
    return index


def cell_below(box: np.ndarray, map_size: tuple[int, int]) -> int:
    """The cell of a map (h, w), counted row by row, in which the centre of a box (cxcywh in 0..1) lies."""
    h, w = map_size
    return min(int(box[1] * h), h - 1) * w + min(int(box[0] * w), w - 1)
