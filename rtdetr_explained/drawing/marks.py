"""A figure as data: panels that hold marks, drawn alike by `marks_plotly` and `marks_matplotlib`.

An illustration states once what is drawn where; two renderers follow. So the interactive figure and the exported one
show the same numbers in the same colours and order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from rtdetr_explained.drawing.colors import ON_PHOTO, PHOTO_HALO

Extent = tuple[float, float, float, float]  # x0, y0, x1, y1 in the panel's own units


@dataclass(frozen=True)
class Photo:
    """A picture that fills `extent`."""

    image: Image.Image
    extent: Extent


@dataclass(frozen=True)
class Heat:
    """A map of cells, `values` (h, w), over `extent`; row 0 lies at y0. On hover `hover_text` shows `hover` (h, w)."""

    values: np.ndarray
    extent: Extent
    low: float
    high: float
    colors: Sequence[str]
    hover: np.ndarray | None = None
    hover_text: str = ""  # plotly template over x, y, z and customdata (`hover`), e.g. "row %{y}: %{customdata:.2f}"


@dataclass(frozen=True)
class Lines:
    """Strokes through (x, y); NaN starts a new stroke. `halo` parts them from a photo below, widths are in pixels."""

    x: np.ndarray
    y: np.ndarray
    color: str
    width: float = 1.5
    dash: str = "solid"  # solid, dot, dash
    alpha: float = 1.0
    halo: bool = False
    hover: Sequence[str] | None = None
    name: str = ""


@dataclass(frozen=True)
class Points:
    """Markers at (x, y); `size` is the diameter in pixels. An open marker shows only its edge.

    `ids` are the numbers of what the markers stand for, such as queries; a click on one hands its number to the page.
    """

    x: np.ndarray
    y: np.ndarray
    color: str
    size: float | np.ndarray = 7.0
    shape: str = "circle"  # circle, square, diamond, cross
    edge: str | None = None
    open: bool = False
    alpha: float = 1.0
    hover: Sequence[str] | None = None
    ids: np.ndarray | None = None
    name: str = ""


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, one at each y, from `left` over `width`; `height` is their thickness in units of y."""

    y: np.ndarray
    width: np.ndarray
    color: str
    left: np.ndarray | float = 0.0
    height: float = 0.7
    hover: Sequence[str] | None = None
    name: str = ""


@dataclass(frozen=True)
class Text:
    """Words at (x, y), moved by (dx, dy) pixels to the right and up; `leader` draws a thin line back to the place.

    `box` is the colour of a ground behind the words, for words on a photo.
    """

    x: float
    y: float
    text: str
    color: str
    size: float = 11.0
    align: str = "left"  # left, center, right
    valign: str = "middle"  # top, middle, bottom
    dx: float = 0.0
    dy: float = 0.0
    bold: bool = False
    box: str | None = None
    leader: bool = False


Mark = Photo | Heat | Lines | Points | Bars | Text


@dataclass(frozen=True)
class Axis:
    """Range (first value left or bottom), title and ticks; `ticks` None leaves them to the renderer, () hides them."""

    range: tuple[float, float]
    title: str = ""
    ticks: Sequence[float] | None = ()
    labels: Sequence[str] | None = None
    opposite: bool = False  # ticks on the right
    grid: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes at `area` (x0, y0, x1, y1 as fractions of the figure, y upwards).

    With `ratio` one unit of y is drawn `ratio` times as long as one unit of x, and the axes shrink to fit, keeping the
    upper left corner. A `framed` panel has a thin line around it.
    """

    area: Extent
    x: Axis
    y: Axis
    marks: Sequence[Mark] = field(default_factory=tuple)
    title: str = ""
    subtitle: str = ""
    ratio: float | None = None
    framed: bool = False


@dataclass(frozen=True)
class Drawing:
    """A whole figure: its panels and its size in pixels (width is nominal; the page may stretch it)."""

    panels: Sequence[Panel]
    width: int = 900
    height: int = 560


def area_px(height: int, left: float, top: float, right: float, bottom: float) -> Extent:
    """A panel's area from fractions of the width and pixels from the top of a figure `height` pixels high."""
    return left, 1 - bottom / height, right, 1 - top / height


def photo_height(image_size: tuple[int, int], width: float = 400, most: float = 300) -> int:
    """Pixels of height to keep for a photo about `width` pixels wide, so that wide photos leave no gap below them."""
    return round(min(most, width * image_size[1] / image_size[0]))


def short_name(name: str, length: int = 12) -> str:
    """A class name that fits a narrow label."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def halo_color(color: str) -> str:
    """The outline that parts a stroke from a photo: dark around the near-white of neutral marks, else light."""
    return PHOTO_HALO if color == ON_PHOTO else ON_PHOTO


def box_outline(boxes_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) as x0, y0, x1, y1 to one line: x and y (6 n), each box closed and ended by NaN."""
    x0, y0, x1, y1 = np.asarray(boxes_px, dtype=float).reshape(-1, 4).T
    gap = np.full_like(x0, np.nan)
    return np.stack([x0, x1, x1, x0, x0, gap], 1).ravel(), np.stack([y0, y0, y1, y1, y0, gap], 1).ravel()


def links(start: tuple[float, float], ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One stroke from `start` to each of `ends` (n, 2): x and y (3 n)."""
    ends = np.asarray(ends, dtype=float).reshape(-1, 2)
    gap = np.full(len(ends), np.nan)
    x = np.stack([np.full(len(ends), start[0]), ends[:, 0], gap], 1).ravel()
    return x, np.stack([np.full(len(ends), start[1]), ends[:, 1], gap], 1).ravel()


def region_around(boxes_px: np.ndarray, image_size: tuple[int, int], room: float = 0.6, least: float = 0.3) -> Extent:
    """The part of the photo to show so that boxes (n, 4; x0 y0 x1 y1 in pixels) are seen well.

    It has the photo's aspect, leaves `room` times the boxes' size around them, is at least `least` times as long as the
    photo, and stays inside the photo unless the boxes themselves do not.
    """
    boxes = np.asarray(boxes_px, dtype=float).reshape(-1, 4)
    size = np.asarray(image_size, dtype=float)
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    needed = float(((high - low) / size).max()) * (1 + room)
    length = size * min(max(needed, least), max(1.0, needed if (low < 0).any() or (high > size).any() else 1.0))
    margin = (high - low) * room / 2
    first = np.where(low < 0, low - margin, 0.0)  # the region may reach as far as this to the left and up ...
    last = np.where(high > size, high + margin, size)  # ... and this to the right and down
    start = (low + high - length) / 2
    start = np.where(
        length < last - first, np.clip(start, first, np.maximum(first, last - length)), (first + last - length) / 2
    )
    return float(start[0]), float(start[1]), float(start[0] + length[0]), float(start[1] + length[1])


def photo_part(photo: Image.Image, image_size: tuple[int, int], region: Extent) -> Photo:
    """The photo, cut to what of it lies in `region`, so that no pixel is sent that is not seen."""
    scale = photo.width / image_size[0], photo.height / image_size[1]
    x0, y0 = math.floor(max(region[0], 0) * scale[0]), math.floor(max(region[1], 0) * scale[1])
    x1 = math.ceil(min(region[2], image_size[0]) * scale[0])
    y1 = math.ceil(min(region[3], image_size[1]) * scale[1])
    x0, y0 = min(x0, photo.width - 1), min(y0, photo.height - 1)
    x1, y1 = min(max(x1, x0 + 1), photo.width), min(max(y1, y0 + 1), photo.height)
    return Photo(photo.crop((x0, y0, x1, y1)), (x0 / scale[0], y0 / scale[1], x1 / scale[0], y1 / scale[1]))
