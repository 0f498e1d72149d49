"""What the illustrations share: geometry, photos, boxes, labels, heat maps and colour bars, in plotly and matplotlib.

Everything that lies on the photo is drawn in pixels of the original photo, x to the right and y downwards.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from rtdetr_explained.illustrations.colors import ON_PHOTO, PHOTO_HALO, color_scale, palette, rgba, text_on

FONT_FAMILY = "'Source Sans', 'Source Sans 3', 'Segoe UI', system-ui, sans-serif"
FONT_PX, SMALL_PX = 13, 11  # plotly
FONT_PT, SMALL_PT = 9.0, 7.5  # matplotlib, for a page 9 inches wide
LEVEL_MARKERS = ("circle", "square", "diamond")  # S3, S4, S5 in plotly
LEVEL_MARKERS_MPL = ("o", "s", "D")
MAX_PHOTO_BYTES = 180_000  # of the JPEG; a third more as base64


# ---------------------------------------------------------------- geometry and text


def cxcywh_to_xyxy_px(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """(..., 4) boxes cxcywh in 0..1 to x0 y0 x1 y1 in pixels of an image of (width, height)."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([center - half, center + half], axis=-1) * np.tile(image_size, 2)


def place_labels(
    boxes: np.ndarray, sizes: Sequence[tuple[float, float]], image_size: tuple[int, int]
) -> list[tuple[float, float]]:
    """Top-left corners for the labels of boxes so that labels stay in the image and off each other where possible.

    Args:
        boxes: (n, 4) x0 y0 x1 y1 in pixels; earlier boxes choose first.
        sizes: n label sizes (width, height) in the same pixels.
        image_size: (width, height) of the image.
    """
    placed: list[tuple[float, float, float, float]] = []
    for (x0, y0, x1, y1), (w, h) in zip(np.asarray(boxes, float), sizes, strict=True):
        corners = [  # above, inside, below; flush left, then flush right
            (x, y) for x in (x0, x1 - w) for y in (y0 - h, y0, y1, y1 - h)
        ]
        best: tuple[float, float, float] | None = None
        for cx, cy in corners:
            x = min(max(cx, 0.0), max(image_size[0] - w, 0.0))
            y = min(max(cy, 0.0), max(image_size[1] - h, 0.0))
            overlap = sum(
                max(0.0, min(x + w, bx + bw) - max(x, bx)) * max(0.0, min(y + h, by + bh) - max(y, by))
                for bx, by, bw, bh in placed
            )
            cost = overlap + abs(x - cx) + abs(y - cy)  # px² and px: any overlap outweighs a small shift
            if best is None or cost < best[0]:
                best = (cost, x, y)
        assert best is not None
        placed.append((best[1], best[2], w, h))
    return [(float(x), float(y)) for x, y, _, _ in placed]


def shape_text(shape: Sequence[int]) -> str:
    """(256, 20, 20) as "256 × 20 × 20"."""
    return " × ".join(f"{n:,}" for n in shape)


def number(value: float) -> str:
    """A number for a colour bar or label: three significant digits, no exponent where it can be helped."""
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else str(value)
    return f"{value:.2e}" if abs(value) < 1e-4 or abs(value) >= 1e6 else f"{float(f'{value:.3g}'):,}".removesuffix(".0")


# ---------------------------------------------------------------- photos


def soft_photo(photo: Image.Image, theme: str, strength: float = 0.55) -> Image.Image:
    """The photo in grey, mixed with the page colour: the ground of a heat map. `strength` 1 keeps its contrast."""
    page = Image.new("RGB", photo.size, palette(theme).background)
    return Image.blend(page, photo.convert("L").convert("RGB"), strength)


def photo_uri(photo: Image.Image, max_side: int = 960) -> str:
    """The photo as a JPEG data URI of at most 250 kB, for a plotly layout image."""
    photo = photo.convert("RGB")
    for side, quality in ((max_side, 85), (max_side, 70), (max_side * 3 // 4, 65), (max_side // 2, 60)):
        small = photo.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MAX_PHOTO_BYTES:
            break
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


# ---------------------------------------------------------------- plotly


def plotly_base(theme: str, height: int = 560) -> go.Figure:
    """An empty figure in the theme's colours, as wide as its container, `height` pixels high."""
    colors = palette(theme)
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "paper_bgcolor": colors.background,
            "plot_bgcolor": rgba(colors.background, 0),
            "font": {"family": FONT_FAMILY, "size": FONT_PX, "color": colors.text},
            "hoverlabel": {
                "bgcolor": colors.surface,
                "bordercolor": colors.line,
                "font": {"family": FONT_FAMILY, "size": FONT_PX, "color": colors.text},
            },
            "showlegend": False,
            "dragmode": "pan",
        }
    )


def plotly_image_axes(
    figure: go.Figure,
    index: int,
    size: tuple[float, float],
    x_domain: tuple[float, float] = (0.0, 1.0),
    y_domain: tuple[float, float] = (0.0, 1.0),
    align: tuple[str, str] = ("center", "middle"),
) -> dict[str, str]:
    """Axes number `index` for an image of (width, height): y downwards, square pixels, no ticks.

    Domains are in 0..1 of the figure. Returns {"xaxis": ..., "yaxis": ...} for the traces on them.
    """
    suffix = "" if index == 1 else str(index)
    common = {"visible": False, "constrain": "domain"}
    figure.update_layout(
        {
            f"xaxis{suffix}": {
                "range": [0, size[0]],
                "domain": x_domain,
                "anchor": f"y{suffix}",
                "constraintoward": align[0],
                **common,
            },
            f"yaxis{suffix}": {
                "range": [size[1], 0],
                "domain": y_domain,
                "anchor": f"x{suffix}",
                "scaleanchor": f"x{suffix}",
                "constraintoward": align[1],
                **common,
            },
        }
    )
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}


def plotly_photo(figure: go.Figure, axes: dict[str, str], source: str, size: tuple[float, float]) -> None:
    """Lay an image (data URI, see `photo_uri`) under everything else, stretched over (width, height) of the axes."""
    figure.add_layout_image(
        source=source,
        xref=axes["xaxis"],
        yref=axes["yaxis"],
        x=0,
        y=0,
        sizex=size[0],
        sizey=size[1],
        sizing="stretch",
        layer="below",
    )


def plotly_boxes(
    figure: go.Figure,
    axes: dict[str, str],
    boxes: np.ndarray,
    color: str = ON_PHOTO,
    width: float = 2.0,
    dash: str = "solid",
) -> None:
    """(n, 4) boxes x0 y0 x1 y1 as outlines with a dark halo; without hover, which belongs to points at the centres."""
    if len(boxes) == 0:
        return
    x0, y0, x1, y1 = np.asarray(boxes, np.float32).T
    gap = np.full_like(x0, np.nan)
    xs = np.stack([x0, x1, x1, x0, x0, gap], axis=1).ravel()
    ys = np.stack([y0, y0, y1, y1, y0, gap], axis=1).ravel()
    outlines = ((rgba(PHOTO_HALO, 0.55), width + 2, "solid"), (color, width, dash))
    for line_color, line_width, line_dash in outlines:
        line = {"color": line_color, "width": line_width, "dash": line_dash}
        figure.add_scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", **axes)


def plotly_label(
    figure: go.Figure, axes: dict[str, str], x: float, y: float, text: str, fill: str, **options: Any
) -> None:
    """A chip with text whose top-left corner is at (x, y)."""
    figure.add_annotation(
        **{
            "x": x,
            "y": y,
            "xref": axes["xaxis"],
            "yref": axes["yaxis"],
            "text": text,
            "showarrow": False,
            "xanchor": "left",
            "yanchor": "top",
            "bgcolor": fill,
            "borderpad": 2,
            "font": {"size": SMALL_PX, "color": text_on(fill)},
            **options,
        }
    )


def plotly_text(figure: go.Figure, x: float, y: float, text: str, **options: Any) -> None:
    """Text at (x, y) in 0..1 of the figure (y upwards), flush left and top unless `options` say otherwise."""
    figure.add_annotation(
        **{
            "x": x,
            "y": y,
            "xref": "paper",
            "yref": "paper",
            "text": text,
            "showarrow": False,
            "xanchor": "left",
            "yanchor": "top",
            "align": "left",
            **options,
        }
    )


def plotly_heat(
    values: np.ndarray,
    size: tuple[float, float],
    kind: str,
    theme: str,
    value_range: tuple[float, float],
    name: str,
    colorbar: dict[str, Any] | None = None,
) -> go.Heatmap:
    """A (h, w) map stretched over (width, height) of its axes; hovering shows row, column and value.

    `kind` is a colour scale of `colors.color_scale`; without `colorbar` (see `plotly_colorbar`) none is drawn.
    """
    h, w = values.shape
    rows, columns = np.indices((h, w), dtype=np.uint16)
    return go.Heatmap(
        z=values.astype(np.float32),
        x0=size[0] / w / 2,
        dx=size[0] / w,
        y0=size[1] / h / 2,
        dy=size[1] / h,
        zmin=value_range[0],
        zmax=value_range[1],
        colorscale=color_scale(kind, theme),
        showscale=colorbar is not None,
        colorbar=colorbar,
        customdata=np.stack([rows, columns], axis=-1),
        hovertemplate=f"{name}<br>row %{{customdata[0]}}, column %{{customdata[1]}}: <b>%{{z:.3g}}</b><extra></extra>",
    )


def plotly_colorbar(
    theme: str, title: str, value_range: tuple[float, float], x: float, y: float, length: float, horizontal: bool = True
) -> dict[str, Any]:
    """A slim colour bar with its range; (x, y) is its left and top in 0..1 of the figure, `length` a fraction of it."""
    low, high = value_range
    ticks = [low, (low + high) / 2, high]
    return {
        "title": {"text": title, "side": "top" if horizontal else "right", "font": {"size": SMALL_PX}},
        "orientation": "h" if horizontal else "v",
        "x": x,
        "y": y,
        "xanchor": "left",
        "yanchor": "top",
        "len": length,
        "thickness": 9,
        "xpad": 0,
        "ypad": 0,
        "outlinewidth": 0,
        "tickvals": ticks,
        "ticktext": [number(t) for t in ticks],
        "tickfont": {"size": SMALL_PX, "color": palette(theme).muted},
        "ticks": "",
    }


# ---------------------------------------------------------------- matplotlib


def mpl_figure(theme: str, width: float = 9.0, height: float = 5.6) -> Figure:
    """An empty figure of `width` × `height` inches in the theme's page colour."""
    return Figure(figsize=(width, height), dpi=100, facecolor=palette(theme).background)


def mpl_cmap(kind: str, theme: str) -> LinearSegmentedColormap:
    """The colour scale `kind` of `colors.color_scale` for matplotlib."""
    stops = []
    for position, color in color_scale(kind, theme):
        if color.startswith("rgba"):
            *rgb, alpha = (float(part) for part in color[5:-1].split(","))
            stops.append((position, (*(c / 255 for c in rgb), alpha)))
        else:
            stops.append((position, color))
    return LinearSegmentedColormap.from_list(kind, stops)


def mpl_image_axes(
    figure: Figure, rect: tuple[float, float, float, float], size: tuple[float, float], anchor: str = "C"
) -> Axes:
    """Axes in `rect` (left, bottom, width, height in 0..1) for an image of (width, height): y down, square pixels."""
    axes = figure.add_axes(rect, anchor=anchor)
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0), aspect="equal", xticks=[], yticks=[], facecolor="none")
    axes.spines[:].set_visible(False)
    return axes


def mpl_photo(axes: Axes, photo: Image.Image, size: tuple[float, float], max_side: int = 960) -> None:
    """Lay the photo under everything else, stretched over (width, height) of the axes."""
    small = photo.convert("RGB")
    small.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    axes.imshow(
        np.asarray(small), extent=(0, size[0], size[1], 0), aspect="equal", interpolation="antialiased", zorder=0
    )


def mpl_boxes(axes: Axes, boxes: np.ndarray, color: str = ON_PHOTO, width: float = 1.5, linestyle: str = "-") -> None:
    """(n, 4) boxes x0 y0 x1 y1 as outlines with a dark halo."""
    for x0, y0, x1, y1 in np.asarray(boxes, float):
        halo = [withStroke(linewidth=width + 1.5, foreground=PHOTO_HALO, alpha=0.55)]
        axes.add_patch(
            Rectangle(
                (x0, y0), x1 - x0, y1 - y0, fill=False, ec=color, lw=width, ls=linestyle, path_effects=halo, zorder=3
            )
        )


def mpl_label(axes: Axes, x: float, y: float, text: str, fill: str) -> None:
    """A chip with text whose top-left corner is at (x, y)."""
    chip = {"boxstyle": "square,pad=0.2", "fc": fill, "ec": "none"}
    axes.text(x, y, text, fontsize=SMALL_PT, color=text_on(fill), ha="left", va="top", bbox=chip, zorder=5)


def mpl_heat(
    axes: Axes, values: np.ndarray, size: tuple[float, float], kind: str, theme: str, value_range: tuple[float, float]
) -> None:
    """A (h, w) map stretched over (width, height) of the axes, one flat square per cell."""
    axes.imshow(
        values.astype(np.float32),
        extent=(0, size[0], size[1], 0),
        aspect="equal",
        interpolation="nearest",
        cmap=mpl_cmap(kind, theme),
        norm=Normalize(*value_range),
        zorder=1,
    )


def mpl_colorbar(
    figure: Figure,
    rect: tuple[float, float, float, float],
    kind: str,
    theme: str,
    title: str,
    value_range: tuple[float, float],
    horizontal: bool = True,
) -> Colorbar:
    """A slim colour bar with its range, in `rect` (left, bottom, width, height in 0..1)."""
    colors = palette(theme)
    low, high = value_range
    ticks = [low, (low + high) / 2, high]
    axes = figure.add_axes(rect)
    bar = Colorbar(
        axes,
        cmap=mpl_cmap(kind, theme),
        norm=Normalize(low, high),
        orientation="horizontal" if horizontal else "vertical",
        ticks=ticks,
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    axes.tick_params(length=0, labelsize=SMALL_PT, labelcolor=colors.muted, pad=2)
    (axes.set_xticklabels if horizontal else axes.set_yticklabels)([number(t) for t in ticks])
    if horizontal:
        axes.set_title(title, fontsize=SMALL_PT, color=colors.text, loc="left", pad=3)
    else:
        bar.set_label(title, fontsize=SMALL_PT, color=colors.text)
    return bar
