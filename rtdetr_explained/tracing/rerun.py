"""Turning edits into what the model and the recorder understand: changed arguments and changed tensors at taps."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, get_args

import torch
from torch import Tensor

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.tracing.edits import (
    DropHead,
    DropLevel,
    DropPoint,
    DropQuery,
    Edit,
    Mode,
    MovePoint,
    SetLayers,
    SetQueries,
    SetSampling,
    SetSelection,
)
from rtdetr_explained.tracing.recorder import Editor

SELECTION_EDITS = (DropQuery, SetQueries, SetSelection)
MODES = get_args(Mode)
MAX_MOVE = 100  # widths or heights of the image


@dataclass
class Plan:
    """How to re-run: from which stage, with which arguments, changing which sites."""

    from_selection: bool
    select: dict[str, Any] = field(default_factory=dict)  # arguments of query selection
    predict: dict[str, Any] = field(default_factory=dict)  # arguments of the decoder
    editors: dict[str, list[Editor]] = field(default_factory=lambda: defaultdict(list))


def plan(edits: Sequence[Edit], config: ModelConfig, num_queries: int) -> Plan:
    """Check the edits against the model and arrange them; raises InputError for one that does not fit.

    `num_queries` is the number of queries of the run without edits. Without any edit the plan starts at query
    selection, so that an empty re-run truly runs.
    """
    made = Plan(from_selection=not edits or any(isinstance(e, SELECTION_EDITS) for e in edits))
    num_layers = config.eval_layer + 1
    for edit in edits:
        if isinstance(edit, SetQueries):
            num_queries = within("num_queries", edit.num_queries, 1, 100_000)
            made.select["num_queries"] = num_queries
        elif isinstance(edit, SetSelection):
            made.select["method"] = one_of("method", edit.method, ("default", "one2many"))
        elif isinstance(edit, SetLayers):
            num_layers = within("num_layers", edit.num_layers, 1, config.num_layers)
            made.predict["num_layers"] = num_layers
        elif isinstance(edit, SetSampling):
            made.predict["sampling_method"] = one_of("method", edit.method, ("default", "discrete"))

    dropped = [within("query", e.query, 0, num_queries - 1) for e in edits if isinstance(e, DropQuery)]
    kept = [q for q in range(num_queries) if q not in dropped]
    if not kept:
        raise InputError("These edits drop every query; keep at least one.")
    if dropped:
        made.editors["query_selection.topk_indices"].append(lambda indices: indices[:, kept])

    for edit in edits:
        if isinstance(edit, DropPoint | MovePoint):
            layer = within("layer", edit.layer, 0, num_layers - 1)
            query = within("query", edit.query, 0, num_queries - 1)
            if query in dropped:
                raise InputError(f"Query {query} is dropped by another edit, so its points cannot be edited.")
            place = (
                kept.index(query),
                within("head", edit.head, 0, config.num_heads - 1),
                flat_point(edit.level, edit.point, config),
            )
            if isinstance(edit, DropPoint):
                site, editor = "weights", drop_point(place, one_of("mode", edit.mode, MODES))
            else:
                site, editor = "sampling_locations", move(place, distance("dx", edit.dx), distance("dy", edit.dy))
            made.editors[f"decoder.layers.{layer}.cross_attn.{site}"].append(editor)
        elif isinstance(edit, DropHead | DropLevel):
            if isinstance(edit, DropHead):
                editor = drop_head(within("head", edit.head, 0, config.num_heads - 1))
            else:
                editor = drop_points(level_points(edit.level, config), one_of("mode", edit.mode, MODES))
            layers = range(num_layers) if edit.layer is None else [within("layer", edit.layer, 0, num_layers - 1)]
            for layer in layers:
                made.editors[f"decoder.layers.{layer}.cross_attn.weights"].append(editor)
    return made


def level_points(level: int, config: ModelConfig) -> slice:
    """Where a level's points lie on the flat point axis."""
    within("level", level, 0, len(config.num_points) - 1)
    start = sum(config.num_points[:level])
    return slice(start, start + config.num_points[level])


def flat_point(level: int, point: int, config: ModelConfig) -> int:
    """Index of a level's point on the flat point axis."""
    points = level_points(level, config)
    return points.start + within("point", point, 0, config.num_points[level] - 1)


def drop_point(place: tuple[int, int, int], mode: str) -> Editor:
    """Zero one weight; weights are B Q H P."""
    query, head, point = place

    def edit(weights: Tensor) -> Tensor:
        weights = weights.clone()
        row = weights[:, query, head]
        row[:, point] = 0
        if mode == "renormalise":
            row /= row.sum(-1, keepdim=True).clamp(min=torch.finfo(row.dtype).tiny)
        return weights

    return edit


def drop_points(points: slice, mode: str) -> Editor:
    """Zero a range of weights for every query and head; weights are B Q H P."""

    def edit(weights: Tensor) -> Tensor:
        weights = weights.clone()
        weights[..., points] = 0
        if mode == "renormalise":
            weights /= weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
        return weights

    return edit


def drop_head(head: int) -> Editor:
    """Zero all weights of one head; weights are B Q H P."""

    def edit(weights: Tensor) -> Tensor:
        weights = weights.clone()
        weights[:, :, head] = 0
        return weights

    return edit


def move(place: tuple[int, int, int], dx: float, dy: float) -> Editor:
    """Shift one location; locations are B Q H P 2."""
    query, head, point = place

    def edit(locations: Tensor) -> Tensor:
        locations = locations.clone()
        locations[:, query, head, point] += torch.tensor([dx, dy], dtype=locations.dtype, device=locations.device)
        return locations

    return edit


def within(name: str, value: int, low: int, high: int) -> int:
    """The value, or InputError when it is no whole number or out of range."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"The edit's {name} is {value!r}, but must be a whole number from {low} to {high}.")
    return int(value)


def distance(name: str, value: float) -> float:
    """The value, or InputError when it is no number or so large that the location would not be finite."""
    if not isinstance(value, Real) or not abs(value) <= MAX_MOVE:  # also true for NaN
        raise InputError(f"The edit's {name} is {value!r}, but must be a number from -{MAX_MOVE} to {MAX_MOVE}.")
    return float(value)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """The value, or InputError when it is not allowed."""
    if value not in allowed:
        raise InputError(f"The edit's {name} is {value!r}, but must be one of {', '.join(allowed)}.")
    return value
