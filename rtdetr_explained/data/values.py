"""Numbers, ids and marks as tools write them into annotation files: also as text, also as floats."""

from __future__ import annotations

import re
from typing import Any

LARGEST = 1e9  # of a coordinate in pixels; greater ones, and whole numbers that no float can hold, are mistakes

_WHOLE = re.compile(r"(-?(?:0|[1-9]\d{0,17}))(?:\.0+)?")


def number(value: Any) -> float | None:
    """The number, given as one or as text; None for anything else, and for what is not finite or beyond `LARGEST`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < LARGEST else None  # NaN is not


def numbers(values: Any) -> list[float] | None:
    """A list of numbers, or None when it is no list or one of them is none."""
    if not isinstance(values, list | tuple):
        return None
    found = [number(value) for value in values]
    return None if None in found else found  # pyright: ignore[reportReturnType]


def identity(value: Any) -> int | str | None:
    """The id, such that 7, 7.0, "7" and "7.0" are one; None for what is no id. "007" stays a text of its own."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        value = value.strip()
        whole = _WHOLE.fullmatch(value)
        return int(whole[1]) if whole else value or None
    return value


def flag(value: Any) -> bool:
    """Whether something is marked; "0", "false", "no" and "Unspecified" (of VOC) are not."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "0.0", "false", "no", "none", "unspecified")
    return bool(value)


def polygon_corners(points: list[float]) -> tuple[float, float, float, float]:
    """x0 y0 x1 y1 of the box around a polygon x, y, x, y, …"""
    xs, ys = points[::2], points[1::2]
    return min(xs), min(ys), max(xs), max(ys)
