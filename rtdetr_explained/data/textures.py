"""Colours and textured backgrounds for generated scenes."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# Each palette: colours that go together. Backgrounds take three of them, softened; shapes take the others.
_PALETTES = np.array(
    [
        [(38, 70, 83), (42, 157, 143), (233, 196, 106), (244, 162, 97), (231, 111, 81), (250, 243, 221)],
        [(0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (240, 240, 232)],
        [(29, 53, 87), (69, 123, 157), (168, 218, 220), (241, 250, 238), (230, 57, 70), (255, 183, 3)],
        [(61, 64, 91), (129, 178, 154), (242, 204, 143), (224, 122, 95), (244, 241, 222), (95, 121, 123)],
        [(34, 34, 59), (74, 78, 105), (154, 140, 152), (201, 173, 167), (242, 233, 228), (217, 93, 57)],
        [(0, 48, 73), (214, 40, 40), (247, 127, 0), (252, 191, 73), (234, 226, 183), (87, 156, 135)],
        [(53, 80, 112), (109, 89, 122), (181, 101, 118), (229, 107, 111), (234, 172, 139), (245, 235, 224)],
        [(20, 54, 66), (15, 139, 141), (236, 154, 41), (168, 32, 26), (218, 210, 216), (122, 199, 79)],
    ]
)
_DARK_AND_LIGHT = np.array([(26, 27, 34), (246, 245, 240)])


def random_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours (count, 3) of any hue, integers 0..255, from pale to vivid and from dark to light."""
    hue, saturation, value = rng.random((3, count))
    saturation, value = 0.15 + 0.75 * saturation, 0.25 + 0.75 * value
    sector = (hue[:, None] * 6 + np.array([5.0, 3.0, 1.0])) % 6  # HSV to RGB, all three channels at once
    wave = np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return np.rint(255 * value[:, None] * (1 - saturation[:, None] * wave)).astype(np.int64)


def scene_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of a scene, 0..255: three for its ground (3, 3), float, and fourteen for its shapes (14, 3), integers."""
    if rng.random() < 0.65:
        palette = rng.permutation(_PALETTES[int(rng.integers(len(_PALETTES)))])
        ground, shapes = palette[:3], [palette[2:], random_colours(rng, 8)]
    else:
        ground, shapes = random_colours(rng, 3), [random_colours(rng, 12)]
    # The ground is calm, so that a shape can stand out: less vivid, and its colours drawn towards the first of them.
    ground = 0.7 * ground + 0.3 * ground.mean(axis=1, keepdims=True)
    ground = ground[:1] + (ground - ground[:1]) * np.array([[0.0], [0.3], [0.45]])
    return ground, np.concatenate([*shapes, _DARK_AND_LIGHT])


def background(rng: np.random.Generator, height: int, width: int, colours: np.ndarray) -> Image.Image:
    """A textured ground, RGB, in three colours (3, 3): gradient, noise, stripes, checks, blobs or grain.

    Each texture is one uint8 field whose value picks a colour from a ramp of 256: the cheapest way to colour it.
    """
    kind = rng.random()
    position = np.linspace(0, 1, 256)
    wave = 1 - np.abs(2 * position - 1)  # 0 1 0: neighbouring periods join without a jump
    if kind < 0.2:
        field = _noise(rng, height, width, 0.7 * max(height, width))
    elif kind < 0.4:
        coarse = _noise(rng, height, width, 20 + 60 * rng.random())
        fine = _noise(rng, height, width, 3 + 9 * rng.random())
        field = (coarse >> 1) + (coarse >> 2) + (fine >> 2)
    elif kind < 0.55:
        field = _phase(rng, height, width, 14 + 50 * rng.random(), 2 * math.pi * rng.random())
        position = np.clip((wave - 0.5) * (1 + 6 * rng.random()) + 0.5, 0, 1)
    elif kind < 0.7:
        period, angle = 20 + 60 * rng.random(), 2 * math.pi * rng.random()
        one = _phase(rng, height, width, period, angle)
        checks = (one ^ _phase(rng, height, width, period, angle + math.pi / 2)) & 128
        field = checks | (_noise(rng, height, width, 60) >> 2)
        position = np.where(position < 0.5, 0.6 * position, 0.4 + 0.6 * position)
    elif kind < 0.85:
        field = _blobs(rng, height, width)
    else:
        field = _noise(rng, height, width, 2 + 3 * rng.random())
        position = 0.35 + 0.3 * position
    ramp = np.stack([np.interp(position, [0.0, 0.5, 1.0], channel) for channel in colours.T], axis=1)
    indexed = Image.fromarray(field)
    indexed.putpalette(ramp.astype(np.uint8).tobytes())
    return indexed.convert("RGB")


def shade(rng: np.random.Generator, image: np.ndarray) -> None:
    """Darken an image (H, W, 3), uint8, towards one side, in place, as light that falls from the other side does."""
    height, width, _ = image.shape
    down, across = (36 * rng.random(2) - 18).tolist()  # change over the image, of 255
    rows, columns = np.linspace(0, down, height) - min(down, 0.0), np.linspace(0, across, width) - min(across, 0.0)
    loss = rows.astype(np.uint8)[:, None] + columns.astype(np.uint8).repeat(3)  # H 3W
    flat = image.reshape(height, 3 * width)
    np.maximum(flat, loss, out=flat)  # so that black stays black
    np.subtract(flat, loss, out=flat)


def _enlarged(small: Image.Image, height: int, width: int) -> np.ndarray:
    """An image (H, W), uint8, smooth even from few pixels: bicubic to a quarter, which is cheap, then bilinear."""
    middle = (max(small.width, width // 4), max(small.height, height // 4))
    smooth = small.resize(middle, Image.Resampling.BICUBIC)
    return np.asarray(smooth.resize((width, height), Image.Resampling.BILINEAR))


def _noise(rng: np.random.Generator, height: int, width: int, cell_px: float) -> np.ndarray:
    """Smooth noise (H, W), uint8, whose bumps are about `cell_px` wide."""
    rows, columns = 2 + int(height / cell_px), 2 + int(width / cell_px)
    return _enlarged(Image.fromarray(rng.integers(0, 256, (rows, columns), dtype=np.uint8)), height, width)


def _phase(rng: np.random.Generator, height: int, width: int, period_px: float, angle: float) -> np.ndarray:
    """Position across stripes (H, W), uint8, that wraps around once per `period_px`."""
    step = 65536 / period_px
    x = (np.arange(width) * step * math.cos(angle)).astype(np.int64) + int(rng.integers(65536))
    y = (np.arange(height) * step * math.sin(angle)).astype(np.int64)
    return ((y.astype(np.uint16)[:, None] + x.astype(np.uint16)[None, :]) >> 8).astype(np.uint8)


def _blobs(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Soft round spots (H, W), uint8, drawn and blurred at an eighth of the size."""
    small = Image.new("L", (max(8, width // 8), max(8, height // 8)))
    draw = ImageDraw.Draw(small)
    for x, y, radius, tone in rng.random((12, 4)).tolist():
        x, y, radius = x * small.width, y * small.height, 2 + 6 * radius
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(80 + 175 * tone))
    return _enlarged(small.filter(ImageFilter.GaussianBlur(1.2)), height, width)
