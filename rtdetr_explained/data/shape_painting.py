"""Drawing one shape: its antialiased mask, and paint that stands out from what is there already."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from rtdetr_explained.data.shape_outlines import OUTLINES

MIN_CONTRAST = 54.0
"""Least visible distance between a shape and what is around its edge, on a scale on which black to white is 255."""
MIN_INNER_CONTRAST = 30.0
"""Least visible distance between the two colours of one shape, on the same scale."""

# Luma and two weaker chroma axes, times 1000: the Euclidean distance in this space is our measure of visible contrast.
# All its values are whole numbers, on which floats calculate exactly: every platform decides alike what is good enough.
_VISIBLE = np.array([[299.0, 587.0, 114.0], [-100.0, -200.0, 300.0], [370.0, -310.0, -60.0]]).T

Colour = tuple[int, int, int]
Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Shape:
    """A shape that is drawn but not yet placed; all coordinates are pixels of its own small patch.

    `mask` is the antialiased coverage and `stroke`, where there is one, the line along the edge; `solid` (h, w) is
    where the mask is at least half, `area` the number of such pixels. `box` is the tight xyxy box of the polygon, `rim`
    (R, 2) are points just outside and just inside of its edge, `size` is the longer side of the box.
    """

    mask: Image.Image
    stroke: Image.Image | None
    style: Literal["plain", "outline", "stripes", "gradient"]
    solid: np.ndarray
    area: int
    box: tuple[float, float, float, float]
    rim: np.ndarray
    size: float


def draw_shape(rng: np.random.Generator, name: str, size: float) -> Shape:
    """Turn, stretch and rasterise one shape of the class `name` whose box has the longer side `size`, in pixels."""
    outline = OUTLINES[name]
    turn, stretch, shift_x, shift_y, dice = rng.random(5).tolist()
    angle, factor = (2 * turn - 1) * outline.max_turn, outline.max_stretch ** (2 * stretch - 1)
    cos, sin = math.cos(angle), math.sin(angle)
    transform = np.array([[cos, sin], [-sin * factor, cos * factor]])  # for row vectors: stretch y, then turn
    points = outline.points @ transform
    low, high = points.min(axis=0), points.max(axis=0)
    scale = size / (high - low).max()
    transform *= scale
    offset = np.array([1 + shift_x, 1 + shift_y]) - low * scale  # some room, and not always whole pixels
    points = points * scale + offset
    left, top, right, bottom = *(low * scale + offset).tolist(), *(high * scale + offset).tolist()

    over = 4 if size < 40 else 3 if size < 80 else 2  # supersampling: finer where a pixel matters more
    canvas = Image.new("L", ((math.ceil(right) + 1) * over, (math.ceil(bottom) + 1) * over))
    vertices = _vertices(points, over)
    hole = [] if outline.hole is None else _vertices(outline.hole @ transform + offset, over)
    draw = ImageDraw.Draw(canvas)
    draw.polygon(vertices, fill=255)
    if hole:
        draw.polygon(hole, fill=0)
    mask = canvas.reduce(over)
    style = "plain"  # small shapes are mostly plain: there is no room for a second colour
    if dice < 0.22 and size > 24:
        style = "outline"
    elif dice < 0.38 and size > 32:
        style = "stripes"
    elif dice < 0.6 and size > 20:
        style = "gradient"
    stroke = None
    if style == "outline":
        stroke = _stroke(canvas.size, [vertices, hole], outline.corners, over * max(4, round(0.09 * size))).reduce(over)
    solid = np.asarray(mask) > 127
    edge, reach = outline.edge @ transform, 5 / size  # 2.5 px to either side
    return Shape(
        mask=mask,
        stroke=stroke,
        style=style,
        solid=solid,
        area=int(np.count_nonzero(solid)),
        box=(left, top, right, bottom),
        rim=np.concatenate([edge * (1 + reach), edge * (1 - reach)]) + offset,
        size=size,
    )


def overlap(canvas: tuple[int, ...], shape: Shape, x: int, y: int) -> tuple[Slices, Slices]:
    """The part of a shape's patch at corner x, y inside the canvas (H, W): index of the canvas and of the patch."""
    height, width = shape.solid.shape
    top, bottom = max(0, y), min(canvas[0], y + height)
    left, right = max(0, x), min(canvas[1], x + width)
    return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))


def paint_shape(
    rng: np.random.Generator, image: Image.Image, shape: Shape, x: int, y: int, colours: np.ndarray
) -> None:
    """Paint a shape onto the image with its patch at corner x, y: in one or two of the colours (C, 3)."""
    first, second = _pick_two(rng, image, shape, x, y, colours)
    paint = Image.new("RGB", shape.mask.size, first)
    if shape.stroke is not None:
        paint.paste(second, (0, 0), shape.stroke)
    elif shape.style == "stripes":
        period = max(8.0, shape.size * (0.16 + 0.2 * rng.random()))
        paint.paste(second, (0, 0), _stripes(shape.mask.size, 2 * math.pi * rng.random(), period))
    elif shape.style == "gradient":
        paint.paste(second, (0, 0), _gradient(shape.mask.size, 2 * math.pi * rng.random()))
    image.paste(paint, (x, y), shape.mask)


def _across(size: tuple[int, int], angle: float) -> np.ndarray:
    """Distance (h, w) in pixels along a direction."""
    x = (np.arange(size[0]) * math.cos(angle)).astype(np.float32)
    y = (np.arange(size[1]) * math.sin(angle)).astype(np.float32)
    return y[:, None] + x


def _gradient(size: tuple[int, int], angle: float) -> Image.Image:
    ramp = _across(size, angle)
    low, high = float(ramp.min()), float(ramp.max())
    return Image.fromarray(((ramp - low) * np.float32(255 / (high - low))).astype(np.uint8))


def _stripes(size: tuple[int, int], angle: float, period: float) -> Image.Image:
    """Stripes as wide as the gaps between them, with edges one pixel soft."""
    phase = (_across(size, angle) * np.float32(256 / period)).astype(np.int32).astype(np.uint8)
    triangle = np.abs(np.arange(256) - 128) / 128 - 0.5
    profile = np.clip(255 * (triangle * period / 2 + 0.5), 0, 255).astype(np.uint8)
    return Image.fromarray(phase).point(profile.tolist())


def _vertices(points: np.ndarray, over: int) -> list[float]:
    # Pillow puts whole numbers at the centres of pixels, we put them at their corners.
    return (points * over - 0.5).ravel().tolist()


def _stroke(size: tuple[int, int], rings: list[list[float]], corners: tuple[int, ...], thickness: int) -> Image.Image:
    """Lines along closed polygons, round at the given corners of the first; the mask will cut away their outer half."""
    line = Image.new("L", size)
    draw = ImageDraw.Draw(line)
    for ring in rings:
        if ring:
            draw.line(ring + ring[:4], fill=255, width=thickness)
    for k in corners:
        draw.circle((rings[0][2 * k], rings[0][2 * k + 1]), thickness / 2, fill=255)
    return line


def _pick_two(
    rng: np.random.Generator, image: Image.Image, shape: Shape, x: int, y: int, colours: np.ndarray
) -> tuple[Colour, Colour]:
    """Two of the colours (C, 3) that contrast with the image around the shape's edge, and so does their mixture.

    The second is the first itself where the shape is plain or no other will do. Where none stands out enough, the best
    is taken.
    """
    ahead = rng.permutation(len(colours) - 2)  # the last two, dark and light, stay the reserve
    colours = np.concatenate([colours[ahead], colours[-2:]])
    spots = np.minimum(np.maximum(shape.rim + (x, y), 0), (image.width - 1, image.height - 1)).astype(np.int64)
    pixels = image.load()
    assert pixels is not None
    around = np.array([pixels[spot] for spot in map(tuple, spots.tolist())]) @ _VISIBLE  # R 3
    seen = colours @ _VISIBLE  # C 3
    contrast = _contrast(seen, around)
    enough = min((1000 * MIN_CONTRAST) ** 2, float(contrast.max()))
    good = contrast >= enough
    first = int(good.argmax())
    second = first
    if shape.style != "plain":
        good &= _contrast((seen + seen[first]) / 2, around) >= enough / 2
        good &= ((seen - seen[first]) ** 2).sum(axis=1) > (1000 * MIN_INNER_CONTRAST) ** 2
        second = int(good.argmax()) if good.any() else first
    return tuple(colours[first].tolist()), tuple(colours[second].tolist())


def _contrast(seen: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Squared visible distance (C,) that each colour (C, 3) keeps from nine tenths of the points around (R, 3)."""
    squared = (seen**2).sum(axis=1)[:, None] + (around**2).sum(axis=1) - 2 * (seen @ around.T)  # C R
    tenth = len(around) // 10
    return np.partition(squared, tenth, axis=1)[:, tenth]
