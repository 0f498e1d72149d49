from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from rtdetr_explained.data import augment as module
from rtdetr_explained.data.augment import Sample, augment, iou_crop, multi_scale_sides, photometric_distort, sanitise

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
Change = Callable[[np.random.Generator, Sample], Sample]


def rectangles(width: int = 200, height: int = 120) -> Sample:
    """Three rectangles, each in a colour of its own, on grey; label k has colour k."""
    pixels = np.full((height, width, 3), 90, np.uint8)
    boxes = np.array([[10, 20, 60, 50], [100, 15, 190, 110], [30, 70, 80, 118]], np.float64)
    for colour, (x0, y0, x1, y1) in zip(COLOURS, boxes.astype(int), strict=True):
        pixels[y0:y1, x0:x1] = colour
    return Sample(Image.fromarray(pixels), boxes, np.arange(3))


def found(image: Image.Image | np.ndarray, label: int) -> np.ndarray:
    """The box xyxy of the pixels that have a label's colour, more or less."""
    ys, xs = np.nonzero(np.abs(np.asarray(image).astype(int) - COLOURS[label]).max(-1) < 100)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def normalised(sample: Sample) -> np.ndarray:
    low, high = sample.boxes[:, :2], sample.boxes[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1) / np.tile(sample.image.size, 2)


@pytest.mark.parametrize("change", [module.zoom_out, iou_crop, module.flip])
def test_boxes_follow_the_pixels(change: Change):
    changed = 0
    for seed in range(60):
        before = rectangles()
        after = change(np.random.default_rng(seed), before)
        changed += after.image.tobytes() != before.image.tobytes()
        for box, label in zip(after.boxes, after.labels, strict=True):
            np.testing.assert_array_equal(found(after.image, label), box)
    assert changed >= 15


def test_a_large_photograph_gets_no_canvas_of_gigabytes():
    before, shrunk = rectangles(), 0
    for seed in range(40):
        after = module.zoom_out(np.random.default_rng(seed), before, most_px=300)
        exact = module.zoom_out(np.random.default_rng(seed), before)
        assert max(after.image.size) <= 302
        np.testing.assert_allclose(normalised(after), normalised(exact), atol=0.02)
        shrunk += after.image.size != exact.image.size
        for box, label in zip(after.boxes, after.labels, strict=True):
            np.testing.assert_allclose(found(after.image, label), box, atol=2)
    assert shrunk >= 10


def test_the_canvas_of_zooming_out_is_as_large_as_was_asked_for():
    before = rectangles()
    sides = [module.zoom_out(np.random.default_rng(seed), before, 2.0).image.width for seed in range(60)]
    assert 1.8 * before.image.width < max(sides) <= 2 * before.image.width
    assert all(
        module.zoom_out(np.random.default_rng(seed), before, 1.0).image.size == before.image.size for seed in range(9)
    )


def test_boxes_follow_the_pixels_through_everything(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "photometric_distort", lambda rng, image: image)  # the colours tell the boxes
    sample, height, width = rectangles(), 160, 320
    compared = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        pixels, boxes, labels = augment(rng, sample.image, normalised(sample), sample.labels, (height, width), True)
        assert pixels.shape == (height, width, 3)
        assert pixels.dtype == np.uint8
        assert boxes.dtype == np.float32
        for box, label in zip(boxes, labels, strict=True):
            centre, size = box[:2] * [width, height], box[2:] * [width, height]
            corners = np.concatenate([centre - size / 2, centre + size / 2])
            assert (corners >= -1e-3).all()
            assert (corners <= np.array([width, height, width, height]) + 1e-3).all()
            if size.min() >= 8:  # smaller ones lose their colour when the image shrinks
                blur = 1.5 + 2 * max(width / sample.image.width, height / sample.image.height)
                np.testing.assert_allclose(found(pixels, label), corners, atol=blur)
                compared += 1
    assert compared > 80


def test_without_strong_augmentation_only_the_flip_remains():
    sample, results = rectangles(), set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pixels, boxes, labels = augment(rng, sample.image, normalised(sample), sample.labels, (120, 200), False)
        results.add(pixels.tobytes())
        np.testing.assert_array_equal(labels, sample.labels)
        np.testing.assert_allclose(boxes[:, 1:], normalised(sample)[:, 1:], atol=1e-6)
    mirrored = sample.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert results == {sample.image.tobytes(), mirrored.tobytes()}


def test_the_same_seed_gives_the_same_image_and_another_seed_another():
    sample = rectangles()

    def run(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        pixels, boxes, _ = augment(rng, sample.image, normalised(sample), sample.labels, (96, 96), True)
        return pixels.tobytes() + boxes.tobytes()

    assert [run(seed) for seed in range(4)] == [run(seed) for seed in range(4)]
    assert len({run(seed) for seed in range(10)}) > 7


def test_an_image_without_objects_is_augmented_too():
    nothing = np.zeros((0, 4))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        pixels, boxes, labels = augment(rng, rectangles().image, nothing, np.zeros(0, np.int64), (64, 64), True)
        assert (pixels.shape, boxes.shape, labels.shape) == ((64, 64, 3), (0, 4), (0,))


def test_a_crop_keeps_at_least_one_object_and_its_shape_within_limits():
    for seed in range(60):
        after = iou_crop(np.random.default_rng(seed), rectangles())
        width, height = after.image.size
        assert len(after.boxes) >= 1
        assert 0.3 * 200 - 1 <= width <= 200
        assert 0.3 * 120 - 1 <= height <= 120
        assert 0.5 <= width / height <= 2 or (width, height) == (200, 120)


def places(width: int = 200, height: int = 120) -> Image.Image:
    """A picture whose red is the column and whose green is the row of each pixel."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8))


def rectangle_of(image: Image.Image) -> np.ndarray:
    """The part of `places` that a crop of it shows, xyxy."""
    pixels = np.asarray(image).astype(int)
    return np.concatenate([pixels[0, 0, :2], pixels[-1, -1, :2] + 1])


def test_a_crop_keeps_the_objects_whose_centre_is_inside_on_both_axes():
    draw, dropped = np.random.default_rng(0), 0
    for seed in range(120):
        low = draw.uniform(0, [150, 80], (6, 2))
        boxes = np.concatenate([low, low + draw.uniform(20, 40, (6, 2))], axis=1)
        after = iou_crop(np.random.default_rng(seed), Sample(places(), boxes, np.arange(6)))
        left, top, right, bottom = rectangle_of(after.image)
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        inside = np.flatnonzero((left < x) & (x < right) & (top < y) & (y < bottom))
        np.testing.assert_array_equal(after.labels, inside)
        dropped += 6 - len(inside)
    assert dropped > 100


@pytest.mark.parametrize("least", [0.5, 0.7])
def test_a_crop_overlaps_an_object_as_much_as_was_drawn(monkeypatch: pytest.MonkeyPatch, least: float):
    monkeypatch.setattr(module, "CROP_LEAST_IOU", (least, 1.0))
    box, ious = np.array([30.0, 20, 150, 100]), []
    for seed in range(80):
        after = iou_crop(np.random.default_rng(seed), Sample(places(), box[None], np.arange(1)))
        if after.image.size != (200, 120):
            crop = rectangle_of(after.image)
            sides = np.minimum(box[2:], crop[2:]) - np.maximum(box[:2], crop[:2])
            shared = sides.clip(0).prod()
            ious.append(shared / ((box[2:] - box[:2]).prod() + (crop[2:] - crop[:2]).prod() - shared))
    assert len(ious) > 15
    assert min(ious) >= least - 1e-9
    assert min(ious) < least + 0.2  # and no more than that is asked for


def spread(image: Image.Image) -> int:
    """How far the channels of a picture's first pixel lie apart."""
    return max(image.getpixel((0, 0))) - min(image.getpixel((0, 0)))  # type: ignore[arg-type]


def step(image: Image.Image) -> int:
    """How much brighter the last pixel is than the first, in the mean of its channels."""
    return int(np.asarray(image).astype(int).mean(2)[[0, -1], [0, -1]] @ [-1, 1])


@pytest.mark.parametrize(
    ("changed", "picture", "measure", "least", "most"),
    [
        ("CONTRAST", np.full((2, 2, 3), 60) + np.array([0, 100])[:, None], step, 50, 150),
        ("SATURATION", np.full((2, 2, 3), (150, 100, 100)), spread, 25, 75),
        # Red, turned by a twentieth of the circle, is 0.3 of the way to yellow or magenta.
        ("HUE", np.full((2, 2, 3), (255, 0, 0)), lambda image: sorted(image.getpixel((0, 0)))[1], 0, 77),
    ],
)
def test_contrast_saturation_and_hue_change_as_far_as_published(
    monkeypatch: pytest.MonkeyPatch, changed: str, picture: np.ndarray, measure: Callable, least: float, most: float
):
    for name, still in (("BRIGHTNESS", (1, 1)), ("CONTRAST", (1, 1)), ("SATURATION", (1, 1)), ("HUE", (0, 0))):
        if name != changed:
            monkeypatch.setattr(module, name, still)
    image = Image.fromarray(picture.astype(np.uint8))
    values = [measure(photometric_distort(np.random.default_rng(seed), image)) for seed in range(200)]
    room = (most - least) / 10
    assert least - 2 <= min(values) < least + room
    assert most - room < max(values) <= most + 6
    assert values.count(measure(image)) in range(60, 140)  # half of the time it is left alone


def test_boxes_are_clipped_and_what_is_left_of_too_small_ones_goes():
    boxes = np.array([[-10, -5, 30, 40], [199.5, 0, 260, 50], [20, 20, 20, 60], [250, 10, 300, 20], [5, 5, 6, 6]])
    clean = sanitise(Sample(Image.new("RGB", (200, 120)), boxes, np.arange(5)))
    np.testing.assert_array_equal(clean.labels, [0, 4])
    np.testing.assert_array_equal(clean.boxes, [[0, 0, 30, 40], [5, 5, 6, 6]])


def test_photometric_distortion_stays_in_its_ranges():
    grey = Image.new("RGB", (8, 8), (100, 100, 100))
    values = {
        np.asarray(photometric_distort(np.random.default_rng(seed), grey))[0, 0].tolist()[0] for seed in range(80)
    }
    assert min(values) >= 87  # of grey only the brightness changes, by an eighth at most
    assert max(values) <= 113
    assert len(values) > 10
    assert 100 in values


def test_hue_turns_red_towards_yellow_or_magenta_and_leaves_grey():
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    assert module.shift_hue(red, 0.05).getpixel((0, 0)) == pytest.approx((255, 77, 0), abs=6)
    assert module.shift_hue(red, -0.05).getpixel((0, 0)) == pytest.approx((255, 0, 77), abs=6)
    grey = Image.new("RGB", (4, 4), (70, 70, 70))
    assert module.shift_hue(grey, 0.05).tobytes() == grey.tobytes()


def test_the_sides_of_multi_scale_training_are_the_published_ones():
    assert multi_scale_sides(640) == [480, 512, 544, 576, 608, 640, 640, 640, 800, 768, 736, 704, 672]
    assert all(side % 32 == 0 for side in multi_scale_sides(288))
