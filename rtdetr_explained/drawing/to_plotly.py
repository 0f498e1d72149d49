"""Draw a `Drawing` with plotly, for the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from rtdetr_explained.drawing.colors import Palette, Theme, halo_color, palette, rgba
from rtdetr_explained.drawing.marks import (
    FONT_PX,
    SMALL_PX,
    Axis,
    Bars,
    Drawing,
    Heat,
    Hits,
    Lines,
    Mark,
    Panel,
    Photo,
    Points,
    Text,
    in_theme,
)
from rtdetr_explained.drawing.photo import photo_uri

FONT_FAMILY = "'Source Sans', 'Source Sans 3', 'Segoe UI', system-ui, sans-serif"
MANY_POINTS = 1000  # above this, one SVG node per point is too slow and WebGL draws them
SHAPES = {"circle": "circle", "square": "square", "diamond": "diamond", "cross": "x"}


@dataclass
class Parts:
    """What a figure is made of, as plain dicts: plotly checks them once, at the end, not again with each part added."""

    traces: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)


def to_plotly(drawing: Drawing, theme: Theme) -> go.Figure:
    """The drawing as a plotly figure in the "light" or "dark" theme; it takes the width of the page."""
    parts = Parts()
    parts.layout |= {"margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "barmode": "overlay", "dragmode": "zoom"}
    for number, panel in enumerate(drawing.panels, start=1):
        add_panel(parts, panel, "" if number == 1 else str(number), drawing.height, palette(theme))
    layout = plotly_base(theme, drawing.height).layout.to_plotly_json() | parts.layout
    return go.Figure(parts.traces, layout | {"annotations": parts.annotations, "images": parts.images})


def add_panel(parts: Parts, panel: Panel, key: str, height: int, colors: Palette) -> None:
    """Add the axes number `key` ("" for the first) with everything in them."""
    x0, y0, x1, y1 = panel.within(height)
    x_axis: dict[str, Any] = {"domain": [x0, x1], "anchor": f"y{key}", **axis_layout(panel.x, colors)}
    y_axis: dict[str, Any] = {"domain": [y0, y1], "anchor": f"x{key}", **axis_layout(panel.y, colors)}
    if panel.y.opposite:
        y_axis["side"] = "right"
    if panel.ratio:
        x_axis |= {"constrain": "domain", "constraintoward": "left"}
        y_axis |= {"constrain": "domain", "constraintoward": "top"}
        y_axis |= {"scaleanchor": f"x{key}", "scaleratio": panel.ratio}
    if panel.framed:
        frame = {"showline": True, "mirror": True, "linecolor": colors.line, "linewidth": 1}
        x_axis, y_axis = x_axis | frame, y_axis | frame
    parts.layout |= {f"xaxis{key}": x_axis, f"yaxis{key}": y_axis}
    for mark in panel.marks:
        add_mark(parts, in_theme(mark, colors.theme), key)
    if not any(isinstance(mark, Heat | Lines | Points | Hits | Bars) for mark in panel.marks):
        # Axes without any trace are not drawn, not even their image.
        parts.traces.append({"type": "scatter", "x": [None], "y": [None], "xaxis": f"x{key}", "yaxis": f"y{key}"})
    heading = {"xref": f"x{key} domain", "yref": f"y{key} domain", "x": 0, "y": 1, "showarrow": False}
    heading |= {"xanchor": "left", "yanchor": "bottom", "align": "left"}
    if panel.title:
        shift = 19 if panel.subtitle else 4
        title = f"<b>{lines(panel.title)}</b>"
        parts.annotations.append(dict(text=title, yshift=shift, font={"size": FONT_PX}, **heading))
    if panel.subtitle:
        parts.annotations.append(
            dict(text=lines(panel.subtitle), yshift=3, font={"size": SMALL_PX, "color": colors.muted}, **heading)
        )


def axis_layout(axis: Axis, colors: Palette) -> dict[str, Any]:
    """One axis without its place."""
    layout: dict[str, Any] = {
        "range": list(axis.range),
        "zeroline": False,
        "showgrid": axis.grid,
        "gridcolor": colors.line,
        "title": {"text": lines(axis.title), "font": {"size": SMALL_PX, "color": colors.muted}, "standoff": 4},
        "ticks": "",
        "tickangle": 0,
        "tickfont": {"size": SMALL_PX, "color": colors.muted},
    }
    if axis.ticks is None:
        return layout | {"nticks": 6}
    if len(axis.ticks) == 0:
        return layout | {"showticklabels": False}
    labels = axis.labels if axis.labels is not None else [f"{tick:g}" for tick in axis.ticks]
    return layout | {"tickmode": "array", "tickvals": list(axis.ticks), "ticktext": [lines(label) for label in labels]}


def add_mark(parts: Parts, mark: Mark, key: str) -> None:
    """Add one mark to the axes number `key`."""
    axes = {"xaxis": f"x{key}", "yaxis": f"y{key}"}
    if isinstance(mark, Photo):
        x0, y0, x1, y1 = mark.extent
        parts.images.append(
            {
                "source": photo_uri(mark.image),
                "xref": f"x{key}",
                "yref": f"y{key}",
                "x": x0,
                "y": y0,
                "sizex": x1 - x0,
                "sizey": y1 - y0,
                "xanchor": "left",
                "yanchor": "top",
                "sizing": "stretch",
                "layer": "below",
            }
        )
    elif isinstance(mark, Heat):
        parts.traces.append(heat_trace(mark, axes))
    elif isinstance(mark, Lines):
        if mark.halo:
            line = {"color": rgba(halo_color(mark.color), 0.6 * mark.alpha), "width": mark.width + 2}
            parts.traces.append(
                dict(type="scatter", x=mark.x, y=mark.y, mode="lines", line=line, hoverinfo="skip", **axes)
            )
        line = {"color": mark.color, "width": mark.width, "dash": mark.dash}
        parts.traces.append(
            dict(
                type="scatter",
                x=mark.x,
                y=mark.y,
                mode="lines",
                line=line,
                opacity=mark.alpha,
                name=mark.name,
                **hover(mark),
                **axes,
            )
        )
    elif isinstance(mark, Points):
        kind = "scattergl" if len(mark.x) > MANY_POINTS else "scatter"
        marker: dict[str, Any] = {"size": mark.size, "symbol": SHAPES[mark.shape] + ("-open" if mark.open else "")}
        edge = mark.edge or mark.color
        marker |= {"color": edge if mark.open else mark.color, "opacity": mark.alpha}
        marker["line"] = {"color": edge, "width": 1.4 if mark.open else (1 if mark.edge else 0)}
        ids = None if mark.ids is None else np.asarray(mark.ids, np.int32)
        look: dict[str, Any] = {"mode": "markers", "marker": marker, "customdata": ids}
        parts.traces.append(dict(type=kind, x=mark.x, y=mark.y, name=mark.name, **look, **hover(mark), **axes))
    elif isinstance(mark, Hits):
        look = {"mode": "markers", "marker": {"size": mark.size, "opacity": 0}, "customdata": mark.ids}
        parts.traces.append(dict(type="scatter", x=mark.x, y=mark.y, name=mark.name, **look, **hover(mark), **axes))
    elif isinstance(mark, Bars):
        left = np.broadcast_to(mark.left, np.shape(mark.width))
        look = {"orientation": "h", "marker": {"color": mark.color, "line": {"width": 0}}}
        parts.traces.append(
            dict(
                type="bar",
                y=mark.y,
                x=mark.width,
                base=left,
                width=mark.height,
                name=mark.name,
                **look,
                **hover(mark),
                **axes,
            )
        )
    else:
        add_text(parts, mark, key)


def heat_trace(mark: Heat, axes: dict[str, str]) -> dict[str, Any]:
    """A map of cells; hover shows `mark.hover_text`."""
    (h, w), (x0, y0, x1, y1) = mark.values.shape, mark.extent
    scale = [[i / (len(mark.scale) - 1), color] for i, color in enumerate(mark.scale)]
    shown: dict[str, Any] = {"hoverinfo": "skip"}
    if mark.hover_text:
        shown = {"customdata": mark.hover, "hovertemplate": mark.hover_text + "<extra></extra>"}
    return dict(
        type="heatmap",
        z=mark.values,
        x0=x0 + (x1 - x0) / w / 2,
        dx=(x1 - x0) / w,
        y0=y0 + (y1 - y0) / h / 2,
        dy=(y1 - y0) / h,
        zmin=mark.low,
        zmax=mark.high,
        colorscale=scale,
        showscale=False,
        **shown,
        **axes,
    )


def hover(mark: Lines | Points | Hits | Bars) -> dict[str, Any]:
    """What a trace shows under the pointer: the mark's own sentences, or nothing."""
    if mark.hover is None:
        return {"hoverinfo": "skip"}
    return {"hovertext": list(mark.hover), "hoverinfo": "text"}


def add_text(parts: Parts, mark: Text, key: str) -> None:
    """Words as an annotation, with a thin line to their place when they have a leader."""
    place: dict[str, Any] = {"x": mark.x, "y": mark.y, "xref": f"x{key}", "yref": f"y{key}"}
    if mark.leader:
        place |= {"showarrow": True, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": mark.color, "standoff": 1}
        place |= {"ax": mark.dx, "ay": -mark.dy}
    else:
        place |= {"showarrow": False, "xshift": mark.dx, "yshift": mark.dy}
    parts.annotations.append(
        dict(
            text=f"<b>{lines(mark.text)}</b>" if mark.bold else lines(mark.text),
            font={"size": mark.size, "color": mark.color},
            xanchor=mark.align,
            yanchor=mark.valign,
            align=mark.align,
            bgcolor=rgba(mark.box, 0.8) if mark.box else None,
            borderpad=1,
            **place,
        )
    )


def lines(text: str) -> str:
    """Text as plotly takes it, which reads a little HTML: ends of lines are kept, and nothing else is read."""
    return escape(text, quote=False).replace("\n", "<br>")


def plotly_base(theme: Theme, height: int = 560) -> go.Figure:
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
