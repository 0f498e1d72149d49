"""Any tensor of a trace, to be looked at: its range, the distribution of its values, and one slice of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtdetr_explained.drawing.text import number
from rtdetr_explained.errors import InputError

MAX_CELLS = 90_000  # of a heat map, which then takes less than half a megabyte
COMPONENTS = {"cxcywh": ("cx", "cy", "w", "h"), "xy": ("x", "y")}


@dataclass(frozen=True)
class Statistics:
    """What a tensor's values span; least, mean and greatest of the finite ones, None where there are none."""

    finite: int
    infinite: int
    undefined: int
    least: float | None
    mean: float | None
    greatest: float | None

    @property
    def remark(self) -> str:
        """What is not finite, in words; empty where everything is."""
        parts = [(self.infinite, "infinite"), (self.undefined, "not a number")]
        return ", ".join(f"{count:,} {what}" for count, what in parts if count)


def statistics(array: np.ndarray) -> Statistics:
    """The range of an array of any type; true counts as one."""
    values = array.astype(np.float32)
    undefined = int(np.isnan(values).sum())
    finite = values[np.isfinite(values)]
    infinite = values.size - undefined - finite.size
    if not finite.size:
        return Statistics(0, infinite, undefined, None, None, None)
    mean = float(finite.mean(dtype=np.float64))
    return Statistics(finite.size, infinite, undefined, float(finite.min()), mean, float(finite.max()))


@dataclass(frozen=True)
class Slice:
    """A table of values (rows, columns) cut out of a tensor; rows and columns have names, and so have their axes."""

    values: np.ndarray
    row_axis: str
    column_axis: str
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    first_row: int
    all_rows: int

    @property
    def is_table(self) -> bool:
        """Whether it is better read than seen: a column of values, or numbers that mean different things."""
        return self.values.shape[1] == 1 or self.column_axis in COMPONENTS


def leading_axes(axes: Sequence[str]) -> tuple[str, ...]:
    """The axes that must be fixed for a slice: all but the last two."""
    return tuple(axes[:-2])


def slice_of(
    array: np.ndarray, axes: Sequence[str], at: Sequence[int], class_names: Sequence[str], first_row: int = 0
) -> Slice:
    """The last two axes at the index `at` of the leading ones; of very many rows, those from `first_row`.

    Raises InputError for an index that does not exist.
    """
    if len(at) != len(leading_axes(axes)) or any(not 0 <= i < n for i, n in zip(at, array.shape, strict=False)):
        raise InputError(f"There is no index {tuple(at)} in the leading axes of a tensor of shape {array.shape}.")
    values = array[tuple(at)]
    if values.ndim == 1:
        values = values[:, None]
        row_axis, column_axis = axes[-1], "value"
    else:
        row_axis, column_axis = axes[-2:]
    rows, columns = values.shape
    shown = max(1, MAX_CELLS // columns)
    first = min(max(first_row, 0), max(rows - shown, 0))
    return Slice(
        values=values[first : first + shown],
        row_axis=row_axis,
        column_axis=column_axis,
        row_names=_names(row_axis, rows, class_names)[first : first + shown],
        column_names=("value",) if column_axis == "value" else _names(column_axis, columns, class_names),
        first_row=first,
        all_rows=rows,
    )


def _names(axis: str, size: int, class_names: Sequence[str]) -> tuple[str, ...]:
    if axis in COMPONENTS:
        return COMPONENTS[axis]
    if axis == "class" and size == len(class_names):
        return tuple(class_names)
    return tuple(str(i) for i in range(size))


def histogram_alt(found: Statistics, unit: str) -> str:
    """The histogram in words."""
    if found.least is None or found.greatest is None:
        return "No finite values."
    span = f"{number(found.least)} to {number(found.greatest)}"
    return f"Histogram of {found.finite:,} values from {span}, in {unit or 'numbers without a unit'}."
