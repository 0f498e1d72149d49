"""Marks: the part of a photo that is shown, and what both renderers make of each kind of mark."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from rtdetr_explained.drawing.colors import ON_PHOTO, PHOTO_HALO, SELECTED, halo_color
from rtdetr_explained.drawing.layout import box_outline, photo_height, photo_part, region_around
from rtdetr_explained.drawing.marks import Axis, Bars, Drawing, Heat, Lines, Panel, Photo, Points, Text
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import MANY_POINTS, to_plotly

SIZE = (400, 300)
EMPTY = Panel((0.1, 0.1, 0.9, 0.9), Axis((0, 10)), Axis((8, 0)))


def both(*marks: Any, **panel: Any) -> tuple[Any, Any]:
    """The plotly figure and the matplotlib axes of one panel."""
    drawing = Drawing([replace(EMPTY, marks=marks, **panel)])
    return to_plotly(drawing, "light"), to_matplotlib(drawing, "light").axes[0]


@pytest.mark.parametrize(
    "boxes",
    [
        [[190, 140, 210, 160]],
        [[0, 0, 20, 20]],
        [[380, 280, 400, 300], [350, 250, 390, 290]],
        [[10, 10, 390, 290]],
        [[0, 0, 400, 300]],
        [[50, 140, 350, 150]],
        [[-60, 20, 30, 90]],
        [[-100, -100, 500, 400]],
        [[390, 100, 460, 120]],
    ],
)
def test_a_region_holds_its_boxes_in_the_aspect_of_the_photo(boxes: list[list[float]]) -> None:
    x0, y0, x1, y1 = region_around(np.array(boxes), SIZE)
    corners = np.array(boxes)
    assert x0 <= corners[:, 0].min() + 1e-9
    assert y0 <= corners[:, 1].min() + 1e-9
    assert x1 >= corners[:, 2].max() - 1e-9
    assert y1 >= corners[:, 3].max() - 1e-9
    assert (x1 - x0) / (y1 - y0) == pytest.approx(400 / 300)
    assert x1 - x0 >= 0.3 * 400 - 1e-9


def test_a_region_stays_inside_the_photo_when_its_boxes_do() -> None:
    for corner in ([0, 0, 20, 20], [380, 280, 400, 300], [0, 280, 20, 300], [100, 0, 300, 10]):
        x0, y0, x1, y1 = region_around(np.array([corner]), SIZE)
        assert min(x0, y0) >= 0
        assert x1 <= 400
        assert y1 <= 300


def test_a_region_leaves_room_around_its_boxes() -> None:
    x0, _, x1, _ = region_around(np.array([[100, 100, 200, 150]]), SIZE, room=0.6, least=0)
    assert x1 - x0 == pytest.approx(160)
    assert (x0 + x1) / 2 == pytest.approx(150)


def test_part_of_a_photo_keeps_its_place() -> None:
    """A photo at half the size of the original: the cut is made at whole pixels, and its extent says where."""
    pixels = np.arange(150 * 200, dtype=np.int32).reshape(150, 200)
    part = photo_part(Image.fromarray(pixels), SIZE, (101, 50, 233, 149))
    assert part.extent == (100, 50, 234, 150)
    np.testing.assert_array_equal(np.asarray(part.image), pixels[25:75, 50:117])


def test_part_of_a_photo_ends_at_the_photo() -> None:
    photo = Image.new("RGB", SIZE)
    assert photo_part(photo, SIZE, (-80, -60, 120, 90)).extent == (0, 0, 120, 90)
    outside = photo_part(photo, SIZE, (500, 400, 600, 475))
    assert min(outside.image.size) == 1


def test_wide_photos_need_less_height() -> None:
    assert photo_height((400, 300), width=400, most=320) == 300
    assert photo_height((1920, 1080), width=400) == 225
    assert photo_height((300, 900), most=310) == 310


def test_an_area_counts_pixels_from_the_top() -> None:
    assert Panel((0.1, 50, 0.9, 450), Axis((0, 1)), Axis((0, 1))).within(500) == pytest.approx((0.1, 0.1, 0.9, 0.9))


def test_strokes_over_a_photo_have_a_halo_of_the_other_lightness() -> None:
    assert halo_color(ON_PHOTO) == PHOTO_HALO
    assert halo_color(SELECTED) == ON_PHOTO
    x, y = box_outline(np.array([1, 2, 3, 4]))
    figure, axes = both(Lines(x, y, SELECTED, halo=True, name="box"))
    assert [trace.name for trace in figure.data] == [None, "box"]
    np.testing.assert_array_equal(figure.data[0].x, x)
    assert figure.data[0].line.width > figure.data[1].line.width
    assert len(axes.lines[0].get_path_effects()) == 1


def test_many_points_are_drawn_by_webgl() -> None:
    for count, kind in ((MANY_POINTS, "scatter"), (MANY_POINTS + 1, "scattergl")):
        figure, axes = both(Points(np.zeros(count), np.zeros(count), SELECTED))
        assert figure.data[0].type == kind
        assert len(axes.collections[0].get_offsets()) == count


def test_points_carry_shape_edge_and_number() -> None:
    one = np.ones(1)
    figure, axes = both(
        Points(one, one, SELECTED, shape="diamond", open=True),
        Points(one, one, SELECTED, edge=ON_PHOTO, hover=["query 7"], ids=np.array([7])),
    )
    assert figure.data[0].marker.symbol == "diamond-open"
    assert len(axes.collections[0].get_facecolor()) == 0
    assert figure.data[1].customdata[0] == 7
    assert figure.data[1].hovertext[0] == "query 7"
    assert figure.data[1].marker.line.color == ON_PHOTO
    assert to_hex(axes.collections[1].get_edgecolor()[0]).upper() == ON_PHOTO


def test_bars_and_cells_lie_where_they_are_put() -> None:
    values = np.array([[1.0, 2, 3], [4, 5, 6]])
    heat = Heat(values, (0, 0, 6, 4), 0, 6, ("#000000", "#FFFFFF"), values * 10, "%{customdata}")
    figure, axes = both(heat, Bars(np.array([2]), np.array([3.0]), SELECTED, left=1.0, height=0.5))
    cells, bar = figure.data
    assert (cells.x0, cells.dx, cells.y0, cells.dy) == (1, 2, 1, 2)
    np.testing.assert_array_equal(cells.customdata, values * 10)
    assert axes.images[0].get_extent() == [0, 6, 4, 0]
    assert (bar.base[0], bar.x[0], bar.y[0], bar.width) == (1, 3, 2, 0.5)
    assert axes.patches[0].get_bbox().bounds == (1, 1.75, 3, 0.5)


def test_a_panel_with_nothing_but_a_photo_is_drawn() -> None:
    figure, axes = both(Photo(Image.new("RGB", (20, 16)), (0, 0, 10, 8)), ratio=1)
    image = figure.layout.images[0]
    assert (image.x, image.y, image.sizex, image.sizey) == (0, 0, 10, 8)
    assert len(figure.data) == 1
    assert figure.layout.yaxis.scaleanchor == "x"
    assert axes.images[0].get_extent() == [0, 10, 8, 0]
    assert axes.get_aspect() == 1


def test_axes_have_the_same_ticks_titles_and_ranges() -> None:
    x = Axis((0, 10), "weight", (0, 5, 10), ["none", "half", "all"])
    figure, axes = both(Lines(np.arange(3), np.arange(3), SELECTED), x=x, title="Title", subtitle="below it")
    assert figure.layout.xaxis.ticktext == ("none", "half", "all")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["none", "half", "all"]
    assert figure.layout.xaxis.title.text == axes.get_xlabel() == "weight"
    assert figure.layout.yaxis.range == axes.get_ylim() == (8, 0)
    assert len(axes.get_yticks()) == 0
    assert [note.text for note in figure.layout.annotations] == ["<b>Title</b>", "below it"]


def test_words_can_have_two_lines_a_ground_and_a_leader() -> None:
    figure, axes = both(Text(1, 2, "two\nlines", SELECTED, dx=20, dy=10, box=ON_PHOTO, leader=True))
    note = figure.layout.annotations[0]
    assert note.text == "two<br>lines"
    assert (note.ax, note.ay, note.showarrow) == (20, -10, True)
    assert axes.texts[0].arrow_patch is not None
    assert to_hex(axes.texts[0].get_bbox_patch().get_facecolor()).upper() == ON_PHOTO


def test_numbers_travel_as_arrays() -> None:
    figure, _ = both(
        Points(np.arange(50), np.arange(50), SELECTED, size=np.arange(1, 51), ids=np.arange(50)),
        Bars(np.arange(5), np.arange(5), SELECTED),
    )
    points, bars = figure.to_plotly_json()["data"]
    for numbers in (points["x"], points["marker"]["size"], points["customdata"], bars["x"], bars["base"]):
        assert isinstance(numbers, np.ndarray) or "bdata" in numbers
