"""Images and what is to be found in them, one after the other: generated scenes, or photographs with annotations."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.data.annotations import AnnotatedImage, load_photo
from rtdetr_explained.data.images import remarks_of
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.shapes import SHAPE_CLASSES, SceneConfig, generate_scene
from rtdetr_explained.errors import InputError
from rtdetr_explained.evaluation.coco import Objects


class Sample(NamedTuple):
    """An image, the (width, height) in pixels that its target refers to, and its place among all samples."""

    number: int
    photo: Image.Image
    size: tuple[int, int]
    target: Objects


def scene_samples(seeds: Iterable[int], size: tuple[int, int], labels: np.ndarray) -> Iterator[Sample]:
    """The scenes of these seeds at size (height, width).

    `labels[i]` is the label of shape class i in the terms of the model, -1 when the model does not know it.
    """
    height, width = size
    for seed in seeds:
        scene = generate_scene(seed, SceneConfig(size=size))
        known = labels[scene.labels] >= 0
        target = {
            "boxes": cxcywh_to_xyxy_px(scene.boxes[known], (width, height)),
            "labels": labels[scene.labels[known]],
        }
        yield Sample(seed, Image.fromarray(scene.image), (width, height), target)


def photo_samples(images: Iterable[tuple[int, AnnotatedImage]], report: Report) -> Iterator[Sample]:
    """Numbered photographs; one that cannot be used goes into the report and is left out."""
    for number, image in images:
        try:
            photo = load_photo(image)
        except InputError as error:
            report.add("bad_image", str(error))
            continue
        for kind, remark in remarks_of(photo).items():
            report.add(kind, remark)
        size = image.width, image.height
        boxes, ignored_boxes = cxcywh_to_xyxy_px(image.boxes, size), cxcywh_to_xyxy_px(image.ignored_boxes, size)
        target = {
            "boxes": np.concatenate([boxes, ignored_boxes]),
            "labels": np.concatenate([image.labels, image.ignored_labels]),
            "areas": np.concatenate([image.areas, np.ones(len(ignored_boxes), np.float32)]),
            "ignored": np.arange(len(boxes) + len(ignored_boxes)) >= len(boxes),
        }
        yield Sample(number, photo, size, target)


ALL_SHAPES = np.arange(len(SHAPE_CLASSES))  # the labels of scenes for a model that knows every shape in that order
