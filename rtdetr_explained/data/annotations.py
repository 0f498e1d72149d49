"""Annotated images, whatever file they come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from rtdetr_explained.boxes import xyxy_to_cxcywh
from rtdetr_explained.data.images import open_image
from rtdetr_explained.data.report import Report
from rtdetr_explained.errors import InputError

ROUNDING_PX = 1.0  # a box may reach this far over the border before it counts as a mistake: tools round differently


@dataclass(frozen=True)
class AnnotatedImage:
    """An image file and the objects in it.

    `boxes` (n, 4) float32 are cxcywh in 0..1 of `width` × `height` pixels, `labels` (n,) int64 count from 0, and
    `areas` (n,) float32 are in square pixels: of the object's outline where the file tells it, else of the box.
    `ignored_boxes` and `ignored_labels` are kept apart: objects that are neither to be learnt nor to be found, marked
    `iscrowd` in COCO files and `difficult` in VOC files.
    """

    path: Path
    image_id: int | str
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    areas: np.ndarray
    ignored_boxes: np.ndarray
    ignored_labels: np.ndarray

    @property
    def name(self) -> str:
        """The file's name, and the image's id where that is another."""
        return self.path.name if str(self.image_id) == self.path.stem else f"{self.path.name} (id {self.image_id})"


@dataclass(frozen=True)
class Annotations:
    """Annotated images and their classes; `category_ids[label]` is the id, or the name, that the file gives a class."""

    images: tuple[AnnotatedImage, ...]
    class_names: tuple[str, ...]
    category_ids: tuple[int | str, ...]

    @property
    def num_objects(self) -> int:
        """How many objects the images hold, without the ignored ones."""
        return sum(len(image.labels) for image in self.images)


class Row(NamedTuple):
    """One object while a file is read: corners in pixels, and the area where the file tells it."""

    label: int
    corners: tuple[float, float, float, float]  # x0 y0 x1 y1
    area: float | None
    ignored: bool


def annotated_image(
    path: Path, image_id: int | str, size: tuple[int, int], rows: Iterable[Row], report: Report
) -> AnnotatedImage:
    """Put an image of (width, height) pixels together; boxes are cut at its border, those without area left out."""
    width, height = size
    kept = []
    for row in rows:
        corners = _cut(row.corners, width, height, path.name, report)
        if corners is not None:
            kept.append(row._replace(corners=corners))
    corners = np.array([row.corners for row in kept], dtype=np.float64).reshape(-1, 4)
    boxes = xyxy_to_cxcywh(corners)
    areas = [row.area or w * h for row, (_, _, w, h) in zip(kept, boxes.tolist(), strict=True)]
    labels = np.array([row.label for row in kept], dtype=np.int64)
    ignored = np.array([row.ignored for row in kept], dtype=bool)
    boxes = (boxes / np.tile(size, 2)).astype(np.float32)
    return AnnotatedImage(
        path,
        image_id,
        width,
        height,
        boxes[~ignored],
        labels[~ignored],
        np.array(areas, dtype=np.float32)[~ignored],
        boxes[ignored],
        labels[ignored],
    )


def load_photo(image: AnnotatedImage) -> Image.Image:
    """The picture that the boxes were drawn on, as RGB.

    Cameras store a portrait photo lying on its side with a note to turn it; tools disagree whether boxes refer to the
    stored or to the turned picture, and the width and height of the annotation tell which. Raises InputError for a
    picture that cannot be read or has other proportions than the annotation says.
    """
    photo = open_image(image.path)
    told = (image.width, image.height)
    if photo.size == told:
        return photo
    stored = open_image(image.path, upright=False)
    if stored.size == told:
        return stored
    # Boxes are relative, so a picture scaled down as a whole still fits; a pixel of rounding is allowed.
    if abs(photo.width * image.height - photo.height * image.width) <= max(told):
        return photo
    raise InputError(
        f"{image.path.name} is {photo.width} × {photo.height} pixels but annotated as {image.width} × {image.height}; "
        "correct the annotation or use the picture it was made for."
    )


def _cut(
    corners: tuple[float, float, float, float], width: int, height: int, name: str, report: Report
) -> tuple[float, float, float, float] | None:
    """The part of a box within its image, or None when there is none."""
    x0, y0, x1, y1 = corners
    text = f"{name}: the box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})"
    cut = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    if not (cut[0] < cut[2] and cut[1] < cut[3]):  # also true for NaN
        report.add("empty_box", f"{text} has no area within the image of {width} × {height} pixels; correct it.")
        return None
    if max(abs(a - b) for a, b in zip(corners, cut, strict=True)) > ROUNDING_PX:
        report.add("box_outside", f"{text} reaches outside the image of {width} × {height} pixels; correct it.")
    return cut
