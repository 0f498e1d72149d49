"""Reading folders of Pascal VOC XML files: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from rtdetr_explained.data.annotations import (
    Annotations,
    Corners,
    Row,
    annotated_image,
    are_parts,
    in_order,
    parts_to_pixels,
)
from rtdetr_explained.data.images import picture_size
from rtdetr_explained.data.pictures import SUFFIXES, Pictures, files_in
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.text_files import read_text
from rtdetr_explained.data.values import flag, number, numbers, polygon_corners
from rtdetr_explained.errors import InputError
from rtdetr_explained.printable import printable

_ENCODING = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""")
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_FLAG = re.compile(r"\s+(-1|0|1)$")  # of the lists of one class in VOC: whether the image shows it


def read_voc(path: Path, pictures: Path | None, report: Report) -> Annotations:
    """The images of a VOC folder and the objects in them; classes are the names found, in alphabetical order.

    `path` is the folder, or one of its lists such as `ImageSets/Main/train.txt`, whose lines begin with an image name.
    The XML files lie in the folder or in its `Annotations`; the pictures in `pictures` or, by default, in `JPEGImages`
    or `images` of that folder, or beside the XML files, and are called like their XML file or as that says. VOC counts
    pixels from 1 and includes the last one, so the corner (1, 1) is (0, 0) here. Raises InputError for a folder without
    XML files, a list that cannot be read, and where nothing is left to use.
    """
    folder = path if path.is_dir() else folder_of(path)
    inner = folder / "Annotations"
    files = files_in(inner if inner.is_dir() else folder, (".xml",))
    if not files:
        raise InputError(
            f"{folder} holds no XML files; give a Pascal VOC folder, a COCO JSON file, or the data.yaml of YOLO labels."
        )
    if path != folder:
        files = listed(path, files, report)
    usual = [folder / name for name in ("JPEGImages", "images", "Images")]
    places = Pictures([pictures] if pictures else [*usual, files[0].parent])
    found: dict[Path, tuple[Path, tuple[int, int] | None, list[tuple[str, Row]]]] = {}
    for file in files:
        try:
            root = parse_xml(file.read_bytes())
        except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
            report.add("malformed", f"{file.name} is not valid XML ({error}); export it again.")
            continue
        picture = places.find(file.stem) or places.find(root.findtext("filename") or "")
        if picture is None:
            report.add("missing_image", f"The picture of {file.name} is not in {places.places_text}; add it.")
        elif picture in found:
            report.add("duplicate_image", f"{file.name} describes {picture.name} again; keep one of the two files.")
        else:
            found[picture] = file, _told_size(root), _objects(file, root, report)
    if not found:
        raise InputError(
            f"None of the {len(files)} XML files in {folder} has its picture; choose the pictures' folder."
        )
    relative = are_parts(row for _, _, objects in found.values() for _, row in objects)
    if relative:
        report.add("relative_boxes", f"{folder.name}: all boxes lie within 0 and 1, as parts of the width and height.")
    names = sorted({name for _, _, objects in found.values() for name, _ in objects})
    images = []
    for picture, (file, told, objects) in found.items():
        try:
            size = told or picture_size(picture)
        except InputError as error:
            report.add("bad_image", str(error))
            continue
        rows = [row._replace(label=names.index(name)) for name, row in objects]
        rows = [parts_to_pixels(row, size) if relative else _from_1(row) for row in rows]
        images.append(annotated_image(picture, file.stem, size, rows, report))
    annotations = Annotations(tuple(images), tuple(names), tuple(names))
    if not annotations.num_objects:
        raise InputError(f"{folder} has no object that can be used; annotate at least one.")
    return annotations


def folder_of(path: Path) -> Path:
    """The VOC folder that a list of images belongs to: the nearest one above it with `Annotations`."""
    for folder in path.absolute().parents:
        if (folder / "Annotations").is_dir():
            return folder
    raise InputError(f"No folder above {path} holds Annotations; give a list of a Pascal VOC folder, or that folder.")


def listed(path: Path, files: list[Path], report: Report) -> list[Path]:
    """Those of the XML files that a list names, in its order.

    A line is a name, with spaces or a suffix or folders, and may end in a flag or in the XML file beside the picture.
    """
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    by_name = {file.stem.lower(): file for file in files} | {file.stem: file for file in files}
    found: dict[Path, None] = {}
    for line in lines:
        names = [line, _FLAG.sub("", line), *reversed(line.split())]
        file = next((by_name[name] for text in names for name in _stems(text) if name in by_name), None)
        if file is None:
            name = _stems(_FLAG.sub("", line))[0]
            report.add("missing_annotation", f"{path.name}: {name}.xml is not in {files[0].parent}; add it.")
        else:
            found[file] = None
    if not found:
        raise InputError(f"None of the {len(lines)} images that {path} names is in {files[0].parent}; choose its list.")
    return [*found]


def _stems(text: str) -> list[str]:
    """What the XML file of a line may be called, without its suffix."""
    name = text.replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    known = f"{dot}{suffix}".lower() in (*SUFFIXES, ".xml")
    stems = [stem, name] if known else [name]
    return stems + [stem.lower() for stem in stems]


def parse_xml(data: bytes) -> ElementTree.Element:
    """The root of an XML file in any encoding that it names; the parser itself knows few of them."""
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        encoding = _ENCODING.match(data.removeprefix(b"\xef\xbb\xbf"))
        text = data.decode(encoding[1].decode() if encoding else "utf-8-sig").removeprefix("\ufeff")
        return ElementTree.fromstring(_DECLARATION.sub("", text, count=1).strip())


def _told_size(root: ElementTree.Element) -> tuple[int, int] | None:
    width, height = (number(root.findtext(f"size/{side}")) or 0 for side in ("width", "height"))
    return (int(width), int(height)) if min(width, height) >= 1 else None


def _objects(file: Path, root: ElementTree.Element, report: Report) -> list[tuple[str, Row]]:
    """Class name and box of each object as the file gives it, with label 0 until all names are known."""
    objects = []
    for place, entry in enumerate(root.findall("object"), 1):
        name = printable(entry.findtext("name") or "").strip()
        corners = _corners(entry)
        if not name:
            report.add("unknown_category", f"{file.name}: object {place} has no name; add it.")
        elif corners is None:
            report.add("malformed", f"{file.name}: object {place} lacks a bndbox of four numbers; add it.")
        else:
            corners = in_order(corners, file.name, report)
            objects.append((name, Row(0, corners, None, flag(entry.findtext("difficult")))))
    return objects


def _corners(entry: ElementTree.Element) -> Corners | None:
    """The box of an object, or the one around its polygon x1, y1, x2, y2, …"""
    box = numbers([entry.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")])
    if box:
        return box[0], box[1], box[2], box[3]
    polygon = entry.find("polygon")
    points = numbers([child.text for child in polygon]) if polygon is not None else None
    return polygon_corners(points) if points and len(points) >= 6 and len(points) % 2 == 0 else None


def _from_1(row: Row) -> Row:
    """A box whose pixels are counted from 1, the last one included, as one from edge to edge."""
    x0, y0, x1, y1 = row.corners
    return row._replace(corners=(x0 - 1, y0 - 1, x1, y1))
