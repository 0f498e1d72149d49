from __future__ import annotations

import dataclasses
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rtdetr_explained.data import shapes
from rtdetr_explained.data.shape_outlines import OUTLINES
from rtdetr_explained.data.shape_painting import Shape, draw_shape, paint_shape
from rtdetr_explained.data.shapes import SHAPE_CLASSES, Scene, SceneConfig, generate_scene
from rtdetr_explained.data.textures import background, scene_colours
from rtdetr_explained.errors import InputError

FULL = SceneConfig(count=(15, 20), crowd_fraction=0.0, crowding=0.8, occlusion=0.5)


@cache
def scenes(number: int = 40, /, **knobs: Any) -> list[Scene]:
    return [generate_scene(seed, SceneConfig(**knobs)) for seed in range(number)]


def boxes_px(scene: Scene) -> np.ndarray:
    """Boxes as xyxy in pixels."""
    height, width, _ = scene.image.shape
    centre, side = scene.boxes[:, :2], scene.boxes[:, 2:]
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1) * [width, height, width, height]


def same(a: Scene, b: Scene) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Scene))


def pixels_of(shape: Shape, corner: tuple[int, int], height: int, width: int) -> np.ndarray:
    """Where a shape lies in the image (H, W): its patch cut out of a canvas with a wide margin."""
    margin = max(shape.solid.shape)
    canvas = np.zeros((height + 2 * margin, width + 2 * margin), bool)
    top, left = corner[1] + margin, corner[0] + margin
    canvas[top : top + shape.solid.shape[0], left : left + shape.solid.shape[1]] = shape.solid
    return canvas[margin:-margin, margin:-margin]


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Shape, tuple[int, int]]]:
    """What `generate_scene` paints, in order: every shape and the corner of its patch."""
    record: list[tuple[Shape, tuple[int, int]]] = []

    def spy(rng: np.random.Generator, image: Image.Image, shape: Shape, x: int, y: int, colours: np.ndarray) -> None:
        record.append((shape, (x, y)))
        paint_shape(rng, image, shape, x, y, colours)

    monkeypatch.setattr(shapes, "paint_shape", spy)
    return record


def test_a_scene_has_the_promised_types_and_ranges() -> None:
    for scene in scenes(size=(192, 320)):
        assert scene.image.shape == (192, 320, 3)
        assert scene.image.dtype == np.uint8
        assert scene.boxes.dtype == np.float32
        assert scene.labels.dtype == np.int64
        assert len(scene.boxes) == len(scene.labels) == len(scene.visible) >= 1
        assert ((scene.labels >= 0) & (scene.labels < len(SHAPE_CLASSES))).all()
        corners = boxes_px(scene)
        assert (corners > -1e-3).all()
        assert (corners[:, [0, 2]] < 320 + 1e-3).all()
        assert (corners[:, [1, 3]] < 192 + 1e-3).all()
        assert (scene.boxes[:, 2:] > 0).all()


def test_a_seed_and_knobs_decide_the_scene_whatever_else_drew_random_numbers() -> None:
    first = generate_scene(1_000_003)
    np.random.seed(7)  # noqa: NPY002 (the global state must not matter)
    generate_scene(4, FULL)
    assert same(first, generate_scene(1_000_003, SceneConfig()))
    assert not np.array_equal(first.image, generate_scene(1_000_004).image)


def test_every_class_has_an_outline() -> None:
    assert tuple(OUTLINES) == SHAPE_CLASSES
    assert len(SHAPE_CLASSES) >= 10


@pytest.mark.parametrize("name", SHAPE_CLASSES)
@pytest.mark.parametrize("size", [12.0, 37.5, 70.0, 140.0])
def test_the_box_of_a_shape_is_tight_around_its_pixels(name: str, size: float) -> None:
    for seed in range(10):
        shape = draw_shape(np.random.default_rng(seed), name, size)
        covered = np.asarray(shape.mask) > 12
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        drawn = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        # A thin tip may fade out before its end, and a pixel at the edge may be touched only in part.
        assert np.abs(drawn - shape.box).max() < (1.2 if size < 100 else 2.0)
        assert max(shape.box[2] - shape.box[0], shape.box[3] - shape.box[1]) == pytest.approx(size)


def test_classes_stay_apart_when_turned_and_stretched_even_at_twenty_pixels() -> None:
    def drawn(seed: int, count: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        masks = []
        for name in SHAPE_CLASSES:
            for _ in range(count):
                shape = draw_shape(rng, name, 20.0)
                patch = np.zeros((24, 24), np.float32)
                mask = np.asarray(shape.mask)
                top, left = (24 - mask.shape[0]) // 2, (24 - mask.shape[1]) // 2
                patch[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
                masks.append(patch.ravel() / 255)
        return np.stack(masks)  # C*count 576

    known, new = drawn(0, 120), drawn(1, 15)
    squared = (new**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * new @ known.T
    guess = squared.argmin(axis=1) // 120
    assert (guess == np.repeat(np.arange(len(SHAPE_CLASSES)), 15)).mean() > 0.95


@pytest.mark.parametrize("hostile", [False, True])
def test_a_shape_stands_out_from_the_ground_under_it(hostile: bool) -> None:
    shares = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        ground_colours, colours = scene_colours(rng)
        if hostile:  # most of the choice is as good as invisible
            colours[:10] = np.tile(ground_colours, (4, 1))[:10]
        image = background(rng, 128, 128, ground_colours)
        before = np.asarray(image).astype(int)
        shape = draw_shape(rng, SHAPE_CLASSES[seed % len(SHAPE_CLASSES)], 16.0 + 60 * rng.random())
        paint_shape(rng, image, shape, 20, 20, colours)
        change = np.abs(np.asarray(image).astype(int) - before).max(axis=2)
        shares.append((change[pixels_of(shape, (20, 20), 128, 128)] > 40).mean())
    assert np.mean(shares) > 0.98
    assert np.quantile(shares, 0.05) > 0.9


def test_boxes_and_visible_fractions_agree_with_what_was_painted(
    painted: list[tuple[Shape, tuple[int, int]]],
) -> None:
    hidden = cut = 0
    for seed in range(50):
        painted.clear()
        scene = generate_scene(seed, FULL)
        height, width, _ = scene.image.shape
        regions = [pixels_of(shape, corner, height, width) for shape, corner in painted]
        assert len(regions) == len(scene.labels)
        for k, region in enumerate(regions):
            covered = np.any(regions[k + 1 :], axis=0) if k + 1 < len(regions) else np.zeros_like(region)
            visible = np.count_nonzero(region & ~covered) / painted[k][0].area
            assert scene.visible[k] == pytest.approx(visible, abs=1e-6)
            hidden += visible < 0.95
            cut += np.count_nonzero(region) < painted[k][0].area
            rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
            drawn = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            assert np.abs(drawn - boxes_px(scene)[k]).max() < 2.5  # thin tips fade out
    assert hidden > 20  # the check met shapes behind others and shapes at the border
    assert cut > 5


def test_occlusion_bounds_what_is_hidden() -> None:
    for limit in (0.15, 0.5):
        visible = np.concatenate([s.visible for s in scenes(count=(15, 20), crowding=1.0, occlusion=limit)])
        assert visible.min() >= 1 - limit
        assert visible.min() < 1 - 0.7 * limit  # the freedom is used
    assert all((s.visible == 1).all() for s in scenes(count=(15, 20), crowding=1.0, occlusion=0.0))


def test_crowding_decides_how_many_shapes_touch() -> None:
    def touching(crowding: float) -> float:
        pairs = [
            bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())
            for scene in scenes(count=(5, 5), crowd_fraction=0.0, crowding=crowding, size_mix=(1.0, 1.0, 0.0))
            for a, b in combinations(boxes_px(scene), 2)
        ]
        return float(np.mean(pairs))

    assert touching(0.0) == 0
    assert touching(1.0) > 0.1


def test_count_and_crowd_fraction_decide_how_many_shapes_there_are() -> None:
    assert {len(s.labels) for s in scenes(count=(4, 6), crowd_fraction=0.0)} == {4, 5, 6}
    numbers = [len(s.labels) for s in scenes(100, count=(2, 2), crowd_count=(12, 12), crowd_fraction=0.3)]
    assert set(numbers) == {2, 12}
    assert 15 <= numbers.count(12) <= 45


@pytest.mark.parametrize(("kind", "mix"), [(0, (1.0, 0.0, 0.0)), (1, (0.0, 1.0, 0.0)), (2, (0.0, 0.0, 1.0))])
def test_size_mix_decides_how_large_shapes_are(kind: int, mix: tuple[float, float, float]) -> None:
    low, high = shapes.SIZE_RANGES[kind]
    for scene in scenes(size=(288, 320), count=(1, 3), crowd_fraction=0.0, size_mix=mix, occlusion=0.0):
        longer = (boxes_px(scene)[:, 2:] - boxes_px(scene)[:, :2]).max(axis=1)
        assert (longer >= 0.6 * low * 288 - 1e-3).all()  # a shape without a place is tried again smaller
        assert (longer >= shapes.MIN_SIZE_PX - 1e-3).all()
        assert (longer <= high * 288 + 1e-3).all()
        assert longer[0] >= low * 288 - 1e-3


def test_default_scenes_hold_shapes_from_a_dozen_pixels_to_half_the_image() -> None:
    longer = np.concatenate([s.boxes[:, 2:].max(axis=1) * 288 for s in scenes(150)])
    assert longer.min() < 16
    assert longer.max() > 135
    for least, most in ((0, 32), (32, 96), (96, 150)):
        assert ((longer >= least) & (longer < most)).mean() > 0.1


def test_class_frequency_weighs_the_classes() -> None:
    labels = np.concatenate([s.labels for s in scenes(60, class_frequency=(8.0, 1.0, *[0.0] * 10))])
    share = np.bincount(labels, minlength=12) / len(labels)
    assert share[2:].max() == 0
    assert 0.82 < share[0] < 0.95
    every = np.bincount(np.concatenate([s.labels for s in scenes(150)]), minlength=12)
    assert every.min() > 0.6 * every.mean()


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"size": (288,)}, "size"),
        ({"size": (32, 288)}, "64 to 2048"),
        ({"size": (288.0, 288.0)}, "whole numbers"),
        ({"count": (0, 4)}, "count"),
        ({"count": (5, 4)}, "least, greatest"),
        ({"crowd_count": (5, 101)}, "crowd_count"),
        ({"crowding": 1.5}, "crowding is 1.5; give a number from 0 to 1."),
        ({"occlusion": float("nan")}, "occlusion"),
        ({"crowd_fraction": -0.1}, "crowd_fraction"),
        ({"size_mix": (0.0, 0.0, 0.0)}, "at least one positive"),
        ({"size_mix": (1.0, 1.0)}, "3 weights"),
        ({"class_frequency": (1.0,) * 11}, "12 weights"),
        ({"class_frequency": (-1.0,) * 12}, "none negative"),
    ],
)
def test_a_knob_out_of_range_is_refused_with_one_sentence(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        SceneConfig(**knobs)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(InputError, match="seed is -1"):
        generate_scene(-1)
