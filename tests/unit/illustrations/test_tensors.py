"""Any tensor of a trace, to be looked at: its range, and slices of it."""

import numpy as np
import pytest

from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.tensors import (
    histogram_alt,
    leading_axes,
    slice_of,
    statistics,
)


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


def test_every_tensor_of_a_trace_can_be_looked_at(trace):
    for captured in (trace[name] for name in trace):
        part = slice_of(captured.array, captured.axes, [0] * len(leading_axes(captured.axes)), trace.class_names)
        assert part.values.ndim == 2
        assert len(part.row_names) == len(part.values)
