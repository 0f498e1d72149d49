"""The two charts of a tensor, for the screen alone: how often which values occur, and a slice of it as a heat map."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from rtdetr_explained.drawing.colors import Theme, color_scale, palette
from rtdetr_explained.drawing.maps import value_range
from rtdetr_explained.drawing.marks import FONT_PX
from rtdetr_explained.drawing.to_plotly import plotly_base
from rtdetr_explained.illustrations.tensors import Slice

BINS = 48


def histogram_figure(array: np.ndarray, unit: str, theme: Theme) -> go.Figure:
    """How often which values occur, on a logarithmic scale: a few great values matter as much as many small ones."""
    colors = palette(theme)
    values = array.astype(np.float32).ravel()
    counts, edges = np.histogram(values[np.isfinite(values)], BINS)
    figure = plotly_base(theme, 230)
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=np.where(counts > 0, counts, np.nan),
        width=np.diff(edges),
        marker={"color": colors.parameters, "line": {"width": 0}},
        customdata=np.stack([edges[:-1], edges[1:]], axis=1),
        hovertemplate="%{customdata[0]:.4g} to %{customdata[1]:.4g}: <b>%{y:,}</b> values<extra></extra>",
    )
    title = {"font": {"size": FONT_PX}}
    axis = {"gridcolor": colors.line, "zerolinecolor": colors.line, "linecolor": colors.line, "automargin": True}
    figure.update_xaxes(title=title | {"text": unit or "value"}, **axis)
    span = [-0.2, np.log10(max(counts.max(), 1)) + 0.1]  # a little below one, so that single values can be seen
    figure.update_yaxes(
        title=title | {"text": "values (log scale)"}, type="log", range=span, dtick=1, exponentformat="power", **axis
    )
    return figure.update_layout(bargap=0)


def slice_figure(part: Slice, unit: str, theme: Theme, height: int = 430) -> go.Figure:
    """The slice as a heat map, the first row on top; zero lies in the middle of the colours where values have signs."""
    colors = palette(theme)
    values = part.values.astype(np.float32)
    finite = values[np.isfinite(values)]
    kind, low, high = value_range([finite]) if finite.size else ("sequential", 0.0, 1.0)
    scale = color_scale(kind, theme)
    columns = list(part.column_names) if part.column_axis == "class" else None
    figure = plotly_base(theme, height)
    figure.add_heatmap(
        z=values,
        x=columns,
        y0=part.first_row,
        dy=1,
        zmin=low,
        zmax=high,
        colorscale=[[i / (len(scale) - 1), color] for i, color in enumerate(scale)],
        colorbar={
            "thickness": 10,
            "outlinewidth": 0,
            "title": {"text": unit or "value", "side": "right", "font": {"size": FONT_PX}},
        },
        hovertemplate=f"{part.row_axis} %{{y}}, {part.column_axis} %{{x}}: <b>%{{z:.4g}}</b><extra></extra>",
    )
    title = {"font": {"size": FONT_PX}}
    axis = {"showgrid": False, "zeroline": False, "automargin": True, "linecolor": colors.line}
    figure.update_xaxes(title=title | {"text": part.column_axis}, **axis)
    figure.update_yaxes(title=title | {"text": part.row_axis}, autorange="reversed", **axis)
    if (part.row_axis, part.column_axis) == ("y", "x"):
        figure.update_yaxes(scaleanchor="x", constrain="domain")
        figure.update_xaxes(constrain="domain")
    return figure
