"""Reading COCO JSON files: https://cocodataset.org/#format-data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rtdetr_explained.data.annotations import Annotations, Row, annotated_image
from rtdetr_explained.data.images import picture_size
from rtdetr_explained.data.report import Report
from rtdetr_explained.errors import InputError

LARGEST = 1e9  # of a coordinate in pixels; greater ones, and whole numbers that no float can hold, are mistakes


def read_coco(path: Path, folder: Path, report: Report) -> Annotations:
    """The images of a COCO file and the objects in them; `folder` holds the pictures.

    Labels are the places of the category ids in ascending order: COCO's own ids 1..90, of which ten are not used,
    become 0..79, the order of the published models. Raises InputError for a file that is not COCO JSON, and for one
    that leaves no image or no object to use.
    """
    content = _load(path)
    categories = _categories(content["categories"], path, report)
    label_of = {category_id: label for label, category_id in enumerate(sorted(categories))}
    listed = _images(content["images"], folder, path, report)
    rows = _rows(content["annotations"], label_of, listed, path, report)
    images = []
    for image_id, (file, size) in listed.items():
        if file is None:
            continue
        try:
            images.append(annotated_image(file, image_id, size or picture_size(file), rows[image_id], report))
        except InputError as error:  # only a picture whose size had to be looked up
            if report.strict:
                raise
            report.add("bad_image", str(error))
    annotations = Annotations(
        tuple(images), tuple(categories[i] for i in sorted(categories)), tuple(sorted(categories))
    )
    if not annotations.num_objects:
        raise InputError(f"{path.name} has no object that can be used; annotate at least one.")
    return annotations


Listed = dict[int | str, tuple[Path | None, tuple[int, int] | None]]  # by image id: file and size, None where unknown


def _load(path: Path) -> dict[str, list]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a COCO JSON file.") from None
    except (ValueError, RecursionError) as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path.name} is not valid JSON{where}; export it again.") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise InputError(f"{path.name} is not a COCO file: it has no list {key!r}; export it as COCO JSON.")
    return content


def _categories(entries: list[Any], path: Path, report: Report) -> dict[int, str]:
    """Names by id."""
    categories: dict[int, str] = {}
    for number, entry in enumerate(entries):
        match entry:
            case {"id": int(key), "name": str(name)} if name.strip():
                if key in categories:
                    report.add("malformed", f"{path.name}: two categories have the id {key}; give each its own.")
                else:
                    categories[key] = name.strip()
            case _:
                report.add("malformed", f"{path.name}: category number {number} lacks an id or a name; add it.")
    if len({*categories.values()}) < len(categories):
        names = [*categories.values()]
        twice = next(name for name in names if names.count(name) > 1)
        ids = " and ".join(str(key) for key, name in categories.items() if name == twice)
        raise InputError(f"{path.name}: the categories {ids} are all called {twice!r}; give each a name of its own.")
    if not categories:
        raise InputError(f"{path.name} has no categories; list them with an id and a name each.")
    return categories


def _images(entries: list[Any], folder: Path, path: Path, report: Report) -> Listed:
    """Files that do not exist are reported and become None."""
    listed: Listed = {}
    for number, entry in enumerate(entries):
        match entry:
            case {"id": int() | str() as key, "file_name": str(name)} if name:
                if key in listed:
                    report.add("duplicate_image", f"{path.name}: two images have the id {key}; give each its own.")
                elif not (folder / name).is_file():
                    report.add("missing_image", f"{name} is not in {folder}; add it or choose the folder it is in.")
                    listed[key] = None, None
                else:
                    width, height = entry.get("width"), entry.get("height")
                    told = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
                    listed[key] = folder / name, (width, height) if told else None
            case _:
                report.add("malformed", f"{path.name}: image number {number} lacks an id or a file_name; add it.")
    if not entries:
        raise InputError(f"{path.name} lists no images; export it again.")
    if not any(file for file, _ in listed.values()):
        raise InputError(f"None of the {len(entries)} images of {path.name} is in {folder}; choose their folder.")
    return listed


def _rows(
    entries: list[Any], label_of: dict[int, int], listed: Listed, path: Path, report: Report
) -> dict[int | str, list[Row]]:
    """The objects of each image, none for some."""
    rows: dict[int | str, list[Row]] = {image_id: [] for image_id in listed}
    seen = set()
    for number, entry in enumerate(entries):
        match entry:
            case {
                "image_id": int() | str() as image_id,
                "category_id": int(category),
                "bbox": [int() | float() as x, int() | float() as y, int() | float() as w, int() | float() as h],
            } if all(abs(number) < LARGEST for number in (x, y, w, h)):  # NaN is not
                name = f"{path.name}: object {entry.get('id', f'number {number}')}"
            case _:
                report.add(
                    "malformed",
                    f"{path.name}: object number {number} lacks an image_id, a category_id or a bbox of four numbers; "
                    "correct it.",
                )
                continue
        key = entry.get("id")
        if isinstance(key, int) and key in seen:
            report.add("duplicate_object", f"{path.name}: two objects have the id {key}; give each its own.")
        elif category not in label_of:
            report.add("unknown_category", f"{name} is of category {category}, which is not listed; add the category.")
        elif image_id not in rows:
            report.add("unknown_image", f"{name} is in image {image_id}, which is not listed; add the image.")
        else:
            area = entry.get("area")
            area = float(area) if isinstance(area, int | float) and 0 < area < LARGEST**2 else None
            rows[image_id].append(Row(label_of[category], (x, y, x + w, y + h), area, bool(entry.get("iscrowd"))))
        if isinstance(key, int):
            seen.add(key)
    return rows
