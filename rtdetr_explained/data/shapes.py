"""Scenes of coloured shapes, drawn from a seed: what the embedded detector is trained and evaluated on.

By convention training draws seeds from 1,000,000 upwards; the seeds 0..999,999 are held out for evaluation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtdetr_explained.data.shape_painting import Shape, draw_shape, overlap, paint_shape
from rtdetr_explained.data.textures import background, scene_colours, shade
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.class_names import SHAPE_CLASSES

__all__ = ["SHAPE_CLASSES", "Scene", "SceneConfig", "generate_scene"]

SIZE_RANGES = ((0.045, 0.11), (0.11, 0.26), (0.26, 0.5))
"""Small, medium and large: the longer side of a shape's box as a fraction of the image's shorter side."""
MIN_SIZE_PX = 12.0
MAX_OUTSIDE = 0.06
"""Greatest fraction of the width and of the height of a shape's box that may lie outside the image."""
_TRIES = 12

Box = tuple[float, float, float, float]  # xyxy, pixels


@dataclass(frozen=True)
class SceneConfig:
    """The knobs of a scene.

    `size` is (height, width) in pixels. `count` is the least and the greatest number of shapes; a fraction
    `crowd_fraction` of the scenes draws its number from `crowd_count` instead, with smaller shapes. `size_mix` weighs
    small, medium and large shapes (`SIZE_RANGES`). `crowding` is the probability that a new shape is put near one that
    is there already; the others keep clear of each other while there is room. `occlusion` is the greatest fraction of a
    shape that other shapes and the border of the image may hide together. `class_frequency` weighs the classes of
    `SHAPE_CLASSES`. Shapes that find no place within `occlusion` are left out, so a very full scene can hold fewer than
    asked for. Raises `InputError` for a knob out of range.
    """

    size: tuple[int, int] = (288, 288)
    count: tuple[int, int] = (3, 10)
    crowd_fraction: float = 0.08
    crowd_count: tuple[int, int] = (11, 20)
    size_mix: tuple[float, float, float] = (0.3, 0.45, 0.25)
    crowding: float = 0.3
    occlusion: float = 0.4
    class_frequency: tuple[float, ...] = (1.0,) * len(SHAPE_CLASSES)

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(isinstance(side, int) and 64 <= side <= 2048 for side in self.size):
            raise InputError(f"size is {self.size}; give (height, width) as whole numbers from 64 to 2048.")
        for name in ("count", "crowd_count"):
            ends = getattr(self, name)
            if len(ends) != 2 or not all(isinstance(n, int) for n in ends) or not 1 <= ends[0] <= ends[1] <= 100:
                raise InputError(f"{name} is {ends}; give (least, greatest), whole numbers from 1 to 100.")
        for name in ("crowd_fraction", "crowding", "occlusion"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a number from 0 to 1.")
        for name, length in (("size_mix", 3), ("class_frequency", len(SHAPE_CLASSES))):
            weights = getattr(self, name)
            if len(weights) != length or not all(0 <= w < math.inf for w in weights) or sum(weights) <= 0:
                raise InputError(
                    f"{name} is {weights}; give {length} weights, none negative and at least one positive."
                )


@dataclass(frozen=True)
class Scene:
    """One generated image and its objects, in the order in which they were drawn.

    `image` (H, W, 3) uint8 RGB; `boxes` (N, 4) float32, normalised cxcywh of the whole shape, hidden parts included,
    clipped to the image; `labels` (N,) int64, indices into `SHAPE_CLASSES`; `visible` (N,) float32, the fraction of
    each shape that can be seen.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    visible: np.ndarray


def generate_scene(seed: int, config: SceneConfig = SceneConfig()) -> Scene:
    """Draw the scene that belongs to `seed`: the same seed and knobs always give the same scene.

    Raises `InputError` for a negative seed.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; give a whole number from 0 upwards.")
    rng = np.random.Generator(np.random.PCG64(seed))
    height, width = config.size
    ground_colours, shape_colours = scene_colours(rng)
    image = background(rng, height, width, ground_colours)
    layout = _Layout(config)
    labels, sizes = _draw_lots(rng, config)
    kept = []
    for label, size in zip(labels, sizes, strict=True):
        for smaller in (1.0, 0.6):  # what finds no place gets a second chance
            shape = draw_shape(rng, SHAPE_CLASSES[label], max(MIN_SIZE_PX, smaller * size))
            corner = layout.place(rng, shape)
            if corner is not None:
                paint_shape(rng, image, shape, *corner, shape_colours)
                kept.append(label)
                break
    pixels = np.array(image)
    shade(rng, pixels)
    xyxy = np.clip(np.array(layout.boxes).reshape(-1, 4), 0, [width, height, width, height])
    boxes = np.concatenate([xyxy[:, :2] + xyxy[:, 2:], 2 * (xyxy[:, 2:] - xyxy[:, :2])], axis=1)  # N 4, twice cxcywh
    return Scene(
        image=pixels,
        boxes=(boxes / [2 * width, 2 * height, 2 * width, 2 * height]).astype(np.float32),
        labels=np.array(kept, dtype=np.int64),
        visible=(np.array(layout.visible[1:]) / np.array(layout.areas[1:])).astype(np.float32),
    )


def _draw_lots(rng: np.random.Generator, config: SceneConfig) -> tuple[list[int], list[float]]:
    """Labels and sizes in pixels of the shapes to draw, roughly from large to small, so that small ones lie on top."""
    low, high = config.crowd_count if rng.random() < config.crowd_fraction else config.count
    count = int(rng.integers(low, high + 1))
    labels = _weighted(rng, config.class_frequency, count)
    least, most = np.log(SIZE_RANGES)[_weighted(rng, config.size_mix, count)].T
    sizes = np.exp(least + (most - least) * rng.random(count)) * min(config.size)
    sizes *= min(1.0, math.sqrt(10 / count))  # many shapes need to be smaller to fit
    order = np.argsort(-sizes * (0.6 + rng.random(count)), kind="stable")
    return labels[order].tolist(), sizes[order].tolist()


def _weighted(rng: np.random.Generator, weights: tuple[float, ...], count: int) -> np.ndarray:
    return rng.choice(len(weights), count, p=np.array(weights) / sum(weights))


class _Layout:
    """Where the shapes of a scene lie and how much of each can still be seen.

    `owner` (H, W) holds the number of the topmost shape at a pixel, 0 for none; `areas` and `visible` are in pixels and
    indexed by that number, `boxes` by the number less one.
    """

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self.owner = np.zeros(config.size, np.uint8)
        self.boxes: list[Box] = []
        self.areas = [0]
        self.visible = [config.size[0] * config.size[1]]

    def place(self, rng: np.random.Generator, shape: Shape) -> tuple[int, int] | None:
        """Find a place for a shape and take it: the corner x, y of its patch, or None when the scene is too full."""
        near = bool(self.boxes) and rng.random() < self.config.crowding
        for attempt in range(_TRIES):
            x, y = self._near_another(rng, shape) if near else self._anywhere(rng, shape)
            left, top, right, bottom = shape.box
            box = (left + x, top + y, right + x, bottom + y)
            touches = any(_touch(box, other) for other in self.boxes)
            if touches and not near and attempt < _TRIES // 2:
                continue
            if self._outside(box) <= MAX_OUTSIDE and self._take(shape, x, y, touches):
                self.boxes.append(box)
                return x, y
        return None

    def _anywhere(self, rng: np.random.Generator, shape: Shape) -> tuple[int, int]:
        height, width = self.config.size
        left, top, right, bottom = shape.box
        at_x, at_y = ((1 + 2 * MAX_OUTSIDE) * rng.random(2) - MAX_OUTSIDE).tolist()
        return (
            round(-left + at_x * (width - right + left)),
            round(-top + at_y * (height - bottom + top)),
        )

    def _near_another(self, rng: np.random.Generator, shape: Shape) -> tuple[int, int]:
        x0, y0, x1, y1 = self.boxes[int(rng.integers(len(self.boxes)))]
        left, top, right, bottom = shape.box
        angle, apart = rng.random(2).tolist()
        angle, apart = 2 * math.pi * angle, 0.6 + 0.6 * apart  # of the distance at which the boxes are side by side
        dx = math.cos(angle) * apart * (x1 - x0 + right - left) / 2
        dy = math.sin(angle) * apart * (y1 - y0 + bottom - top) / 2
        return round((x0 + x1 - left - right) / 2 + dx), round((y0 + y1 - top - bottom) / 2 + dy)

    def _outside(self, box: Box) -> float:
        height, width = self.config.size
        x0, y0, x1, y1 = box
        return max(max(-x0, x1 - width) / (x1 - x0), max(-y0, y1 - height) / (y1 - y0))

    def _take(self, shape: Shape, x: int, y: int, touches: bool) -> bool:
        """Put a shape down at corner x, y, unless it would hide too much of itself or of a shape below."""
        patch, window = overlap(self.config.size, shape, x, y)
        solid, owner = shape.solid[window], self.owner[patch]
        keep = 1 - self.config.occlusion
        inside = int(np.count_nonzero(solid))
        if inside < keep * shape.area:
            return False
        visible = self.visible
        if touches:
            hidden = np.bincount(owner[solid], minlength=len(visible)).tolist()
            visible = [n - h for n, h in zip(visible, hidden, strict=True)]
            if any(n < keep * area for n, area in zip(visible[1:], self.areas[1:], strict=True)):
                return False
        np.copyto(owner, len(self.areas), where=solid)
        self.visible = [*visible, inside]
        self.areas.append(shape.area)
        return True


def _touch(a: Box, b: Box) -> bool:
    # A pixel of room: the outermost pixels of a shape reach a little beyond its polygon.
    return a[0] < b[2] + 1 and b[0] < a[2] + 1 and a[1] < b[3] + 1 and b[1] < a[3] + 1
