"""Maps of cells in their colours, and the bars that tell the range of these colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtdetr_explained.drawing.colors import MUTED, Scale
from rtdetr_explained.drawing.marks import SMALL_PX, Align, Area, Axis, Extent, Heat, Mark, Panel, Text
from rtdetr_explained.drawing.text import number


def channel_map(array: np.ndarray, channel: int | None) -> np.ndarray:
    """C h w to h w: one channel as it is, or the root mean square over all channels, sqrt(mean(x²))."""
    if channel is not None:
        return array[channel].astype(np.float32)
    return np.sqrt(np.mean(np.square(array.astype(np.float32)), axis=0))


def value_range(maps: Sequence[np.ndarray]) -> tuple[Scale, float, float]:
    """The colour scale that fits these maps, with its range: "diverging" around zero when some value is negative."""
    low = min(float(values.min()) for values in maps)
    high = max(float(values.max()) for values in maps)
    if low < 0:
        reach = max(-low, high)
        return "diverging", -reach, reach
    return "sequential", low, high if high > low else low + 1e-6


def cells(values: np.ndarray, scale: Scale, low: float, high: float, name: str) -> Heat:
    """A map (h, w) in units of its cells: row r, column c has its centre at x = c, y = r. Hovering tells the value."""
    h, w = values.shape
    hover = f"{name}<br>row %{{y}}, column %{{x}}: <b>%{{z:.3g}}</b>"
    return Heat(values.astype(np.float32), (-0.5, -0.5, w - 0.5, h - 0.5), low, high, scale, hover_text=hover)


def map_panel(
    area: Area,
    grid: tuple[int, int],
    image_size: tuple[int, int],
    marks: Sequence[Mark],
    title: str = "",
    subtitle: str = "",
) -> Panel:
    """A panel in units of the cells of a map (h, w), see `cells`, drawn in the proportions of the photo."""
    h, w = grid
    ratio = (image_size[1] / h) / (image_size[0] / w)
    return Panel(area, Axis((-0.5, w - 0.5)), Axis((h - 0.5, -0.5)), marks, title, subtitle, ratio)


def color_bar(area: Area, scale: Scale, low: float, high: float, title: str, scope: str) -> Panel:
    """A panel with nothing but a slim colour bar; see `color_bar_marks`."""
    marks = color_bar_marks((0, 0, 1, 1), scale, number(low), number(high), title, scope)
    return Panel(area, Axis((0, 1)), Axis((1, 0)), marks)


def color_bar_marks(extent: Extent, scale: Scale, low: str, high: str, title: str, scope: str) -> list[Mark]:
    """A colour bar: above it what is shown, below it the range and, in the middle, whose range it is.

    The words need 18 pixels above and below the extent, whose y points downwards.
    """
    x0, y0, x1, y1 = extent
    ramp = np.linspace(0, 1, 128, dtype=np.float32)[None]
    words: tuple[tuple[float, str, Align], ...]
    words = ((x0, low, "left"), ((x0 + x1) / 2, scope, "center"), (x1, high, "right"))
    marks: list[Mark] = [
        Heat(ramp, extent, 0, 1, "overlay_bar" if scale == "overlay" else scale),
        Text(x0, y0, title, MUTED, SMALL_PX, valign="bottom", dy=3),
        *(Text(x, y1, word, MUTED, SMALL_PX, align, "top", dy=-2) for x, word, align in words),
    ]
    return marks
