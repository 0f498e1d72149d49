"""The result of the denoising experiment as charts: loss, average precision and instability over the images seen."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill

import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from rtdetr_explained.experiments.result import ARMS, Result, caption, name_of
from rtdetr_explained.illustrations.colors import POSITIVE, Palette, palette
from rtdetr_explained.illustrations.drawing import FONT_FAMILY, FONT_PX, SMALL_PX

DASHES = {"-": "solid", "--": "dash", ":": "dot"}


@dataclass(frozen=True)
class Curve:
    """One line of a chart. A faint one is beside the point: it is thin and has no markers."""

    name: str
    x: list[int]
    y: list[float | None]
    arm: str
    markers: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Chart:
    """One of the three charts; `top` is where its y axis ends, None where the curves end."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    top: float | None = None


def charts(result: Result) -> list[Chart]:
    """What is drawn, whoever draws it."""
    arms = {arm: result["arms"][arm] for arm in ARMS}
    loss = tuple(Curve(name_of(a), c["loss"]["images"], c["loss"]["loss"], a) for a, c in arms.items())
    precision = [
        Curve(
            f"{metric} {name_of(a)}",
            c["evaluations"]["images"],
            c["evaluations"][metric],
            a,
            metric == "AP",
            metric != "AP",
        )
        for metric in ("AP", "AP50")
        for a, c in arms.items()
    ]
    changes = tuple(
        Curve(name_of(a), c["instability"]["images"], c["instability"]["changes"], a, True) for a, c in arms.items()
    )
    most = 2 * result["objects_per_image"]
    return [
        Chart("Loss of the matching queries", "loss, weighted sum of all terms", loss),
        Chart("Average precision", "AP (thick), AP50 (thin)", tuple(precision), 1.0),
        Chart(
            "Instability of the matching",
            f"tokens per image that changed their object (at most {most:.1f})",
            changes,
            None,
        ),
    ]


def style(curve: Curve, colors: Palette) -> tuple[str, str, str]:
    """Colour, matplotlib line style and marker of a curve."""
    with_denoising = curve.arm == ARMS[0]
    return (POSITIVE, "-", "o") if with_denoising else (colors.text, "--", "s")


def matplotlib_figure(result: Result, theme: str = "light") -> Figure:
    """The three charts side by side with the caption below, for export."""
    colors = palette(theme)
    figure = Figure(figsize=(11.5, 4.6), layout="constrained", facecolor=colors.background)
    for axes, chart in zip(figure.subplots(1, 3), charts(result), strict=True):
        for curve in chart.curves:
            color, line, marker = style(curve, colors)
            axes.plot(
                curve.x,
                [float("nan") if value is None else value for value in curve.y],
                color=color,
                linestyle=line,
                linewidth=0.9 if curve.faint else 1.7,
                marker=marker if curve.markers else None,
                markersize=4,
                label="_" + curve.name if curve.faint else name_of(curve.arm),
            )
        axes.set_facecolor(colors.background)
        axes.set_title(chart.title, loc="left", fontsize=11, color=colors.text)
        axes.set_xlabel("training images", color=colors.muted)
        axes.set_ylabel(chart.unit, color=colors.muted)
        axes.set_ylim(0, chart.top)
        axes.set_xlim(0)
        axes.tick_params(colors=colors.muted)
        axes.grid(color=colors.line, linewidth=0.5)
        axes.spines[:].set_color(colors.line)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.legend(frameon=False, fontsize=9, labelcolor=colors.text)
    figure.supxlabel(fill(caption(result), 190), x=0.01, ha="left", fontsize=8.5, color=colors.muted)
    return figure


def plotly_figures(result: Result, theme: str) -> list[go.Figure]:
    """One interactive figure for each chart."""
    colors = palette(theme)
    return [_plotly(chart, colors) for chart in charts(result)]


def _plotly(chart: Chart, colors: Palette) -> go.Figure:
    lines = []
    for curve in chart.curves:
        color, dash, marker = style(curve, colors)
        lines.append(
            go.Scatter(
                x=curve.x,
                y=curve.y,
                name=curve.name,
                mode="lines+markers" if curve.markers else "lines",
                line={"color": color, "width": 1 if curve.faint else 2, "dash": DASHES[dash]},
                marker={"symbol": "circle" if marker == "o" else "square", "size": 6},
                showlegend=not curve.faint,
                hovertemplate=f"{curve.name}<br>%{{x:,}} images: <b>%{{y:.3g}}</b><extra></extra>",
            )
        )
    axis = {"gridcolor": colors.line, "linecolor": colors.line, "zeroline": False, "fixedrange": True}
    small = {"size": SMALL_PX, "color": colors.muted}
    figure = go.Figure(lines)
    figure.update_layout(
        title={"text": chart.title, "font": {"size": FONT_PX + 1, "color": colors.text}, "x": 0, "y": 0.98},
        font={"family": FONT_FAMILY, "size": FONT_PX, "color": colors.text},
        xaxis={**axis, "title": {"text": "training images", "font": small}, "tickfont": small, "rangemode": "tozero"},
        yaxis={**axis, "title": {"text": chart.unit, "font": small}, "tickfont": small},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": SMALL_PX}},
        paper_bgcolor=colors.background,
        plot_bgcolor=colors.background,
        margin={"l": 8, "r": 8, "t": 62, "b": 8},
        height=330,
    )
    figure.update_yaxes(range=[0, chart.top or _top(chart)])
    return figure


def _top(chart: Chart) -> float:
    return 1.05 * max(value for curve in chart.curves for value in curve.y if value is not None)
