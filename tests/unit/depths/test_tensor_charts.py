"""The charts of a tensor hold its numbers."""

from typing import Any

import numpy as np
import pytest

from app.depths.tensor_charts import histogram_figure, slice_figure
from rtdetr_explained.illustrations.tensors import leading_axes, slice_of


def traces(figure: Any, kind: str) -> list[Any]:
    """All traces of a kind."""
    return [trace for trace in figure.data if trace.type == kind]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_histogram_counts_every_finite_value(theme):
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    values[:7] = np.inf
    figure = histogram_figure(values, "activation", theme)
    (bars,) = traces(figure, "bar")
    assert np.nansum(bars.y) == 4993
    layout: Any = figure.layout
    assert layout.xaxis.title.text == "activation"
    assert layout.yaxis.type == "log"


def test_the_histogram_of_nothing_and_of_one_value():
    assert np.nansum(traces(histogram_figure(np.full(3, np.inf), "", "light"), "bar")[0].y) == 0
    assert np.nansum(traces(histogram_figure(np.full(9, 2.5), "", "light"), "bar")[0].y) == 9


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_heat_map_shows_the_slice(theme):
    array = np.random.default_rng(1).normal(size=(3, 6, 8)).astype(np.float16)
    part = slice_of(array, ("channel", "y", "x"), [2], ())
    figure = slice_figure(part, "activation", theme)
    (heat,) = traces(figure, "heatmap")
    assert np.array_equal(np.asarray(heat.z, np.float32), array[2].astype(np.float32))
    assert heat.zmin == -heat.zmax  # zero in the middle where values have signs
    layout: Any = figure.layout
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == ("x", "y")
    assert layout.yaxis.autorange == "reversed"


def test_the_largest_slice_stays_small():
    array = np.random.default_rng(2).normal(size=(4, 900, 900)).astype(np.float32)
    figure = slice_figure(slice_of(array, ("head", "query", "query_attended"), [0], ()), "weight", "light")
    assert len(str(figure.to_json())) < 1_000_000


def test_every_tensor_of_a_trace_can_be_seen(trace):
    for captured in (trace[name] for name in trace):
        part = slice_of(captured.array, captured.axes, [0] * len(leading_axes(captured.axes)), trace.class_names)
        if not part.is_table:
            slice_figure(part, captured.unit, "light")
        histogram_figure(captured.array, captured.unit, "dark")
