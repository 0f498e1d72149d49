"""Any tensor of a trace, to be looked at: its range, its histogram, and slices of it."""

from typing import Any

import numpy as np
import pytest

from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.tensors import (
    histogram_alt,
    histogram_figure,
    leading_axes,
    slice_figure,
    slice_of,
    statistics,
)


def traces(figure: Any, kind: str) -> list[Any]:
    """All traces of a kind."""
    return [trace for trace in figure.data if trace.type == kind]


def test_statistics_are_of_the_finite_values():
    found = statistics(np.array([1.0, np.inf, -3.0, np.nan, -np.inf, 5.0]))
    assert (found.finite, found.infinite, found.undefined) == (3, 2, 1)
    assert (found.least, found.mean, found.greatest) == (-3, 1, 5)
    assert found.remark == "2 infinite, 1 not a number"


def test_statistics_of_what_has_no_finite_value():
    found = statistics(np.array([np.inf, np.inf]))
    assert (found.least, found.mean, found.greatest) == (None, None, None)
    assert histogram_alt(found, "logit") == "No finite values."


def test_statistics_of_a_mask_and_of_half_precision():
    assert statistics(np.array([True, False, True, True])).mean == 0.75
    assert statistics(np.full(70_000, 0.1, np.float16)).mean == pytest.approx(0.1, abs=1e-4)


def test_a_slice_is_the_last_two_axes():
    array = np.arange(24).reshape(2, 3, 4)
    axes = ("head", "token", "token_attended")
    assert leading_axes(axes) == ("head",)
    part = slice_of(array, axes, [1], ())
    assert np.array_equal(part.values, array[1])
    assert (part.row_axis, part.column_axis) == ("token", "token_attended")
    assert part.row_names == ("0", "1", "2")
    assert not part.is_table


def test_boxes_and_lists_are_tables_with_names():
    boxes = slice_of(np.zeros((5, 4)), ("query", "cxcywh"), [], ())
    assert boxes.column_names == ("cx", "cy", "w", "h")
    assert boxes.is_table
    numbers = slice_of(np.array([7, 8, 9]), ("query",), [], ())
    assert numbers.values.tolist() == [[7], [8], [9]]
    assert numbers.column_names == ("value",)
    assert numbers.is_table


def test_classes_are_named():
    part = slice_of(np.zeros((5, 3)), ("query", "class"), [], ("cup", "fork", "knife"))
    assert part.column_names == ("cup", "fork", "knife")
    assert slice_of(np.zeros((5, 2)), ("query", "class"), [], ("cup", "fork", "knife")).column_names == ("0", "1")


def test_a_long_tensor_is_shown_in_parts():
    array = np.arange(8400 * 80, dtype=np.float32).reshape(8400, 80)
    part = slice_of(array, ("token", "class"), [], (), first_row=8000)
    assert part.values.size <= 90_000
    assert part.all_rows == 8400
    assert part.row_names[-1] == "8399"
    assert np.array_equal(part.values, array[part.first_row : part.first_row + len(part.values)])


@pytest.mark.parametrize("at", [[], [2], [0, 0], [-1]])
def test_an_index_that_does_not_exist_is_said(at):
    with pytest.raises(InputError, match="no index"):
        slice_of(np.zeros((2, 3, 4)), ("head", "token", "channel"), at, ())


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
        assert part.values.ndim == 2
        assert len(part.row_names) == len(part.values)
        if not part.is_table:
            slice_figure(part, captured.unit, "light")
        histogram_figure(captured.array, captured.unit, "dark")
