"""Numbers, corners and shapes as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def shape_text(shape: Sequence[int]) -> str:
    """(256, 20, 20) as "256×20×20"."""
    return "×".join(f"{n:,}" for n in shape)


def number(value: float) -> str:
    """Three significant digits, with a true minus sign, without an exponent where that is readable."""
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}".replace("-", "−")
    return f"{float(f'{value:.3g}'):,}".removesuffix(".0").replace("-", "−")


def box_text(box_px: Iterable[float]) -> str:
    """Two corners in whole pixels, such as "254, −1 – 280, 38"."""
    x0, y0, x1, y1 = (f"{round(value) + 0:.0f}".replace("-", "−") for value in box_px)
    return f"{x0}, {y0} – {x1}, {y1}"


def short_name(name: str, length: int = 12) -> str:
    """A class name that fits a narrow label."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"
