"""Scenes of coloured shapes, drawn from a seed: what the embedded detector is trained and evaluated on.

By convention training draws seeds from 1,000,000 upwards; the seeds 0..999,999 are held out for evaluation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from rtdetr_explained.data.shape_outlines import OUTLINES, SHAPE_CLASSES
from rtdetr_explained.data.textures import background, random_colours, scene_colours, to_visible
from rtdetr_explained.errors import InputError

__all__ = ["SHAPE_CLASSES", "Scene", "SceneConfig", "generate_scene"]

SIZE_RANGES = ((0.045, 0.11), (0.11, 0.26), (0.26, 0.5))
"""Small, medium and large: the longer side of a shape's box as a fraction of the image's shorter side."""
MIN_SIZE_PX = 12.0
MIN_CONTRAST = 48.0
"""Least distance (see `to_visible`) between a shape and what is around its edge, along most of the edge."""
_TRIES = 12
_BORDER = 0.06  # share of a shape's box that may lie outside the image


@dataclass(frozen=True)
class SceneConfig:
    """The knobs of a scene.

    `size` is (height, width) in pixels. `count` is the least and the greatest number of shapes; a fraction
    `crowd_fraction` of the scenes draws its number from `crowd_count` instead, with smaller shapes. `size_mix` weighs
    small, medium and large shapes (`SIZE_RANGES`). `crowding` is the probability that a new shape is put near one that is
    there already; the others keep clear of each other while there is room. `occlusion` is the greatest fraction of a shape
    that other shapes and the border of the image may hide together. `class_frequency` weighs the classes of `SHAPE_CLASSES`.
    Shapes that find no place within the occlusion are left out, so a very full scene can hold fewer than asked for.
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
            bounds = getattr(self, name)
            if len(bounds) != 2 or not 1 <= bounds[0] <= bounds[1] <= 100:
                raise InputError(f"{name} is {bounds}; give (least, greatest) with 1 <= least <= greatest <= 100.")
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

    `image` (H, W, 3) uint8 RGB; `boxes` (N, 4) float32, normalised cxcywh of the whole shape, hidden parts included, clipped
    to the image; `labels` (N,) int64, indices into `SHAPE_CLASSES`; `visible` (N,) float32, fraction that can be seen.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    visible: np.ndarray


@dataclass
class _Shape:
    """A shape that is drawn but not yet placed; all coordinates are pixels of its own patch."""

    label: int
    coverage: np.ndarray  # h w, float32 0..1, antialiased
    stroke: np.ndarray | None  # h w, float32 0..1: the part that a line along the edge takes
    solid: np.ndarray  # h w, bool
    area: int
    box: tuple[float, float, float, float]  # xyxy of the polygon
    edge: np.ndarray  # E 2, points a little outside and inside of the edge
    size: float


def generate_scene(seed: int, config: SceneConfig = SceneConfig()) -> Scene:  # noqa: B008 (frozen)
    """Draw the scene that belongs to `seed`: the same seed and knobs always give the same scene.

    Raises `InputError` for a negative seed.
    """
    if seed < 0:
        raise InputError(f"The seed is {seed}; give a whole number from 0 upwards.")
    rng = np.random.Generator(np.random.PCG64(seed))
    height, width = config.size
    ground_colours, shape_colours = scene_colours(rng)
    image = background(rng, height, width, ground_colours)

    low, high = config.crowd_count if rng.random() < config.crowd_fraction else config.count
    count = int(rng.integers(low, high + 1))
    labels = rng.choice(len(SHAPE_CLASSES), count, p=_shares(config.class_frequency))
    sizes = _sizes_px(rng, count, config)

    owner = np.zeros((height, width), np.uint8)  # number of the topmost shape, 0 where there is none
    boxes: list[tuple[float, float, float, float]] = []  # xyxy, pixels
    placed: list[_Shape] = []
    seen: list[int] = [0]  # visible pixels of every shape; entry 0 stands for the ground
    for label, size in zip(labels.tolist(), sizes.tolist(), strict=True):
        shape, place = None, None
        for shrink in (1.0, 0.6):
            shape = _draw(rng, label, max(MIN_SIZE_PX, size * shrink))
            place = _find_place(rng, shape, placed, boxes, owner, seen, config)
            if place is not None:
                break
        if shape is None or place is None:
            continue
        x, y, visible = place
        _paint(rng, image, shape, x, y, shape_colours)
        patch, window = _overlap(owner.shape, shape, x, y)
        owner[patch][shape.solid[window]] = len(placed) + 1
        seen[:] = visible
        placed.append(shape)
        left, top, right, bottom = shape.box
        boxes.append((max(0.0, left + x), max(0.0, top + y), min(width, right + x), min(height, bottom + y)))

    xyxy = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    centre, side = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
    scale = np.array([width, height, width, height], dtype=np.float32)
    return Scene(
        image=image,
        boxes=np.concatenate([centre, side], axis=1) / scale,
        labels=np.array([shape.label for shape in placed], dtype=np.int64),
        visible=np.array([n / shape.area for n, shape in zip(seen[1:], placed, strict=True)], dtype=np.float32),
    )


def _shares(weights: tuple[float, ...]) -> np.ndarray:
    return np.array(weights) / sum(weights)


def _sizes_px(rng: np.random.Generator, count: int, config: SceneConfig) -> np.ndarray:
    """Sizes (count,) in pixels, mostly from large to small, so that small shapes come to lie on top."""
    low, high = np.log(SIZE_RANGES).T[:, rng.choice(3, count, p=_shares(config.size_mix))]
    sizes = np.exp(low + (high - low) * rng.random(count)) * min(config.size)
    sizes *= min(1.0, math.sqrt(10 / count))  # many shapes need to be smaller to fit
    return sizes[np.argsort(-sizes * (0.6 + rng.random(count)), kind="stable")]


def _draw(rng: np.random.Generator, label: int, size: float) -> _Shape:
    """Turn, stretch and rasterise one shape whose box has the longer side `size`, in pixels."""
    outline = OUTLINES[SHAPE_CLASSES[label]]
    turn, stretch, shift_x, shift_y, style = rng.random(5).tolist()
    angle = (2 * turn - 1) * outline.max_turn
    factor = outline.max_stretch ** (2 * stretch - 1)
    cos, sin = math.cos(angle), math.sin(angle)
    transform = np.array([[cos, sin], [-sin * factor, cos * factor]])  # stretch y, then turn; for row vectors
    points = outline.points @ transform
    low, high = points.min(axis=0), points.max(axis=0)
    scale = size / float((high - low).max())
    offset = np.array([1 + shift_x, 1 + shift_y]) - low * scale
    right, bottom = ((high - low) * scale + [1 + shift_x, 1 + shift_y]).tolist()
    patch_width, patch_height = math.ceil(right) + 1, math.ceil(bottom) + 1

    over = 4 if size < 40 else 3 if size < 80 else 2  # supersampling: finer where a pixel matters more
    canvas = Image.new("L", (patch_width * over, patch_height * over))
    draw = ImageDraw.Draw(canvas)
    vertices = _vertices(points * scale + offset, over)
    draw.polygon(vertices, fill=255)
    hole = None if outline.hole is None else _vertices(outline.hole @ transform * scale + offset, over)
    if hole is not None:
        draw.polygon(hole, fill=0)
    coverage = _reduced(canvas, over)
    stroke = None
    if style < 0.25 and size > 24:
        line = Image.new("L", canvas.size)
        draw, thickness = ImageDraw.Draw(line), over * max(4, round(size * 0.09))  # the outer half is cut away
        for ring in (vertices, hole or []):
            if ring:
                draw.line(ring + ring[:4], fill=255, width=thickness, joint="curve")
        stroke = _reduced(line, over)
    solid = coverage > 0.5
    edge = outline.edge @ transform * scale
    rim = 2.5 / size * 2  # a few pixels to either side
    return _Shape(
        label=label,
        coverage=coverage,
        stroke=stroke,
        solid=solid,
        area=int(np.count_nonzero(solid)),
        box=(1 + shift_x, 1 + shift_y, right, bottom),
        edge=np.concatenate([edge * (1 + rim), edge * (1 - rim)]) + offset,
        size=size,
    )


def _vertices(points: np.ndarray, over: int) -> list[float]:
    # Pillow puts whole numbers at the centres of pixels, we put them at their corners.
    return (points * over - 0.5).ravel().tolist()


def _reduced(canvas: Image.Image, over: int) -> np.ndarray:
    return np.asarray(canvas.reduce(over), dtype=np.float32) * np.float32(1 / 255)


def _find_place(
    rng: np.random.Generator,
    shape: _Shape,
    placed: list[_Shape],
    boxes: list[tuple[float, float, float, float]],
    owner: np.ndarray,
    seen: list[int],
    config: SceneConfig,
) -> tuple[int, int, list[int]] | None:
    """Find a place for a shape: the corner x, y of its patch and all shapes' visible pixels, or None when it is too full."""
    height, width = owner.shape
    left, top, right, bottom = shape.box
    span_x, span_y = right - left, bottom - top
    near = bool(placed) and rng.random() < config.crowding
    for attempt in range(_TRIES):
        if near:
            x0, y0, x1, y1 = boxes[int(rng.integers(len(boxes)))]
            angle, pull = 2 * math.pi * rng.random(), 0.6 + 0.6 * rng.random()
            centre_x = (x0 + x1) / 2 + math.cos(angle) * pull * (x1 - x0 + span_x) / 2
            centre_y = (y0 + y1) / 2 + math.sin(angle) * pull * (y1 - y0 + span_y) / 2
            x, y = round(centre_x - span_x / 2 - left), round(centre_y - span_y / 2 - top)
        else:
            x = round((width - span_x) * ((1 + 2 * _BORDER) * rng.random() - _BORDER) - left)
            y = round((height - span_y) * ((1 + 2 * _BORDER) * rng.random() - _BORDER) - top)
        box = (left + x, top + y, right + x, bottom + y)
        out_x = max(-box[0], box[2] - width)
        out_y = max(-box[1], box[3] - height)
        if out_x > _BORDER * span_x or out_y > _BORDER * span_y:
            continue
        if not near and attempt < _TRIES // 2 and any(_touch(box, other) for other in boxes):
            continue
        patch, window = _overlap(owner.shape, shape, x, y)
        below = owner[patch][shape.solid[window]]
        if below.size < (1 - config.occlusion) * shape.area:
            continue
        covered = np.bincount(below, minlength=len(seen)).tolist()
        visible = [n - c for n, c in zip(seen, covered, strict=True)]
        least = [(1 - config.occlusion) * other.area for other in placed]
        if all(n >= m for n, m in zip(visible[1:], least, strict=True)):
            return x, y, [*visible, below.size]
    return None


def _touch(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _overlap(canvas: tuple[int, ...], shape: _Shape, x: int, y: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a patch at corner x, y that lies inside the canvas: as an index of the canvas and of the patch."""
    height, width = shape.solid.shape
    top, bottom = max(0, y), min(canvas[0], y + height)
    left, right = max(0, x), min(canvas[1], x + width)
    return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))


def _paint(rng: np.random.Generator, image: np.ndarray, shape: _Shape, x: int, y: int, palette: np.ndarray) -> None:
    """Blend a shape into the image in colours that stand out from what is around its edge."""
    first, second = _two_colours(rng, image, shape, x, y, palette)
    height, width = shape.solid.shape
    style = rng.random()
    fill = first
    if shape.stroke is not None:
        fill = first + (second - first) * shape.stroke[:, :, None]
    elif style < 0.5 and shape.size > 20:
        angle, period = 2 * math.pi * rng.random(), max(8.0, shape.size * (0.15 + 0.2 * rng.random()))
        along = np.arange(width, dtype=np.float32) * math.cos(angle)
        across = np.arange(height, dtype=np.float32) * math.sin(angle)
        ramp = along[None, :] + across[:, None]  # h w, pixels along the direction
        if style < 0.2 and shape.size > 32:  # stripes with soft edges
            mix = np.clip(period / 4 * np.sin(ramp * np.float32(2 * math.pi / period)) + 0.5, 0, 1)
        else:
            mix = (ramp - ramp.min()) / np.float32(np.ptp(ramp))
        fill = first + (second - first) * mix[:, :, None]
    patch, window = _overlap(image.shape, shape, x, y)
    if fill.ndim == 3:
        fill = fill[window]
    under = image[patch].astype(np.float32)
    image[patch] = under + (fill - under) * shape.coverage[window][:, :, None] + 0.5


def _two_colours(
    rng: np.random.Generator, image: np.ndarray, shape: _Shape, x: int, y: int, palette: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two colours that both contrast with the image around the shape's edge, and with each other where possible."""
    candidates = np.concatenate([rng.permutation(palette)[:6], random_colours(rng, 4), _GREYS])
    column = np.clip(shape.edge[:, 0] + x, 0, image.shape[1] - 1).astype(np.int64)
    row = np.clip(shape.edge[:, 1] + y, 0, image.shape[0] - 1).astype(np.int64)
    around, colour = to_visible(image[row, column]), to_visible(candidates)
    distance = np.sqrt(((colour[:, None] - around[None]) ** 2).sum(axis=2))  # C E
    contrast = np.sort(distance, axis=1)[:, distance.shape[1] // 10]  # reached along nine tenths of the edge
    first = int(np.argmax(contrast >= MIN_CONTRAST)) if contrast.max() >= MIN_CONTRAST else int(contrast.argmax())
    apart = np.sqrt(((colour - colour[first]) ** 2).sum(axis=1))
    good = (contrast >= min(MIN_CONTRAST, contrast[first])) & (apart > 25)
    second = int(np.argmax(good)) if good.any() else first
    return candidates[first], candidates[second]


_GREYS = np.array([(24, 24, 28), (246, 245, 240)], dtype=np.float32)
