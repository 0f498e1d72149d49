"""Where things go: outlines, links, labels off each other, and the part of a photo worth showing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from rtdetr_explained.drawing.marks import Area, Axis, Dash, Extent, Lines, Mark, Panel, Photo


def place_labels(
    boxes: np.ndarray, sizes: Sequence[tuple[float, float]], image_size: tuple[int, int]
) -> list[tuple[float, float] | None]:
    """Top-left corners for the labels of boxes, inside the image and off each other; None where there is no room.

    Args:
        boxes: (n, 4) x0 y0 x1 y1 in pixels; earlier boxes choose first.
        sizes: n label sizes (width, height) in the same pixels.
        image_size: (width, height) of the image.
    """
    corners: list[tuple[float, float] | None] = []
    taken: list[tuple[float, float, float, float]] = []  # x0 y0 x1 y1
    for (x0, y0, x1, y1), (w, h) in zip(np.asarray(boxes, float).tolist(), sizes, strict=True):
        choices = []
        for cx in (x0, x1 - w):  # flush left, flush right
            for cy in (y0 - h, y0, y1, y1 - h):  # above, inside, below, inside at the bottom
                x = min(max(cx, 0.0), max(image_size[0] - w, 0.0))
                y = min(max(cy, 0.0), max(image_size[1] - h, 0.0))
                if all(x >= right or x + w <= left or y >= below or y + h <= top for left, top, right, below in taken):
                    choices.append((abs(x - cx) + abs(y - cy), len(choices), x, y))
        if choices:
            _, _, x, y = min(choices)
            taken.append((x, y, x + w, y + h))
            corners.append((x, y))
        else:
            corners.append(None)
    return corners


def photo_height(image_size: tuple[int, int], width: float = 400, most: float = 300) -> int:
    """Pixels of height to keep for a photo about `width` pixels wide, so that wide photos leave no gap below them."""
    return round(min(most, width * image_size[1] / image_size[0]))


def box_outline(boxes_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) as x0, y0, x1, y1 to one line: x and y (6 n), each box closed and ended by NaN."""
    x0, y0, x1, y1 = np.asarray(boxes_px, dtype=float).reshape(-1, 4).T
    gap = np.full_like(x0, np.nan)
    return np.stack([x0, x1, x1, x0, x0, gap], 1).ravel(), np.stack([y0, y0, y1, y1, y0, gap], 1).ravel()


def links(start: tuple[float, float], ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One stroke from `start` to each of `ends` (n, 2): x and y (3 n)."""
    ends = np.asarray(ends, dtype=float).reshape(-1, 2)
    gap = np.full(len(ends), np.nan)
    x = np.stack([np.full(len(ends), start[0]), ends[:, 0], gap], 1).ravel()
    return x, np.stack([np.full(len(ends), start[1]), ends[:, 1], gap], 1).ravel()


def region_around(boxes_px: np.ndarray, image_size: tuple[int, int], room: float = 0.6, least: float = 0.3) -> Extent:
    """The part of the photo to show so that boxes (n, 4; x0 y0 x1 y1 in pixels) are seen well.

    It has the photo's aspect, leaves `room` times the boxes' size around them, is at least `least` times as long as the
    photo, and stays inside the photo unless the boxes themselves do not.
    """
    boxes = np.asarray(boxes_px, dtype=float).reshape(-1, 4)
    size = np.asarray(image_size, dtype=float)
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    needed = float(((high - low) / size).max()) * (1 + room)
    length = size * min(max(needed, least), max(1.0, needed if (low < 0).any() or (high > size).any() else 1.0))
    margin = (high - low) * room / 2
    first = np.where(low < 0, low - margin, 0.0)  # the region may reach as far as this to the left and up ...
    last = np.where(high > size, high + margin, size)  # ... and this to the right and down
    start = (low + high - length) / 2
    start = np.where(
        length < last - first, np.clip(start, first, np.maximum(first, last - length)), (first + last - length) / 2
    )
    return float(start[0]), float(start[1]), float(start[0] + length[0]), float(start[1] + length[1])


def photo_part(photo: Image.Image, image_size: tuple[int, int], region: Extent) -> Photo:
    """The photo, cut to what of it lies in `region`, so that no pixel is sent that is not seen."""
    scale = photo.width / image_size[0], photo.height / image_size[1]
    x0, y0 = math.floor(max(region[0], 0) * scale[0]), math.floor(max(region[1], 0) * scale[1])
    x1 = math.ceil(min(region[2], image_size[0]) * scale[0])
    y1 = math.ceil(min(region[3], image_size[1]) * scale[1])
    x0, y0 = min(x0, photo.width - 1), min(y0, photo.height - 1)
    x1, y1 = min(max(x1, x0 + 1), photo.width), min(max(y1, y0 + 1), photo.height)
    return Photo(photo.crop((x0, y0, x1, y1)), (x0 / scale[0], y0 / scale[1], x1 / scale[0], y1 / scale[1]))


def outline(
    boxes_px: np.ndarray,
    color: str,
    width: float = 1.5,
    dash: Dash = "solid",
    alpha: float = 1.0,
    halo: bool = True,
    hover: str | None = None,
    name: str = "",
) -> Lines:
    """The outlines of boxes (n, 4) x0 y0 x1 y1 as one mark; `hover` is what every corner tells."""
    x, y = box_outline(boxes_px)
    return Lines(x, y, color, width, dash, alpha, halo, None if hover is None else [hover] * len(x), name)


def photo_panel(
    area: Area,
    region: Extent | tuple[int, int],
    marks: Sequence[Mark],
    title: str = "",
    subtitle: str = "",
    framed: bool = False,
) -> Panel:
    """A panel in pixels of the photo, y downwards: all of an image (width, height), or a region x0 y0 x1 y1 of it."""
    x0, y0, x1, y1 = region if len(region) == 4 else (0, 0, *region)
    return Panel(area, Axis((x0, x1)), Axis((y1, y0)), marks, title, subtitle, ratio=1, framed=framed)
