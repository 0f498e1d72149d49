"""Edits: what can be changed before a re-run. Frozen data, so that they go into files, links and tests; never code.

`query` counts the queries of the run before any are dropped. `point` counts within its level. Weights can be dropped in
two ways: `zero` leaves a hole (the sum of the head's weights falls below one), `renormalise` shares what is gone among
the points that remain.
"""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from rtdetr_explained.errors import InputError

Mode = Literal["zero", "renormalise"]


@dataclass(frozen=True)
class DropPoint:
    """Take one sampling point of one head away."""

    layer: int
    query: int
    head: int
    level: int
    point: int
    mode: Mode = "zero"


@dataclass(frozen=True)
class MovePoint:
    """Move one sampling point by (dx, dy), in widths and heights of the image."""

    layer: int
    query: int
    head: int
    level: int
    point: int
    dx: float
    dy: float


@dataclass(frozen=True)
class DropHead:
    """Take a whole head out of the cross-attention of one layer (None: of all)."""

    head: int
    layer: int | None = None


@dataclass(frozen=True)
class DropLevel:
    """Take all points on one level away, in one layer (None: in all)."""

    level: int
    layer: int | None = None
    mode: Mode = "zero"


@dataclass(frozen=True)
class DropQuery:
    """Take one query out before the decoder; the rows after it move up."""

    query: int


@dataclass(frozen=True)
class SetLayers:
    """Stop after this many decoder layers."""

    num_layers: int


@dataclass(frozen=True)
class SetQueries:
    """Choose this many queries."""

    num_queries: int


@dataclass(frozen=True)
class SetSampling:
    """Sample with "default" (bilinear) or "discrete" (nearest cell)."""

    method: str


@dataclass(frozen=True)
class SetSelection:
    """Choose queries by "default" (best class of each token) or "one2many" (token and class pairs)."""

    method: str


Edit = DropPoint | MovePoint | DropHead | DropLevel | DropQuery | SetLayers | SetQueries | SetSampling | SetSelection

drop_point, move_point, drop_head, drop_level, drop_query = DropPoint, MovePoint, DropHead, DropLevel, DropQuery
set_layers, set_queries, set_sampling, set_selection = SetLayers, SetQueries, SetSampling, SetSelection
KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Edit)}


def to_dict(edit: Edit) -> dict[str, Any]:
    """The edit as plain data, ready for JSON."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in asdict(edit).items()}
    return {"kind": type(edit).__name__, **plain}


def from_dict(data: dict[str, Any]) -> Edit:
    """The edit back from plain data; raises InputError when it is none."""
    if not isinstance(data, dict):
        raise InputError(f"An edit is written as its kind and its numbers, not as {data!r}.")
    fields = dict(data)
    kind = KINDS.get(str(fields.pop("kind", None)))
    if kind is None:
        raise InputError(f"There is no edit {data.get('kind')!r}; the edits are {', '.join(KINDS)}.")
    try:
        edit = kind(**fields)
    except TypeError:
        wanted = ", ".join(kind.__dataclass_fields__)
        given = ", ".join(map(str, fields)) or "nothing"
        raise InputError(f"The edit {kind.__name__} takes {wanted}, not {given}.") from None
    for name, hint in get_type_hints(kind).items():
        if not _fits(getattr(edit, name), hint):
            raise InputError(f"The edit {kind.__name__} has {getattr(edit, name)!r} for {name}, which does not fit.")
    return edit


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a field's type; True is no number, and no number is endless."""
    if options := get_args(hint):
        return any(value == option if isinstance(option, str) else _fits(value, option) for option in options)
    if hint is float:
        return type(value) in (int, float) and isfinite(value)
    return type(value) is hint
