"""Reading folders of Pascal VOC XML files: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from rtdetr_explained.data.annotations import Annotations, Row, annotated_image
from rtdetr_explained.data.images import picture_size
from rtdetr_explained.data.report import Report
from rtdetr_explained.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def read_voc(path: Path, pictures: Path | None, report: Report) -> Annotations:
    """The images of a VOC folder and the objects in them; classes are the names found, in alphabetical order.

    `path` is the folder, or one of its lists such as `ImageSets/Main/train.txt`, whose lines begin with an image name.
    The XML files lie in the folder or in its `Annotations`; the pictures in `pictures` or, by default, in `JPEGImages`
    or `images` of that folder, or beside the XML files. VOC counts pixels from 1 and includes the last one, so the
    corner (1, 1) is (0, 0) here. Raises InputError for a folder without XML files, a list that cannot be read, and
    where nothing is left to use.
    """
    folder = path if path.is_dir() else folder_of(path)
    inner = folder / "Annotations"
    files = sorted((inner if inner.is_dir() else folder).glob("*.xml"))
    if not files:
        raise InputError(f"{folder} holds no XML files; give a Pascal VOC folder, or the COCO JSON file itself.")
    if path != folder:
        files = listed(path, files, report)
    places = [pictures] if pictures else [folder / "JPEGImages", folder / "images", files[0].parent]
    found: dict[Path, tuple[Path, tuple[int, int] | None, list[tuple[str, Row]]]] = {}
    for file in files:
        try:
            root = ElementTree.parse(file).getroot()
        except (ElementTree.ParseError, OSError, ValueError) as error:
            report.add("malformed", f"{file.name} is not valid XML ({error}); export it again.")
            continue
        picture = _picture(file, root, places)
        if picture is None:
            report.add("missing_image", f"The picture of {file.name} is not in {places[0]}; add it.")
        elif picture in found:
            report.add("duplicate_image", f"{file.name} describes {picture.name} again; keep one of the two files.")
        else:
            found[picture] = file, _told_size(root), _objects(file, root, report)
    if not found:
        raise InputError(
            f"None of the {len(files)} XML files in {folder} has its picture; choose the pictures' folder."
        )
    names = sorted({name for _, _, objects in found.values() for name, _ in objects})
    images = []
    for picture, (file, size, objects) in found.items():
        rows = [row._replace(label=names.index(name)) for name, row in objects]
        try:
            images.append(annotated_image(picture, file.stem, size or picture_size(picture), rows, report))
        except InputError as error:  # only a picture whose size had to be looked up
            if report.strict:
                raise
            report.add("bad_image", str(error))
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
    """Those of the XML files that a list names, in its order."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a list of image names.") from None
    names = [line.split()[0] for line in lines if line.strip()]
    by_name = {file.stem: file for file in files}
    for name in names:
        if name not in by_name:
            report.add("missing_annotation", f"{path.name}: {name}.xml is not in {files[0].parent}; add it.")
    found = [by_name[name] for name in dict.fromkeys(names) if name in by_name]
    if not found:
        raise InputError(f"None of the {len(names)} images that {path} names is in {files[0].parent}; choose its list.")
    return found


def _picture(file: Path, root: ElementTree.Element, places: list[Path]) -> Path | None:
    """The picture that an XML file names, or else the one called like the file."""
    told = (root.findtext("filename") or "").strip()
    names = ([told] if told else []) + [file.stem + suffix for suffix in SUFFIXES]
    return next((place / name for name in names for place in places if (place / name).is_file()), None)


def _told_size(root: ElementTree.Element) -> tuple[int, int] | None:
    try:
        width, height = (int(root.findtext(f"size/{side}", "0")) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _objects(file: Path, root: ElementTree.Element, report: Report) -> list[tuple[str, Row]]:
    """Class name and box of each object, with label 0 until all names are known."""
    objects = []
    for number, entry in enumerate(root.findall("object"), 1):
        name = (entry.findtext("name") or "").strip()
        if not name:
            report.add("unknown_category", f"{file.name}: object {number} has no name; add it.")
            continue
        try:
            x0, y0, x1, y1 = (float(entry.findtext(f"bndbox/{key}", "")) for key in ("xmin", "ymin", "xmax", "ymax"))
        except ValueError:
            x0 = y0 = x1 = y1 = math.nan
        if not all(map(math.isfinite, (x0, y0, x1, y1))):
            report.add("malformed", f"{file.name}: object {number} lacks a bndbox of four numbers; add it.")
            continue
        difficult = (entry.findtext("difficult") or "").strip() == "1"
        objects.append((name, Row(0, (x0 - 1, y0 - 1, x1, y1), None, difficult)))
    return objects
