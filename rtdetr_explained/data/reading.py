"""Annotations from a path: a COCO JSON file, a Pascal VOC folder, or one of its lists."""

from __future__ import annotations

from pathlib import Path

from rtdetr_explained.data.annotations import Annotations
from rtdetr_explained.data.coco_json import read_coco
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.voc_xml import read_voc
from rtdetr_explained.errors import InputError


def read_annotations(path: Path, pictures: Path | None, report: Report) -> Annotations:
    """Read a COCO JSON file, a folder of VOC XML files, or the part of it that a `.txt` list names.

    `pictures` is the folder of the images; by default `images` beside the JSON file, or else that file's own folder,
    and for VOC the folders usual there. What is wrong in single entries goes into the report. Raises InputError for a
    path that does not exist and for data of which nothing can be used.
    """
    if pictures is not None and not pictures.is_dir():
        raise InputError(f"The folder {pictures} does not exist; give the folder of the images.")
    if path.is_dir() or (path.is_file() and path.suffix == ".txt"):
        return read_voc(path, pictures, report)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a COCO JSON file or a folder of VOC XML files.")
    beside = path.parent / "images"
    return read_coco(path, pictures or (beside if beside.is_dir() else path.parent), report)
