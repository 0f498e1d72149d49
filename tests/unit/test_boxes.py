"""Box arithmetic: known boxes, and laws that hold for all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rtdetr_explained.boxes import cxcywh_to_xyxy, cxcywh_to_xyxy_px, iou, xyxy_to_cxcywh

SIDES = st.integers(1, 10_000)


@st.composite
def corners(draw: st.DrawFn, count: int = 5) -> np.ndarray:
    """Boxes x0 y0 x1 y1 of at least one unit."""
    low = draw(arrays(np.float64, (count, 2), elements=st.integers(-1000, 1000)))
    sides = draw(arrays(np.float64, (count, 2), elements=st.integers(1, 1000)))
    return np.concatenate([low, low + sides], axis=1)


def test_boxes_become_pixel_corners() -> None:
    boxes = np.array([[0.5, 0.5, 1.0, 1.0], [0.25, 0.5, 0.1, 0.2]])
    np.testing.assert_allclose(cxcywh_to_xyxy_px(boxes, (200, 100)), [[0, 0, 200, 100], [40, 40, 60, 60]])
    np.testing.assert_allclose(cxcywh_to_xyxy_px(boxes[1], (200, 100)), [40, 40, 60, 60])


@pytest.mark.parametrize(
    ("other", "expected"),
    [([0, 0, 2, 2], 1), ([1, 0, 3, 2], 1 / 3), ([2, 0, 4, 2], 0), ([5, 5, 6, 6], 0), ([1, 1, 1, 1], 0)],
)
def test_overlap_of_known_boxes(other: list[int], expected: float) -> None:
    assert iou(np.array([0.0, 0, 2, 2]), np.array(other)) == pytest.approx(expected)


def test_boxes_without_area_overlap_with_nothing() -> None:
    assert iou(np.zeros((3, 4)), np.zeros(4)).tolist() == [0, 0, 0]


@given(corners())
def test_there_and_back_is_the_same_box(boxes: np.ndarray) -> None:
    np.testing.assert_allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes, atol=1e-9)


@given(corners(), SIDES, SIDES)
def test_pixels_are_parts_of_the_image_times_its_size(boxes: np.ndarray, width: int, height: int) -> None:
    pixels = cxcywh_to_xyxy_px(xyxy_to_cxcywh(boxes), (width, height))
    np.testing.assert_allclose(pixels[:, 0::2], boxes[:, 0::2] * width, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(pixels[:, 1::2], boxes[:, 1::2] * height, rtol=1e-9, atol=1e-6)


@given(corners(), corners())
def test_overlap_is_a_share_and_the_same_from_both_sides(a: np.ndarray, b: np.ndarray) -> None:
    pairs = iou(a[:, None], b)
    assert pairs.shape == (5, 5)
    assert ((pairs >= 0) & (pairs <= 1)).all()
    np.testing.assert_array_equal(pairs, iou(b[:, None], a).T)
    np.testing.assert_array_equal(np.diag(pairs), iou(a, b))
    np.testing.assert_array_equal(iou(a, a), np.ones(5))


@given(corners(), corners(), SIDES, SIDES)
def test_overlap_does_not_depend_on_the_unit(a: np.ndarray, b: np.ndarray, width: int, height: int) -> None:
    scale = np.tile([width, height], 2)
    np.testing.assert_allclose(iou(a * scale, b * scale), iou(a, b), atol=1e-9)


@given(*[st.tuples(*[st.integers(0, 12)] * 2).map(sorted) for _ in range(4)])
def test_overlap_counts_cells(ax: list[int], ay: list[int], bx: list[int], by: list[int]) -> None:
    painted = np.zeros((2, 12, 12), bool)
    painted[0, ay[0] : ay[1], ax[0] : ax[1]] = True
    painted[1, by[0] : by[1], bx[0] : bx[1]] = True
    expected = (painted[0] & painted[1]).sum() / max((painted[0] | painted[1]).sum(), 1)
    boxes = np.array([[ax[0], ay[0], ax[1], ay[1]], [bx[0], by[0], bx[1], by[1]]])
    assert iou(boxes[0], boxes[1]) == pytest.approx(expected)
