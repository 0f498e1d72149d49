"""A figure as data: panels that hold marks, drawn alike by `to_plotly` and `to_matplotlib`.

An illustration states once what is drawn where; the renderers follow, and resolve colours for a light or a dark page.
So the interactive figure and the exported one show the same numbers in the same colours and order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image

from rtdetr_explained.drawing.colors import Scale, Theme, color_scale, resolve

FONT_PX, SMALL_PX = 13, 11

Extent = tuple[float, float, float, float]  # x0, y0, x1, y1 in the panel's own units
Area = tuple[float, float, float, float]  # left and right as fractions of the width, top and bottom in px from above
Shape = Literal["circle", "square", "diamond", "cross"]
Dash = Literal["solid", "dot", "dash"]
Align = Literal["left", "center", "right"]
VAlign = Literal["top", "middle", "bottom"]


@dataclass(frozen=True)
class Photo:
    """A picture that fills `extent`."""

    image: Image.Image
    extent: Extent


@dataclass(frozen=True)
class Heat:
    """A map of cells, `values` (h, w), over `extent`; row 0 lies at y0. On hover `hover_text` shows `hover` (h, w).

    Colours run from `low` to `high` along a scale of the theme, or evenly through colours of its own.
    """

    values: np.ndarray
    extent: Extent
    low: float
    high: float
    scale: Scale | tuple[str, ...]
    hover: np.ndarray | None = None
    hover_text: str = ""  # plotly template over x, y, z and customdata (`hover`), e.g. "row %{y}: %{customdata:.2f}"


@dataclass(frozen=True)
class Lines:
    """Strokes through (x, y); NaN starts a new stroke. `halo` parts them from a photo below, widths are in pixels."""

    x: np.ndarray
    y: np.ndarray
    color: str
    width: float = 1.5
    dash: Dash = "solid"
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
    shape: Shape = "circle"
    edge: str | None = None
    open: bool = False
    alpha: float = 1.0
    hover: Sequence[str] | None = None
    ids: np.ndarray | None = None
    name: str = ""


@dataclass(frozen=True)
class Hits:
    """Places (x, y) that answer to the pointer on the screen without being seen; `ids` as in `Points`."""

    x: np.ndarray
    y: np.ndarray
    ids: np.ndarray
    hover: Sequence[str]
    size: float = 14.0
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
    align: Align = "left"
    valign: VAlign = "middle"
    dx: float = 0.0
    dy: float = 0.0
    bold: bool = False
    box: str | None = None
    leader: bool = False


Mark = Photo | Heat | Lines | Points | Hits | Bars | Text
M = TypeVar("M", bound=Mark)


def in_theme(mark: Mark, theme: Theme) -> Any:
    """The mark with the colours of a light or a dark page in place of tokens and names of scales."""
    if isinstance(mark, Heat):
        return replace(mark, scale=color_scale(mark.scale, theme))
    colors = {name: getattr(mark, name, None) for name in ("color", "edge", "box")}
    return replace(mark, **{name: resolve(color, theme) for name, color in colors.items() if color is not None})


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
    """One pair of axes at `area`: left, top, right, bottom, the sides as fractions of the width, the others in pixels.

    With `ratio` one unit of y is drawn `ratio` times as long as one unit of x, and the axes shrink to fit, keeping the
    upper left corner. A `framed` panel has a thin line around it.
    """

    area: Area
    x: Axis
    y: Axis
    marks: Sequence[Mark] = field(default_factory=tuple)
    title: str = ""
    subtitle: str = ""
    ratio: float | None = None
    framed: bool = False

    def within(self, height: float) -> Extent:
        """The area as fractions x0, y0, x1, y1 of a figure `height` pixels high, y upwards as renderers count."""
        left, top, right, bottom = self.area
        return left, 1 - bottom / height, right, 1 - top / height


@dataclass(frozen=True)
class Drawing:
    """A whole figure: its panels and its size in pixels (width is nominal; the page may stretch it)."""

    panels: Sequence[Panel]
    width: int = 900
    height: int = 560

    @property
    def marks(self) -> list[Mark]:
        """All marks, panel by panel."""
        return [mark for panel in self.panels for mark in panel.marks]

    def of(self, kind: type[M]) -> list[M]:
        """All marks of a kind, such as `Heat`."""
        return [mark for mark in self.marks if isinstance(mark, kind)]

    def named(self, name: str) -> Any:
        """The first mark of that name; raises KeyError, naming those there are."""
        for mark in self.marks:
            if getattr(mark, "name", "") == name:
                return mark
        names = sorted({getattr(mark, "name", "") for mark in self.marks} - {""})
        raise KeyError(f"no mark is named {name!r}; there are {', '.join(names)}")


@dataclass(frozen=True)
class Picture:
    """A figure with what goes with it everywhere: one sentence, the same in words, and its data by column."""

    drawing: Drawing
    caption: str
    alt_text: str
    table: dict[str, list]
