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
from rtdetr_explained.printable import printable

LEAST_SIDE_PX = 1.0  # a box with a shorter side goes before training
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(map(printable, self.class_names)))

    @property
    def num_objects(self) -> int:
        """How many objects the images hold, without the ignored ones."""
        return sum(len(image.labels) for image in self.images)


class Classes(NamedTuple):
    """The names of the classes by label, and the id of each in the file."""

    names: tuple[str, ...]
    ids: tuple[int | str, ...]


Corners = tuple[float, float, float, float]  # x0 y0 x1 y1


class Row(NamedTuple):
    """One object while a file is read: corners in pixels, and the area where the file tells it."""

    label: int
    corners: Corners
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


def are_parts(rows: Iterable[Row]) -> bool:
    """Whether all boxes of a file lie within 0..1: parts of the image's sides, since no object is within one pixel."""
    corners = [row.corners for row in rows]
    return bool(corners) and all(0 <= value <= 1 for four in corners for value in four)


def parts_to_pixels(row: Row, size: tuple[int, int]) -> Row:
    """A box in parts of the sides in pixels of an image of (width, height); an area would be in parts, too."""
    x0, y0, x1, y1 = row.corners
    width, height = size
    return row._replace(corners=(x0 * width, y0 * height, x1 * width, y1 * height), area=None)


def in_order(corners: Corners, name: str, report: Report) -> Corners:
    """x0 y0 x1 y1 with the smaller values first, as not all tools write a box that was drawn to the left or upwards."""
    x0, y0, x1, y1 = corners
    if x0 > x1 or y0 > y1:
        report.add("swapped_box", f"{name}: the box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) ends before it begins.")
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def joined_names(names: dict[int | str, str], file: str, report: Report) -> tuple[Classes, dict[int | str, int]]:
    """The classes of a file in the order of their ids, those of one name as one, and the label of every id."""
    ids: dict[str, int | str] = {}
    label_of = {}
    for key in sorted(names, key=lambda key: (isinstance(key, str), key)):
        name = printable(names[key])  # names that look alike are one
        if name in ids:
            report.add("duplicate_category", f"{file}: the categories {ids[name]} and {key} are both called {name!r}.")
        ids.setdefault(name, key)
        label_of[key] = [*ids].index(name)
    return Classes(tuple(ids), tuple(ids.values())), label_of


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


def _cut(corners: Corners, width: int, height: int, name: str, report: Report) -> Corners | None:
    """The part of a box within its image, or None when there is none."""
    x0, y0, x1, y1 = corners
    text = f"{name}: the box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})"
    cut = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    if not (cut[0] < cut[2] and cut[1] < cut[3]):  # also true for NaN
        report.add("empty_box", f"{text} has no area within the image of {width} × {height} pixels; correct it.")
        return None
    if max(abs(a - b) for a, b in zip(corners, cut, strict=True)) > ROUNDING_PX:
        report.add("box_outside", f"{text} reaches outside the image of {width} × {height} pixels; correct it.")
    if min(cut[2] - cut[0], cut[3] - cut[1]) < LEAST_SIDE_PX:
        report.add("tiny_box", f"{text} is less than a pixel wide or high; boxes are expected in pixels.")
    return cut
