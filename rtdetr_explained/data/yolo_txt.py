"""Reading YOLO data sets, a text file of labels for each picture and `data.yaml` with the names of the classes:
https://docs.ultralytics.com/datasets/detect/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rtdetr_explained.data.annotations import Annotations, Corners, Row, annotated_image, joined_names
from rtdetr_explained.data.images import picture_size
from rtdetr_explained.data.pictures import SUFFIXES, Pictures, files_in
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.simple_yaml import Value, parse_yaml
from rtdetr_explained.data.text_files import read_text
from rtdetr_explained.data.values import identity, number, numbers, polygon_corners
from rtdetr_explained.errors import InputError

PARTS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
BEYOND = 0.01  # how far a number may lie outside 0..1, for rounding, before it is taken for pixels


def read_yolo(path: Path, pictures: Path | None, part: str, report: Report) -> Annotations:
    """The images of one part, "train", "val" or "test", of the data set that a `data.yaml` describes.

    `path` is that file, a folder with it, or a folder or a list of pictures below, which then is the part. The labels
    of `…/images/x.jpg` lie in `…/labels/x.txt` or beside the picture, a line for each object: its class, and centre
    and size, or a polygon, in parts of the picture's sides. Raises InputError where nothing is left to use.
    """
    file, chosen = _file_of(path)
    table = parse_yaml(read_text(file), file.name)
    classes, label_of = joined_names(_names(table, file), file.name, report)
    keypoints = "kpt_shape" in table
    places = [pictures or chosen or path] if pictures or chosen else _places(table, part, file)
    found = dict.fromkeys(picture for place in places for picture in _pictures(place, file))
    if not found:
        raise InputError(f"{file.name}: there are no pictures in {places[0]}; choose another folder.")
    images, labelled = [], set()
    for picture in found:
        try:
            size = picture_size(picture)
        except InputError as error:
            report.add("bad_image", str(error))
            continue
        rows, labels = [], labels_of(picture)
        if labels.is_file():
            labelled.add(labels)
            rows = list(_rows(labels, label_of, size, keypoints, report))
        images.append(annotated_image(picture, picture.stem, size, rows, report))
    for folder in sorted({labels_of(picture).parent for picture in found}):
        for labels in files_in(folder, (".txt",)):
            if labels not in labelled and labels.name != "classes.txt" and places[0].is_dir():
                report.add("missing_image", f"The picture of {labels.name} is not in {places[0]}; add it.")
    annotations = Annotations(tuple(images), classes.names, classes.ids)
    if not annotations.num_objects:
        where = labels_of(next(iter(found))).parent
        raise InputError(
            f"No object of the {len(found)} pictures in {places[0]} can be used; their labels belong into {where}."
        )
    return annotations


def yaml_above(path: Path) -> Path | None:
    """The `data.yaml` in a folder or up to three floors above, or else the only YAML file there that names classes."""
    for folder in [path, *path.absolute().parents][:4]:
        if (folder / "data.yaml").is_file():
            return folder / "data.yaml"
        named = [file for file in files_in(folder, (".yaml", ".yml")) if b"names:" in file.read_bytes()]
        if len(named) == 1:
            return named[0]
    return None


def labels_of(picture: Path) -> Path:
    """Where the labels of a picture are: the last folder `images` of its path becomes `labels`, if there is such."""
    parts = list(picture.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == "images":
            parts[place] = "labels"
            labels = Path(*parts).with_suffix(".txt")
            if labels.parent.is_dir():
                return labels
            break
    return picture.with_suffix(".txt")


def _file_of(path: Path) -> tuple[Path, Path | None]:
    """The YAML file of a path, and the path where it is a folder or list of pictures by itself."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return path, None
    file = yaml_above(path)
    if file is None:
        raise InputError(f"No data.yaml is in {path} or above it; give the path of the one with the class names.")
    return file, None if file.parent == path else path


def _names(table: dict[str, Value], file: Path) -> dict[int | str, str]:
    """Class names by id."""
    names = table.get("names")
    if isinstance(names, list):
        names = {str(place): name for place, name in enumerate(names)}
    if isinstance(names, dict) and names:
        known = {identity(key): name for key, name in names.items()}
        if all(isinstance(key, int) for key in known):
            return {key: name.strip() or f"class {key}" for key, name in known.items() if key is not None}
    raise InputError(f"{file.name} has no names that can be read; write them as names: [one, two, three].")


def _places(table: dict[str, Value], part: str, file: Path) -> list[Path]:
    """The folders and lists of one part.

    Paths hold where the data set was made; here its folders are looked for beside the file. Roboflow writes
    `../train/images` for `train/images` (roboflow/notebooks #69).
    """
    value = next((table[key] for key in PARTS[part] if table.get(key)), None)
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if not texts:
        there = [name for name, keys in PARTS.items() if any(table.get(key) for key in keys)]
        raise InputError(f"{file.name} names no pictures for {part}, only for {', '.join(there) or 'nothing'}.")
    root = table.get("path")
    roots = [file.parent / (root if isinstance(root, str) else ""), file.parent]
    places = []
    for text in texts:
        parts = [name for name in text.replace("\\", "/").split("/") if name not in ("", ".")]
        tails = [parts[start:] for start in range(len(parts))]
        ways = [folder / text for folder in roots] + [file.parent.joinpath(*tail) for tail in tails]
        found = next((way for way in ways if way.exists()), None)
        if found is None:
            raise InputError(f"{file.name}: {part} is {text}, which is not in {file.parent}; correct the path.")
        places.append(found)
    return places


def _pictures(place: Path, file: Path) -> Iterator[Path]:
    """The pictures of a folder and those below, or those that a list names."""
    if place.is_dir():
        below = (path for path in sorted(place.rglob("*")) if path.suffix.lower() in SUFFIXES)
        yield from (path for path in below if not path.name.startswith("._"))
    else:
        found = Pictures([place.parent, file.parent])
        lines = filter(None, map(str.strip, read_text(place).splitlines()))
        yield from (picture for line in lines if (picture := found.find(line)))


def _rows(
    labels: Path, label_of: dict[int | str, int], size: tuple[int, int], keypoints: bool, report: Report
) -> Iterator[Row]:
    try:
        lines = read_text(labels).splitlines()
    except InputError as error:
        report.add("malformed", str(error))
        return
    width, height = size
    for place, line in enumerate(lines, 1):
        if not (words := line.split()):
            continue
        name = f"{labels.name}, line {place}"
        key, shape = identity(number(words[0])), _shape(numbers(words[1:]) or [], keypoints)
        if key is None or not shape:
            report.add("malformed", f"{name}: a class, a centre and a size in 0..1 are expected; correct it.")
        elif key not in label_of:
            report.add("unknown_category", f"{name}: there is no class {words[0]} in the names; add it.")
        elif min(shape) < -BEYOND or max(shape) > 1 + BEYOND:
            report.add("malformed", f"{name}: its numbers are no parts of the picture's sides; divide by those.")
        else:
            x0, y0, x1, y1 = _corners(shape)
            yield Row(label_of[key], (x0 * width, y0 * height, x1 * width, y1 * height), None, False)


def _shape(values: list[float], keypoints: bool) -> list[float]:
    """The four numbers of a box, or those of a polygon; none where it is neither.

    Five numbers are a box with the score of a prediction; with key points, these follow the box.
    """
    if len(values) in (4, 5) or (keypoints and len(values) > 4):
        return values[:4]
    return values if len(values) >= 6 and len(values) % 2 == 0 else []


def _corners(shape: list[float]) -> Corners:
    """x0 y0 x1 y1 of a box cx, cy, w, h, or around a polygon x, y, x, y, …"""
    if len(shape) > 4:
        return polygon_corners(shape)
    cx, cy, w, h = shape
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
