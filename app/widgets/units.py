"""Lengths and positions as text, in the unit of the view: pixels of the photo ("px") or 0..1 of the image ("image")."""

from __future__ import annotations

TITLES = {"px": "pixels", "image": "0..1"}


def length(value: float, unit: str) -> str:
    """A length or coordinate without its unit: whole pixels, or three decimals; with a true minus sign."""
    digits = 0 if unit == "px" else 3
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # no minus before a zero


def place(xy: tuple[float, float], unit: str) -> str:
    """A point, such as "(412, 230)"."""
    return f"({length(xy[0], unit)}, {length(xy[1], unit)})"


def extent(wh: tuple[float, float], unit: str) -> str:
    """Width and height with their unit, such as "120 × 80 px"."""
    text = f"{length(wh[0], unit)} × {length(wh[1], unit)}"
    return f"{text} px" if unit == "px" else f"{text} of the image"
