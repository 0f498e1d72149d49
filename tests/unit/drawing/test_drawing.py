"""What the illustrations share: geometry, labels, numbers, photos, maps."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from rtdetr_explained.drawing import layout, maps
from rtdetr_explained.drawing.colors import PHOTO_HALO
from rtdetr_explained.drawing.marks import Heat, Text
from rtdetr_explained.drawing.photo import photo_uri, soft_photo
from rtdetr_explained.drawing.text import box_text, number, shape_text


def test_corners_are_written_with_true_minus_signs() -> None:
    assert box_text((254.4, -1.2, 279.6, -0.3)) == "254, −1 – 280, 0"


def test_labels_stay_in_the_image_and_off_each_other() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 300, (40, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 60, (40, 2))], axis=1)
    places = layout.place_labels(boxes, [(50.0, 12.0)] * 40, (320, 320))
    placed = [place for place in places if place is not None]
    assert len(placed) > 20
    for i, (x, y) in enumerate(placed):
        assert 0 <= x <= 270
        assert 0 <= y <= 308
        assert all(abs(x - u) >= 50 or abs(y - v) >= 12 for u, v in placed[:i])


def test_a_label_stands_above_its_box_where_there_is_room_and_inside_at_the_top_edge() -> None:
    places = layout.place_labels(np.array([[100, 100, 200, 200], [300, 0, 380, 90]]), [(40, 10)] * 2, (400, 400))
    assert places == [(100, 90), (300, 0)]


def test_where_all_places_are_taken_there_is_no_label() -> None:
    box = np.array([[0, 0, 30, 10]])
    places = layout.place_labels(np.repeat(box, 3, axis=0), [(30, 10)] * 3, (30, 20))
    assert places == [(0, 0), (0, 10), None]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.123456, "0.123"), (-3.14159, "−3.14"), (1234.5, "1,230"), (12.0, "12"), (4.2e-7, "4.20e−07")],
)
def test_numbers_keep_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_shape_text() -> None:
    assert shape_text((256, 1000, 20)) == "256×1,000×20"


def test_a_photo_is_a_small_jpeg_with_its_own_proportions() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (960, 1280, 3), dtype=np.uint8)
    uri = photo_uri(Image.fromarray(noise))
    assert len(uri) < 250_000
    head, data = uri.split(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.format == "JPEG"
    assert image.width / image.height == pytest.approx(4 / 3, rel=0.01)


def test_a_soft_photo_is_grey_and_darker_but_keeps_what_is_seen() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    photo = Image.fromarray(colours)
    soft = np.asarray(soft_photo(photo), float)
    grey = np.asarray(photo.convert("L"), float)
    halo = np.array([int(PHOTO_HALO[i : i + 2], 16) for i in (1, 3, 5)])
    np.testing.assert_allclose(soft, 0.25 * halo + 0.75 * grey[..., None], atol=1)


def test_a_channel_map_is_the_channel_or_the_root_mean_square() -> None:
    array = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float16)
    np.testing.assert_array_equal(maps.channel_map(array, 2), array[2].astype(np.float32))
    expected = [[np.sqrt(sum(float(x) ** 2 for x in array[:, r, c]) / 5) for c in range(4)] for r in range(3)]
    np.testing.assert_allclose(maps.channel_map(array, None), expected, rtol=1e-5)


def test_signed_values_get_a_range_around_zero() -> None:
    assert maps.value_range([np.array([0.5, 2.0]), np.array([1.0, 3.0])]) == ("sequential", 0.5, 3.0)
    assert maps.value_range([np.array([-4.0, 2.0]), np.array([1.0, 3.0])]) == ("diverging", -4.0, 4.0)
    _, low, high = maps.value_range([np.zeros(3)])
    assert low < high


def test_a_map_panel_has_the_proportions_of_the_photo_and_cells_at_whole_numbers() -> None:
    heat = maps.cells(np.arange(6.0).reshape(2, 3), "sequential", 0, 5, "map")
    panel = maps.map_panel((0, 0, 1, 1), (2, 3), (600, 200), [heat])
    assert heat.extent == (-0.5, -0.5, 2.5, 1.5)
    assert panel.x.range == (-0.5, 2.5)
    assert panel.y.range == (1.5, -0.5)  # row 0 on top
    assert panel.ratio == pytest.approx((200 / 2) / (600 / 3))


def test_a_colour_bar_says_what_is_shown_and_whose_range_it_is() -> None:
    panel = maps.color_bar((0, 0, 1, 0.1), "sequential", 0.25, 4.0, "RMS over channels", "range of S3")
    texts = [mark.text for mark in panel.marks if isinstance(mark, Text)]
    assert texts == ["RMS over channels", "0.25", "range of S3", "4"]
    assert any(isinstance(mark, Heat) for mark in panel.marks)


def test_the_colour_bar_of_an_overlay_shows_it_on_its_dark_ground() -> None:
    marks = maps.color_bar_marks((0, 0, 1, 1), "overlay", "0", "1", "weight", "range")
    heat = next(mark for mark in marks if isinstance(mark, Heat))
    assert heat.scale == "overlay_bar"
