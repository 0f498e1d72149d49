"""The result of the denoising experiment as charts: loss, average precision and instability over the images seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtdetr_explained.drawing.colors import MUTED, POSITIVE, TEXT
from rtdetr_explained.drawing.marks import (
    SMALL_PX,
    Axis,
    Dash,
    Drawing,
    Lines,
    Mark,
    Panel,
    Picture,
    Points,
    Shape,
    Text,
)
from rtdetr_explained.experiments.result import ARMS, Result, alt_text, caption, name_of, table

WIDTH, HEIGHT, LEGEND = 1150, 340, 24
STYLES: tuple[tuple[str, Dash, Shape], ...]  # of the two arms, which differ by more than colour
STYLES = ((POSITIVE, "solid", "circle"), (TEXT, "dash", "square"))


@dataclass(frozen=True)
class Curve:
    """One line of a chart; what is unknown is NaN. A faint one is beside the point: it is thin and has no markers."""

    name: str
    x: np.ndarray
    y: np.ndarray
    arm: str
    markers: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Chart:
    """One of the three charts; `most` is the largest value that is possible, where there is one worth showing."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    most: float | None = None

    @property
    def top(self) -> float:
        """Where the y axis ends, which begins at 0."""
        largest = max(float(np.nanmax(curve.y, initial=0)) for curve in self.curves)
        return self.most or 1.05 * largest or 1.0


def charts(result: Result) -> list[Chart]:
    """The curves of both arms: loss, AP and AP50, changes of the matching."""

    def curves(part: str, values: str, prefix: str = "", markers: bool = False, faint: bool = False) -> list[Curve]:
        series = {arm: result["arms"][arm][part] for arm in ARMS}
        return [
            Curve(prefix + name_of(a), np.array(s["images"]), np.array(s[values], float), a, markers, faint)
            for a, s in series.items()
        ]

    loss, changes = curves("loss", "loss"), curves("instability", "changes", markers=True)
    precision = [*curves("evaluations", "AP", "AP ", markers=True), *curves("evaluations", "AP50", "AP50 ", faint=True)]
    most = 2 * result["objects_per_image"]
    return [
        Chart("Loss of the matching queries", "weighted sum of all terms", tuple(loss)),
        Chart("Average precision", "AP (thick), AP50 (thin)", tuple(precision)),
        Chart("Instability of the matching", f"changed tokens per image, of at most {most:.1f}", tuple(changes), most),
    ]


def picture(result: Result) -> Picture:
    """The three charts side by side."""
    drawn = charts(result)
    width = 1 / len(drawn)
    panels = [panel(chart, i * width, (i + 1) * width) for i, chart in enumerate(drawn)]
    return Picture(Drawing([*panels, legend()], WIDTH, HEIGHT), caption(result), alt_text(result), table(result))


def panel(chart: Chart, left: float, right: float) -> Panel:
    """One chart with its axes, which begin at 0."""
    last = max(int(curve.x[-1]) for curve in chart.curves)
    images, values = ticks(last), ticks(chart.top)
    return Panel(
        (left + 0.036, LEGEND + 44, right - 0.012, HEIGHT - 42),
        Axis((0, 1.02 * last), "training images", images, [f"{tick:,.0f}" for tick in images], grid=True),
        Axis((0, chart.top), "", values, [f"{tick:g}" for tick in values], grid=True),
        [mark for curve in chart.curves for mark in marks(curve)],
        chart.title,
        chart.unit,
        framed=True,
    )


def marks(curve: Curve) -> list[Mark]:
    """The line of a curve, and a marker at each of its epochs."""
    color, dash, shape = STYLES[ARMS.index(curve.arm)]
    hover = [f"{curve.name}<br>{x:,} images: <b>{y:.3g}</b>" for x, y in zip(curve.x, curve.y, strict=True)]
    line = Lines(curve.x, curve.y, color, 1 if curve.faint else 2, dash, hover=hover, name=curve.name)
    return [line, Points(curve.x, curve.y, color, 6, shape, hover=hover)] if curve.markers else [line]


def legend() -> Panel:
    """Which line is which arm, once for all charts."""
    swatches: list[Mark] = []
    for i, (arm, (color, dash, shape)) in enumerate(zip(ARMS, STYLES, strict=True)):
        x = np.array([0, 17, 34]) + 170 * i
        y = np.full(3, 0.5)
        swatches += [Lines(x, y, color, 2, dash), Points(x[1:2], y[:1], color, 6, shape)]
        swatches.append(Text(float(x[-1]), 0.5, name_of(arm), MUTED, SMALL_PX, dx=6))
    width = 0.5
    return Panel((0.036, 0, 0.036 + width, LEGEND), Axis((0, width * WIDTH)), Axis((1, 0)), swatches)


def ticks(top: float) -> list[float]:
    """From 0 to at most `top` in even steps of 1, 2 or 5 times a power of ten, at most five steps."""
    power = 10 ** math.floor(math.log10(top))
    step = next(n * power for n in (0.2, 0.5, 1, 2, 5) if top / (n * power) <= 5)
    return [step * i for i in range(math.floor(top / step + 1e-9) + 1)]
