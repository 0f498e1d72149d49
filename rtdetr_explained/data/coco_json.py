"""Reading COCO JSON files: https://cocodataset.org/#format-data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from rtdetr_explained.data.annotations import (
    Annotations,
    Corners,
    Row,
    annotated_image,
    are_parts,
    in_order,
    joined_names,
    parts_to_pixels,
)
from rtdetr_explained.data.images import picture_size
from rtdetr_explained.data.pictures import Pictures
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.values import flag, identity, number, numbers, polygon_corners
from rtdetr_explained.errors import InputError

Id = int | str


def read_coco(path: Path, folder: Path | None, report: Report) -> Annotations:
    """The images of a COCO file and the objects in them.

    `folder` holds the pictures; by default they are in `images` beside the file, beside the file itself, or a floor
    higher, where COCO has its `annotations` beside `train2017`. Labels are the places of the category ids in ascending
    order: COCO's own ids 1..90, of which ten are not used, become 0..79, the order of the published models. Raises
    InputError for a file that is not COCO JSON, and for one that leaves no image or no object to use.
    """
    content = _load(path)
    used = {identity(entry.get("category_id")) for entry in content["annotations"] if isinstance(entry, dict)}
    classes, label_of = joined_names(_categories(content["categories"], used, path, report), path.name, report)
    places = [folder] if folder else _places(path)
    listed = _images(content["images"], Pictures(places), path, report)
    _add_objects(content["annotations"], label_of, listed, path, report)
    found = {key: image for key, image in listed.items() if image.file}
    relative = are_parts(row for image in found.values() for row in image.rows)
    if relative:
        report.add(
            "relative_boxes", f"{path.name}: all boxes lie within 0 and 1, as parts of the width and the height."
        )
    images = []
    for key, (file, told, rows) in found.items():
        assert file is not None
        try:
            size = told or picture_size(file)
        except InputError as error:
            report.add("bad_image", str(error))
            continue
        rows = [parts_to_pixels(row, size) for row in rows] if relative else rows
        images.append(annotated_image(file, key, size, rows, report))
    annotations = Annotations(tuple(images), classes.names, classes.ids)
    if not annotations.num_objects:
        raise InputError(f"{path.name} has no object that can be used; annotate at least one.")
    return annotations


def _load(path: Path) -> dict[str, list]:
    try:
        content = json.loads(path.read_bytes())  # UTF-8, 16 or 32, with or without a byte order mark
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a COCO JSON file.") from None
    except (ValueError, RecursionError) as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path.name} is not valid JSON{where}; export it again.") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise InputError(f"{path.name} is not a COCO file: it has no list {key!r}; export it as COCO JSON.")
    return content


def _places(path: Path) -> list[Path]:
    """Where the pictures usually are: for `annotations/instances_train2017.json` also in `train2017` a floor higher."""
    beside, above = path.parent, path.absolute().parent.parent
    part = path.stem.removeprefix("instances_")
    return [beside / "images", beside, above / "images", above / part, above / "images" / part, above]


def _categories(entries: list[Any], used: set[Id | None], path: Path, report: Report) -> dict[Id, str]:
    """Names by id, without a category that no object is of and that others name as the one above them.

    Exports of Roboflow begin with such a one (roboflow/rf-detr #1303).
    """
    categories: dict[Id, str] = {}
    above = set()
    for place, entry in enumerate(entries):
        key, name = (identity(entry.get("id")), entry.get("name")) if isinstance(entry, dict) else (None, None)
        if key is None or not isinstance(name, str | int) or not str(name).strip():
            report.add("malformed", f"{path.name}: category number {place} lacks an id or a name; add it.")
        elif key in categories:
            report.add("malformed", f"{path.name}: two categories have the id {key}; give each its own.")
        else:
            categories[key] = str(name).strip()
            if entry.get("supercategory") != name:
                above.add(entry.get("supercategory") if isinstance(entry.get("supercategory"), str) else None)
    if not categories:
        raise InputError(f"{path.name} has no categories; list them with an id and a name each.")
    roots = [key for key, name in categories.items() if name in above and key not in used]
    for key in roots if len(roots) < len(categories) else []:
        report.add("root_category", f"{path.name}: {categories[key]!r} stands only above other categories.")
        del categories[key]
    return categories


class Listed(NamedTuple):
    """An image of the list: its file, None where there is none, its (width, height) where told, and its objects."""

    file: Path | None
    told: tuple[int, int] | None
    rows: list[Row]


def _images(entries: list[Any], pictures: Pictures, path: Path, report: Report) -> dict[Id, Listed]:
    """By id; files that do not exist are reported. Two ids of one file name share their objects."""
    if not entries:
        raise InputError(f"{path.name} lists no images; export it again.")
    images: dict[Id, Listed] = {}
    taken: dict[Path, tuple[Id, str]] = {}
    for place, entry in enumerate(entries):
        key, name = (identity(entry.get("id")), entry.get("file_name")) if isinstance(entry, dict) else (None, None)
        if key is None or not isinstance(name, str) or not name:
            report.add("malformed", f"{path.name}: image number {place} lacks an id or a file_name; add it.")
            continue
        if key in images:
            report.add("duplicate_image", f"{path.name}: two images have the id {key}; give each its own.")
            continue
        file = pictures.find(name)
        width, height = number(entry.get("width")) or 0, number(entry.get("height")) or 0
        told = (int(width), int(height)) if min(width, height) >= 1 else None
        first, first_name = taken.setdefault(file, (key, name)) if file else (key, name)
        if file is None:
            report.add(
                "missing_image", f"{name} is not in {pictures.places_text}; add it or choose the folder it is in."
            )
        elif first != key:
            report.add("duplicate_image", f"{path.name}: the images {first} and {key} are both the file {file.name}.")
        rows = images[first].rows if first_name == name and first != key else []
        images[key] = Listed(file if first == key else None, told, rows)
    if not taken:
        raise InputError(
            f"None of the {len(entries)} images of {path.name} is in {pictures.places_text}; choose their folder."
        )
    return images


def _add_objects(
    entries: list[Any], label_of: dict[Id, int], images: dict[Id, Listed], path: Path, report: Report
) -> None:
    """Put the objects into the lists of their images. Nothing needs their ids, which some tools begin anew in every
    image (lyuwenyu/RT-DETR #232)."""
    for place, entry in enumerate(entries):
        entry = entry if isinstance(entry, dict) else {}
        name = f"{path.name}: object {entry.get('id', f'number {place}')}"
        image_id, category = identity(entry.get("image_id")), identity(entry.get("category_id"))
        corners = _corners(entry, name, report)
        if image_id is None or category is None or corners is None:
            report.add(
                "malformed",
                f"{path.name}: object number {place} lacks an image_id, a category_id, or a bbox of four numbers or a "
                "polygon; correct it.",
            )
        elif category not in label_of:
            report.add("unknown_category", f"{name} is of category {category}, which is not listed; add the category.")
        elif image_id not in images:
            report.add("unknown_image", f"{name} is in image {image_id}, which is not listed; add the image.")
        else:
            area = number(entry.get("area"))
            row = Row(label_of[category], corners, area if area and area > 0 else None, flag(entry.get("iscrowd")))
            images[image_id].rows.append(row)


def _corners(entry: dict[str, Any], name: str, report: Report) -> Corners | None:
    """The box of an object, or the one around its polygons where it has none or an empty one."""
    box = numbers(entry.get("bbox")) or []
    polygons = entry.get("segmentation")
    if not isinstance(polygons, list) or not polygons:
        polygons = []
    elif not isinstance(polygons[0], list):
        polygons = [polygons]
    points = [value for polygon in polygons for value in numbers(polygon) or []]
    if len(points) >= 6 and (len(box) != 4 or 0 in box[2:]):
        return polygon_corners(points)
    if len(box) != 4:
        return None
    x, y, width, height = box
    return in_order((x, y, x + width, y + height), name, report)
