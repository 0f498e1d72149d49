"""The result of the denoising experiment as charts: loss, average precision and instability over the images seen."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill

import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from rtdetr_explained.drawing.colors import POSITIVE, Palette, Theme, palette
from rtdetr_explained.drawing.marks import FONT_PX, SMALL_PX
from rtdetr_explained.drawing.to_plotly import plotly_base
from rtdetr_explained.experiments.result import ARMS, Result, caption, name_of


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
    """One of the three charts; `most` is the largest value that is possible, where there is one worth showing."""

    slug: str
    title: str
    unit: str
    curves: tuple[Curve, ...]
    most: float | None = None

    def top(self) -> float:
        """Where the y axis ends, which begins at 0."""
        largest = max((value for curve in self.curves for value in curve.y if value is not None), default=0)
        return self.most or 1.05 * largest or 1.0


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
        Chart("loss", "Loss of the matching queries", "loss, weighted sum of all terms", loss),
        Chart("precision", "Average precision", "AP (thick), AP50 (thin)", tuple(precision)),
        Chart(
            "instability",
            "Instability of the matching",
            f"changed tokens per image, of at most {most:.1f}",
            changes,
            most,
        ),
    ]


def color_of(curve: Curve, colors: Palette) -> str:
    """Green for the arm with denoising; the other one has the colour of the text, dashes and squares."""
    return POSITIVE if curve.arm == ARMS[0] else colors.text


def matplotlib_figure(result: Result, theme: Theme = "light") -> Figure:
    """The three charts side by side with the caption below, for export."""
    colors = palette(theme)
    figure = Figure(figsize=(11.5, 4.6), layout="constrained", facecolor=colors.background)
    for axes, chart in zip(figure.subplots(1, 3), charts(result), strict=True):
        for curve in chart.curves:
            line, marker = ("-", "o") if curve.arm == ARMS[0] else ("--", "s")
            axes.plot(
                curve.x,
                [float("nan") if value is None else value for value in curve.y],
                color=color_of(curve, colors),
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
        axes.set_ylim(0, chart.top())
        axes.set_xlim(0)
        axes.tick_params(colors=colors.muted)
        axes.grid(color=colors.line, linewidth=0.5)
        axes.spines[:].set_color(colors.line)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.legend(frameon=False, fontsize=9, labelcolor=colors.text)
    figure.supxlabel(fill(caption(result), 165), x=0.01, ha="left", fontsize=8.5, color=colors.muted)
    return figure


def plotly_figures(result: Result, theme: Theme) -> list[go.Figure]:
    """One interactive figure for each chart."""
    return [_plotly(chart, theme) for chart in charts(result)]


def _plotly(chart: Chart, theme: Theme) -> go.Figure:
    colors = palette(theme)
    lines = []
    for curve in chart.curves:
        dash, marker = ("solid", "circle") if curve.arm == ARMS[0] else ("dash", "square")
        lines.append(
            go.Scatter(
                x=curve.x,
                y=curve.y,
                name=name_of(curve.arm),
                mode="lines+markers" if curve.markers else "lines",
                line={"color": color_of(curve, colors), "width": 1 if curve.faint else 2, "dash": dash},
                marker={"symbol": marker, "size": 6},
                showlegend=not curve.faint,
                hovertemplate=f"{curve.name}<br>%{{x:,}} images: <b>%{{y:.3g}}</b><extra></extra>",
            )
        )
    small = {"size": SMALL_PX, "color": colors.muted}
    axis = {
        "gridcolor": colors.line,
        "linecolor": colors.line,
        "zeroline": False,
        "fixedrange": True,
        "tickfont": small,
    }
    figure = plotly_base(theme, height=340)
    figure.add_traces(lines)
    figure.update_layout(
        title={"text": f"<b>{chart.title}</b>", "font": {"size": FONT_PX}, "x": 0, "y": 0.98},
        xaxis={**axis, "title": {"text": "training images", "font": small}, "rangemode": "tozero", "tickformat": ","},
        yaxis={**axis, "title": {"text": chart.unit, "font": small}, "range": [0, chart.top()]},
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": SMALL_PX}},
        margin={"l": 48, "r": 12, "t": 64, "b": 44},
    )
    return figure
