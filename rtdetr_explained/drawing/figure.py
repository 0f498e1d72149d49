"""What the illustrations share: sizes, geometry, photos, numbers as text, and the panels of maps and colour bars.

Everything that lies on the photo is drawn in pixels of the original photo or in cells of a map, y downwards.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from rtdetr_explained.drawing.colors import OVERLAY, PHOTO_HALO, color_scale, palette, rgba
from rtdetr_explained.drawing.marks import Axis, Extent, Heat, Mark, Panel, Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT_FAMILY = "'Source Sans', 'Source Sans 3', 'Segoe UI', system-ui, sans-serif"
FONT_PX, SMALL_PX = 13, 11
LEVEL_MARKERS = ("circle", "square", "diamond")  # S3, S4, S5
MAX_PHOTO_BYTES = 180_000  # of the JPEG; a third more as base64


# ---------------------------------------------------------------- geometry


def place_labels(
    boxes: np.ndarray, sizes: Sequence[tuple[float, float]], image_size: tuple[int, int]
) -> list[tuple[float, float] | None]:
    """Top-left corners for the labels of boxes, inside the image and off each other; None where there is no room.

    Args:
        boxes: (n, 4) x0 y0 x1 y1 in pixels; earlier boxes choose first.
        sizes: n label sizes (width, height) in the same pixels.
        image_size: (width, height) of the image.
    """
    corners: list[tuple[float, float] | None] = []
    taken: list[tuple[float, float, float, float]] = []  # x0 y0 x1 y1
    for (x0, y0, x1, y1), (w, h) in zip(np.asarray(boxes, float).tolist(), sizes, strict=True):
        choices = []
        for cx in (x0, x1 - w):  # flush left, flush right
            for cy in (y0 - h, y0, y1, y1 - h):  # above, inside, below, inside at the bottom
                x = min(max(cx, 0.0), max(image_size[0] - w, 0.0))
                y = min(max(cy, 0.0), max(image_size[1] - h, 0.0))
                if all(x >= right or x + w <= left or y >= below or y + h <= top for left, top, right, below in taken):
                    choices.append((abs(x - cx) + abs(y - cy), len(choices), x, y))
        if choices:
            _, _, x, y = min(choices)
            taken.append((x, y, x + w, y + h))
            corners.append((x, y))
        else:
            corners.append(None)
    return corners


# ---------------------------------------------------------------- numbers as text


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


# ---------------------------------------------------------------- photos


def soft_photo(photo: Image.Image, strength: float = 0.75) -> Image.Image:
    """The photo in grey and darkened, in both themes: the ground of an overlay. `strength` 1 only takes the colour."""
    dark = Image.new("RGB", photo.size, PHOTO_HALO)
    return Image.blend(dark, photo.convert("L").convert("RGB"), strength)


def photo_jpeg(photo: Image.Image, max_side: int = 960) -> bytes:
    """The photo as a JPEG of at most `MAX_PHOTO_BYTES`, or as small as it still can be seen."""
    photo = photo.convert("RGB")
    buffer = io.BytesIO()
    for side, quality in ((max_side, 85), (max_side, 70), (max_side * 3 // 4, 65), (max_side // 2, 60)):
        small = photo.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MAX_PHOTO_BYTES:
            break
    return buffer.getvalue()


def photo_uri(photo: Image.Image, max_side: int = 960) -> str:
    """The photo as a JPEG data URI of at most 250 kB, for a plotly layout image."""
    return "data:image/jpeg;base64," + base64.b64encode(photo_jpeg(photo, max_side)).decode()


# ---------------------------------------------------------------- maps


def channel_map(array: np.ndarray, channel: int | None) -> np.ndarray:
    """C h w to h w: one channel as it is, or the root mean square over all channels, sqrt(mean(x²))."""
    if channel is not None:
        return array[channel].astype(np.float32)
    return np.sqrt(np.mean(np.square(array.astype(np.float32)), axis=0))


def value_range(maps: Sequence[np.ndarray]) -> tuple[str, float, float]:
    """The colour scale that fits these maps, with its range: "diverging" around zero when some value is negative."""
    low = min(float(values.min()) for values in maps)
    high = max(float(values.max()) for values in maps)
    if low < 0:
        reach = max(-low, high)
        return "diverging", -reach, reach
    return "sequential", low, high if high > low else low + 1e-6


def cells(values: np.ndarray, kind: str, theme: str, low: float, high: float, name: str) -> Heat:
    """A map (h, w) in units of its cells: row r, column c has its centre at x = c, y = r. Hovering tells the value."""
    h, w = values.shape
    hover = f"{name}<br>row %{{y}}, column %{{x}}: <b>%{{z:.3g}}</b>"
    return Heat(
        values.astype(np.float32), (-0.5, -0.5, w - 0.5, h - 0.5), low, high, color_scale(kind, theme), hover_text=hover
    )


def map_panel(
    area: Extent,
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


def color_bar(area: Extent, kind: str, theme: str, low: float, high: float, title: str, scope: str) -> Panel:
    """A panel with nothing but a slim colour bar; see `color_bar_marks`."""
    marks = color_bar_marks((0, 0, 1, 1), kind, theme, number(low), number(high), title, scope)
    return Panel(area, Axis((0, 1)), Axis((1, 0)), marks)


def color_bar_marks(extent: Extent, kind: str, theme: str, low: str, high: str, title: str, scope: str) -> list[Mark]:
    """A colour bar: above it what is shown, below it the range and, in the middle, whose range it is.

    The words need 18 pixels above and below the extent, whose y points downwards.
    """
    x0, y0, x1, y1 = extent
    color = palette(theme).muted
    colors = (PHOTO_HALO, OVERLAY[-1][:7]) if kind == "overlay" else color_scale(kind, theme)  # as on the dark photo
    ramp = np.linspace(0, 1, 128, dtype=np.float32)[None]
    words = ((x0, low, "left"), ((x0 + x1) / 2, scope, "center"), (x1, high, "right"))
    return [
        Heat(ramp, extent, 0, 1, colors),
        Text(x0, y0, title, color, SMALL_PX, valign="bottom", dy=3),
        *(Text(x, y1, word, color, SMALL_PX, align, "top", dy=-2) for x, word, align in words),
    ]


# ---------------------------------------------------------------- empty figures


def plotly_base(theme: str, height: int = 560) -> go.Figure:
    """An empty figure in the theme's colours, as wide as its container, `height` pixels high."""
    colors = palette(theme)
    font = {"family": FONT_FAMILY, "size": FONT_PX, "color": colors.text}
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "paper_bgcolor": colors.background,
            "plot_bgcolor": rgba(colors.background, 0),
            "font": font,
            "hoverlabel": {"bgcolor": colors.surface, "bordercolor": colors.line, "font": font},
            "showlegend": False,
        }
    )


def mpl_figure(theme: str, width: float = 9.0, height: float = 5.6) -> Figure:
    """An empty figure of `width` × `height` inches in the theme's page colour."""
    from matplotlib.figure import Figure  # takes half a second, and only exports need it

    return Figure(figsize=(width, height), dpi=100, facecolor=palette(theme).background)
