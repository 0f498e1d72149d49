"""Annotations from a path: a COCO JSON file, a Pascal VOC folder, a YOLO data set, or a list of one of these."""

from __future__ import annotations

from pathlib import Path

from rtdetr_explained.data.annotations import Annotations
from rtdetr_explained.data.coco_json import read_coco
from rtdetr_explained.data.pictures import files_in
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.voc_xml import read_voc
from rtdetr_explained.data.yolo_txt import read_yolo, yaml_above
from rtdetr_explained.errors import InputError


def read_annotations(path: Path, pictures: Path | None, report: Report, part: str = "train") -> Annotations:
    """Read a COCO JSON file, a folder of VOC XML files, a YOLO `data.yaml`, or a list or folder of a data set.

    `pictures` is the folder of the images, which is found by itself where it is usual. `part`, "train", "val" or
    "test", counts only for a `data.yaml`, which describes all of them. What is wrong in single entries goes into the
    report. Raises InputError for a path that does not exist and for data of which nothing can be used.
    """
    if pictures is not None and not pictures.is_dir():
        raise InputError(f"The folder {pictures} does not exist; give the folder of the images.")
    if not path.exists():
        raise InputError(
            f"{path} does not exist; give a COCO JSON file, a folder of VOC XML files, or the data.yaml of YOLO labels."
        )
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_yolo(path, pictures, part, report)
    if path.is_dir() or path.suffix.lower() == ".txt":
        if not _is_voc(path):
            jsons = files_in(path, (".json",)) if path.is_dir() else []
            if (
                len(jsons) == 1 and not (path / "data.yaml").is_file()
            ):  # as Roboflow exports a part: `train/_annotations.coco.json` beside its pictures
                return read_coco(jsons[0], pictures, report)
            if yaml_above(path):
                return read_yolo(path, pictures, part, report)
        return read_voc(path, pictures, report)
    return read_coco(path, pictures, report)


def _is_voc(path: Path) -> bool:
    """Whether a folder holds XML files, or a list has a VOC folder above it."""
    if path.is_dir():
        return bool(files_in(path, (".xml",)) or files_in(path / "Annotations", (".xml",)))
    return any((folder / "Annotations").is_dir() for folder in path.absolute().parents)
