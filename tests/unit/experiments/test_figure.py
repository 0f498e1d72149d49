"""The charts of the denoising experiment: whose curve is whose, and two renderers that draw the same."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from rtdetr_explained.drawing.colors import Theme
from rtdetr_explained.experiments import figure
from rtdetr_explained.experiments.result import ARMS, Result


def test_every_curve_is_that_of_the_arm_it_names(result: Result):
    """The arm with denoising ends at AP 0.5, loss 4 and 2 changes, the other one at 0.3, 7 and 5."""
    ends = {chart.slug: {curve.name: curve.y[-1] for curve in chart.curves} for chart in figure.charts(result)}
    assert ends["loss"] == {"with denoising": 4, "without denoising": 7}
    assert ends["instability"] == {"with denoising": 2.0, "without denoising": 5.0}
    assert ends["precision"] == pytest.approx(
        {
            "AP with denoising": 0.5,
            "AP without denoising": 0.3,
            "AP50 with denoising": 0.6,
            "AP50 without denoising": 0.4,
        }
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_arm_with_denoising_is_solid_green_and_named_so(result: Result, theme: Theme):
    for axes, chart in zip(figure.matplotlib_figure(result, theme).axes, figure.charts(result), strict=True):
        for line, curve in zip(axes.get_lines(), chart.curves, strict=True):
            solid = curve.name.endswith("with denoising")
            red, green, blue = to_rgb(line.get_color())
            assert (green > 1.3 * max(red, blue)) == solid == (line.get_linestyle() == "-")
            name = curve.name if curve.faint else curve.name.removeprefix("AP ")
            assert line.get_label() == ("_" * curve.faint) + name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_renderers_draw_the_same_curves(result: Result, theme: Theme):
    result["arms"][ARMS[1]]["evaluations"]["AP"][0] = None
    drawn = figure.matplotlib_figure(result, theme)
    interactive = figure.plotly_figures(result, theme)
    for chart, axes, other in zip(figure.charts(result), drawn.axes, interactive, strict=True):
        lines = axes.get_lines()
        traces: Any = other.data
        layout: Any = other.layout
        assert len(lines) == len(traces) == len(chart.curves)
        for curve, line, trace in zip(chart.curves, lines, traces, strict=True):
            assert list(np.asarray(line.get_xdata())) == list(trace.x) == curve.x
            wanted = [np.nan if value is None else value for value in curve.y]
            np.testing.assert_array_equal(np.asarray(line.get_ydata(), float), wanted)
            assert line.get_color() == trace.line.color
        styles = {(line.get_linestyle(), line.get_marker()) for line in lines}
        assert len(styles) >= 2  # the arms differ by more than the colour
        assert axes.get_xlabel() == layout.xaxis.title.text == "training images"
        assert axes.get_ylabel() == layout.yaxis.title.text == chart.unit
        assert axes.get_ylim()[1] == pytest.approx(layout.yaxis.range[1])
    assert drawn.axes[2].get_ylim()[1] == 10.0  # twice the objects of an image


def test_a_chart_of_nothing_but_zeros_has_an_axis(result: Result):
    for arm in ARMS:
        result["arms"][arm]["evaluations"] |= {"AP": [0.0] * 3, "AP50": [0.0] * 3}
    assert figure.matplotlib_figure(result).axes[1].get_ylim() == (0, 1)
