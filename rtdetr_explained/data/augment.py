"""Augmentation of photographs for training, with boxes that follow the pixels. Pillow and NumPy only.

Order and values are those of configs/rtdetrv2/include/dataloader.yml in lyuwenyu/RT-DETR; what it leaves open are the
defaults of torchvision's transforms v2 of the same names, given at each constant.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance

from rtdetr_explained.boxes import cxcywh_to_xyxy_px, iou, xyxy_to_cxcywh

# RandomPhotometricDistort: `p` of dataloader.yml, which torchvision applies to each of its changes by itself.
DISTORT_PROBABILITY = 0.5
BRIGHTNESS = (0.875, 1.125)  # torchvision's default, as the three below
CONTRAST = (0.5, 1.5)
SATURATION = (0.5, 1.5)
HUE = (-0.05, 0.05)  # of a full turn of the colour circle
# RandomZoomOut: fill 0 in dataloader.yml; probability and sides, from 1 on, are torchvision's defaults.
ZOOM_PROBABILITY = 0.5
ZOOM_SIDE = 4.0
# RandomIoUCrop: p 0.8 in dataloader.yml; the rest are torchvision's defaults, after SSD (1512.02325, section 2.2).
CROP_PROBABILITY = 0.8
CROP_SCALE = (0.3, 1.0)
CROP_ASPECT = (0.5, 2.0)
CROP_LEAST_IOU = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # 1 stands for "leave the image whole"
CROP_TRIALS = 40
# SanitizeBoundingBoxes: min_size 1 in dataloader.yml.
LEAST_SIDE_PX = 1.0
# RandomHorizontalFlip: torchvision's default.
FLIP_PROBABILITY = 0.5
# BatchImageCollateFunction, generate_scales: 0.75 to 1.25 of the side in steps of 32, the side itself three times.
SCALE_STEP, SCALE_RANGE, SIDE_REPEATED = 32, (0.75, 1.25), 3


class Sample(NamedTuple):
    """An image and its objects: RGB, boxes (N, 4) float64 xyxy in pixels, labels (N,) int64."""

    image: Image.Image
    boxes: np.ndarray
    labels: np.ndarray


def augment(
    rng: np.random.Generator,
    image: Image.Image,
    boxes: np.ndarray,
    labels: np.ndarray,
    size: tuple[int, int],
    strong: bool,
    zoom_side: float = ZOOM_SIDE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Augment an RGB image and resize it to `size` (height, width) in pixels.

    `boxes` (N, 4) are cxcywh in 0..1 and go out so, clipped to the image; objects that are cut away or smaller than a
    pixel go, with their labels. With `strong` off, as in the last epochs, only the flip remains; `zoom_side` is that
    of `zoom_out`. The same state of `rng` gives the same result. Returns uint8 (height, width, 3), boxes float32 (M, 4)
    and labels (M,).
    """
    sample = Sample(image, cxcywh_to_xyxy_px(np.asarray(boxes, np.float64).reshape(-1, 4), image.size), labels)
    if strong:
        sample = sample._replace(image=photometric_distort(rng, sample.image))
        sample = zoom_out(rng, sample, zoom_side, most_px=zoom_side * max(size))
        sample = iou_crop(rng, sample)
    sample = flip(rng, sanitise(sample))
    sample = sanitise(resize(sample, size))
    found = xyxy_to_cxcywh(sample.boxes / np.tile(sample.image.size, 2))
    return np.array(sample.image), found.astype(np.float32), sample.labels


def photometric_distort(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Change brightness, contrast, saturation, hue and the order of the channels, each half of the time."""
    chosen = rng.random(5) < DISTORT_PROBABILITY  # brightness, contrast, saturation, hue, channels
    contrast_first = rng.random() < 0.5
    brightness, contrast, saturation = (rng.uniform(*ends) for ends in (BRIGHTNESS, CONTRAST, SATURATION))
    turn, order = rng.uniform(*HUE), rng.permutation(3)
    if chosen[0]:
        image = ImageEnhance.Brightness(image).enhance(brightness)
    if chosen[1] and contrast_first:
        image = ImageEnhance.Contrast(image).enhance(contrast)
    if chosen[2]:
        image = ImageEnhance.Color(image).enhance(saturation)
    if chosen[3]:
        image = shift_hue(image, turn)
    if chosen[1] and not contrast_first:
        image = ImageEnhance.Contrast(image).enhance(contrast)
    if chosen[4]:
        channels = image.split()
        image = Image.merge("RGB", [channels[c] for c in order])
    return image


def shift_hue(image: Image.Image, turn: float) -> Image.Image:
    """Move every hue along the colour circle by `turn`, a fraction of the full circle."""
    hue, saturation, value = image.convert("HSV").split()
    shifted = (np.asarray(hue).astype(np.int16) + round(turn * 256)) % 256
    return Image.merge("HSV", (Image.fromarray(shifted.astype(np.uint8)), saturation, value)).convert("RGB")


def zoom_out(
    rng: np.random.Generator, sample: Sample, zoom_side: float = ZOOM_SIDE, most_px: float = math.inf
) -> Sample:
    """Half of the time, put the image somewhere on a black canvas of up to `zoom_side` times its sides.

    So that a large photograph does not take gigabytes, no side of the canvas is longer than `most_px`: image and canvas
    are made smaller together.
    """
    if rng.random() >= ZOOM_PROBABILITY:
        return sample
    side = rng.uniform(1.0, zoom_side)
    shrink = most_px / (side * max(sample.image.size))
    if shrink < 1:
        width, height = (max(1, round(shrink * length)) for length in sample.image.size)
        sample = resize(sample, (height, width))
    width, height = sample.image.size
    canvas = Image.new("RGB", (int(width * side), int(height * side)))
    left = int((canvas.width - width) * rng.random())
    top = int((canvas.height - height) * rng.random())
    canvas.paste(sample.image, (left, top))
    return sample._replace(image=canvas, boxes=sample.boxes + [left, top, left, top])


def iou_crop(rng: np.random.Generator, sample: Sample) -> Sample:
    """Mostly, crop to a random rectangle that overlaps an object by a random least IoU, as SSD does.

    Objects whose centre is outside the rectangle go, the others' boxes are clipped. Without objects nothing is cropped.
    """
    if rng.random() >= CROP_PROBABILITY or not len(sample.boxes):
        return sample
    while (least := rng.choice(CROP_LEAST_IOU)) < 1:
        for _ in range(CROP_TRIALS):
            crop = _random_rectangle(rng, *sample.image.size)
            if crop is None:
                continue
            centres = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2
            kept = ((centres > crop[:2]) & (centres < crop[2:])).all(1)
            if kept.any() and iou(sample.boxes[kept], crop).max() >= least:
                left, top, right, bottom = crop.tolist()
                image = sample.image.crop((left, top, right, bottom))
                return sanitise(Sample(image, sample.boxes[kept] - [left, top, left, top], sample.labels[kept]))
    return sample


def sanitise(sample: Sample) -> Sample:
    """Clip the boxes to the image and drop those with a side below one pixel."""
    width, height = sample.image.size
    boxes = np.clip(sample.boxes, 0, [width, height, width, height])
    kept = (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE_PX).all(1)
    return Sample(sample.image, boxes[kept], sample.labels[kept])


def flip(rng: np.random.Generator, sample: Sample) -> Sample:
    """Half of the time, mirror left and right."""
    if rng.random() >= FLIP_PROBABILITY:
        return sample
    x0, y0, x1, y1 = sample.boxes.T
    width = sample.image.width
    mirrored = np.stack([width - x1, y0, width - x0, y1], axis=1)
    return sample._replace(image=sample.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), boxes=mirrored)


def resize(sample: Sample, size: tuple[int, int]) -> Sample:
    """Resize to (height, width) in pixels with Pillow's antialiased bilinear filter; the aspect ratio is not kept."""
    height, width = size
    stretch = np.tile([width / sample.image.width, height / sample.image.height], 2)
    image = sample.image.resize((width, height), Image.Resampling.BILINEAR)
    return sample._replace(image=image, boxes=sample.boxes * stretch)


def multi_scale_sides(side: int) -> list[int]:
    """The sides in pixels that multi-scale training draws from with equal chances: for 640, 480 to 800."""
    least, most = (int(side * factor / SCALE_STEP) * SCALE_STEP for factor in SCALE_RANGE)
    smaller = range(least, side, SCALE_STEP)
    larger = range(most, side, -SCALE_STEP)
    return [*smaller, *[side] * SIDE_REPEATED, *larger]


def _random_rectangle(rng: np.random.Generator, width: int, height: int) -> np.ndarray | None:
    """A rectangle xyxy in whole pixels inside the image, or None when it came out too thin."""
    w, h = (int(side * rng.uniform(*CROP_SCALE)) for side in (width, height))
    if min(w, h) < 1 or not CROP_ASPECT[0] <= w / h <= CROP_ASPECT[1]:
        return None
    left, top = int((width - w) * rng.random()), int((height - h) * rng.random())
    return np.array([left, top, left + w, top + h])
