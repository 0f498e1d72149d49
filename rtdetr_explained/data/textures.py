"""Colours and textured backgrounds for generated scenes."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

# Each palette: colours that go together. Backgrounds take two or three of them, softened; shapes take the others.
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
    ],
    dtype=np.float32,
)
# Luma and two weaker chroma axes: the plain Euclidean distance in this space is our measure of visible contrast.
_VISIBLE = np.array(
    [[0.299, 0.587, 0.114], [-0.10, -0.20, 0.30], [0.37, -0.31, -0.06]],
    dtype=np.float32,
).T


def to_visible(rgb: np.ndarray) -> np.ndarray:
    """Colours (..., 3) of 0..255 in a space whose Euclidean distance tells how visible their contrast is."""
    return rgb.astype(np.float32) @ _VISIBLE


def random_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours (count, 3) of any hue, float32 0..255, from pale to vivid and from dark to light."""
    hue, saturation, value = rng.random((3, count))
    saturation, value = 0.15 + 0.85 * saturation, 0.2 + 0.8 * value
    sector = (hue[:, None] * 6 + np.array([5.0, 3.0, 1.0])) % 6  # HSV to RGB, all three channels at once
    wave = np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return (255 * value[:, None] * (1 - saturation[:, None] * wave)).astype(np.float32)


def scene_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of one scene: three for its background (3, 3) and eight for its shapes (8, 3), float32 0..255."""
    if rng.random() < 0.6:
        palette = rng.permutation(_PALETTES[int(rng.integers(len(_PALETTES)))])
        ground, shapes = palette[:3], np.concatenate([palette[2:], random_colours(rng, 4)])
    else:
        ground, shapes = random_colours(rng, 3), random_colours(rng, 8)
    # The second and third colour are drawn towards the first: a calm ground on which a shape can stand out.
    ground = ground[:1] + (ground - ground[:1]) * np.array([[0.0], [0.3], [0.45]], dtype=np.float32)
    return ground, shapes


def _upsampled(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def _noise(rng: np.random.Generator, height: int, width: int, cell_px: float) -> np.ndarray:
    """Smooth noise (H, W), uint8, whose bumps are about `cell_px` wide."""
    rows, columns = 2 + int(height / cell_px), 2 + int(width / cell_px)
    return _upsampled(rng.integers(0, 256, (rows, columns), dtype=np.uint8), height, width)


def _phase(rng: np.random.Generator, height: int, width: int, period_px: float, angle: float) -> np.ndarray:
    """Position across stripes (H, W), uint8, that wraps around once per `period_px`."""
    step = 65536 / period_px
    x = (np.arange(width) * step * math.cos(angle)).astype(np.int64) + int(rng.integers(65536))
    y = (np.arange(height) * step * math.sin(angle)).astype(np.int64)
    return ((y.astype(np.uint16)[:, None] + x.astype(np.uint16)[None, :]) >> 8).astype(np.uint8)


def _blobs(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Soft round spots (H, W), uint8: drawn small, blurred by the enlargement."""
    small = Image.new("L", (max(8, width // 8), max(8, height // 8)))
    draw = ImageDraw.Draw(small)
    for x, y, radius, tone in rng.random((12, 4)):
        x, y, radius = x * small.width, y * small.height, 2 + 6 * radius
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(80 + 175 * tone))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def background(rng: np.random.Generator, height: int, width: int, colours: np.ndarray) -> np.ndarray:
    """A textured ground (H, W, 3), uint8, in three colours (3, 3): gradient, noise, stripes, checks or blobs.

    Each texture is one uint8 field whose value picks a colour from a ramp of 256; that is the cheapest way to colour it.
    """
    kind = rng.random()
    position = np.linspace(0, 1, 256, dtype=np.float32)
    wave = 1 - np.abs(2 * position - 1)  # 0 1 0: neighbouring periods join without a jump
    if kind < 0.2:
        field = _noise(rng, height, width, 0.7 * max(height, width))
    elif kind < 0.4:
        coarse = _noise(rng, height, width, 20 + 60 * rng.random())
        fine = _noise(rng, height, width, 3 + 9 * rng.random())
        field = (coarse >> 1) + (coarse >> 2) + (fine >> 2)
    elif kind < 0.55:
        field, sharpness = _phase(rng, height, width, 14 + 50 * rng.random(), 2 * math.pi * rng.random()), rng.random()
        position = np.clip((wave - 0.5) * (1 + 6 * sharpness) + 0.5, 0, 1)
    elif kind < 0.7:
        period, angle = 20 + 60 * rng.random(), 2 * math.pi * rng.random()
        one = _phase(rng, height, width, period, angle)
        field = (one ^ _phase(rng, height, width, period, angle + math.pi / 2)) & 128
        field = field | (_noise(rng, height, width, 60) >> 2)
        position = np.where(position < 0.5, 0.6 * position, 0.4 + 0.6 * position)
    elif kind < 0.85:
        field = _blobs(rng, height, width)
    else:
        field = _noise(rng, height, width, 2 + 3 * rng.random())
        position = 0.35 + 0.3 * position
    ramp = np.stack([np.interp(position, [0.0, 0.5, 1.0], channel) for channel in colours.T], axis=1)
    indexed = Image.fromarray(field)
    indexed.putpalette(ramp.astype(np.uint8).tobytes())
    ground = indexed.convert("RGB")
    if kind >= 0.2:  # a broad change of light, so that no texture is the same everywhere
        light = rng.integers(0, 256, (2, 2, 1), dtype=np.uint8).repeat(3, axis=2)
        shade = Image.fromarray(light).resize((width, height), Image.Resampling.BILINEAR)
        ground = Image.blend(ground, shade, 0.12)
    return np.array(ground)
