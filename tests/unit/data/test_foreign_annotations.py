"""Annotations as other people's tools write them: a row for each kind, with where it was met, and the right value."""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_data import BOX, HEIGHT, WIDTH, coco, objects, picture, voc, voc_text, yolo

from rtdetr_explained.data.reading import read_annotations
from rtdetr_explained.data.report import PROBLEMS, Report
from rtdetr_explained.errors import InputError

OWL = [("owl", BOX)]
Make = Callable[[Path], Path]


def many_ids(folder: Path, ids: list) -> Path:
    """Three owls in three images, with these ids."""
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        picture(folder / name)
    images = [{"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT} for i, name in enumerate(names)]
    owls = [{"id": key, "image_id": i, "category_id": 4, "bbox": [20, 10, 40, 60]} for i, key in enumerate(ids)]
    return coco(folder / "data.json", images=images, annotations=owls)


def beside(folder: Path, name: str = "a.png", photo: str = "images/a.png", file: str = "data.json", **more) -> Path:
    picture(folder / photo)
    return coco(folder / file, name, **more)


def encoded(folder: Path, encoding: str, mark: bytes = b"") -> Path:
    path = beside(folder)
    path.write_bytes(mark + path.read_text().encode(encoding))
    return path


def xml_in(folder: Path, encoding: str, declared: bool = True, name: str = "owl", start: str = "") -> Path:
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>' if declared else ""
    return voc(folder, text=(start + declaration + voc_text(name=name)).encode(encoding))


def listed(folder: Path, line: str, stem: str = "a", mark: bytes = b"", encoding: str = "utf-8", **more) -> Path:
    voc(folder, stem, **more)
    voc(folder, "other")
    path = folder / "train.txt"
    path.write_bytes(mark + f"{line}\n".encode(encoding))
    return path


def polygon(points: list) -> dict[str, Any]:
    return {"thing": {"segmentation": points, "bbox": []}}


TRIANGLE = [20, 70, 60, 10, 40, 70]
VOC_POLYGON = "<polygon><x1>21</x1><y1>70</y1><x2>60</x2><y2>11</y2><x3>40</x3><y3>70</y3></polygon>"
SWAPPED = "<bndbox><xmin>60</xmin><ymin>11</ymin><xmax>21</xmax><ymax>70</ymax></bndbox>"
FLOATS = "<bndbox><xmin>21.0</xmin><ymin> 11 </ymin><xmax>6e1</xmax><ymax>70.00</ymax></bndbox>"
PARTS = "<bndbox><xmin>.1</xmin><ymin>.1</ymin><xmax>.3</xmax><ymax>.7</ymax></bndbox>"
ROOT: dict[str, Any] = {
    "categories": [
        {"id": 0, "name": "birds", "supercategory": "none"},
        {"id": 4, "name": "owl"} | {"supercategory": "birds"},
    ]
}
OTHER_WAY = [{"id": 1, "image_id": 7, "category_id": 4, "bbox": [60, 70, -40, -60]}]

ROWS: dict[str, tuple[Make, list, dict[str, int]]] = {
    # --- ids and numbers: what makes it, the right objects, and what is said ---
    "ids of objects all 0": (lambda f: many_ids(f, [0, 0, 0]), OWL * 3, {}),
    "ids of objects from 1 in every image": (lambda f: many_ids(f, [1, 1, 1]), OWL * 3, {}),  # lyuwenyu/RT-DETR #232
    "no ids of objects": (lambda f: many_ids(f, [None, None, None]), OWL * 3, {}),
    "ids as text in one list": (lambda f: beside(f, thing={"image_id": "7", "category_id": "4"}), OWL, {}),
    "ids as text in the other list": (
        lambda f: beside(f, image={"id": "7"}, categories=[{"id": "4", "name": "owl"}]),
        OWL,
        {},
    ),
    "ids as floats": (lambda f: beside(f, thing={"image_id": 7.0, "category_id": 4.0}), OWL, {}),  # pandas to JSON
    "ids that are names": (
        lambda f: beside(
            f,
            image={"id": "img-1"},
            thing={"image_id": "img-1", "category_id": "o"},
            categories=[{"id": "o", "name": "owl"}],
        ),
        OWL,
        {},
    ),
    "numbers as text": (
        lambda f: beside(f, image={"width": "200", "height": "100.0"}, thing={"bbox": ["20", "10", " 40", "6e1"]}),
        OWL,
        {},
    ),
    "iscrowd as text": (lambda f: beside(f, thing={"iscrowd": "0"}), OWL, {}),
    "iscrowd as a word": (lambda f: beside(f, thing={"iscrowd": "false"}), OWL, {}),
    "boxes as parts of the sides": (
        lambda f: beside(f, thing={"bbox": [0.1, 0.1, 0.2, 0.6], "area": 0.12}),
        OWL,
        {"relative_boxes": 1},
    ),
    "a box drawn to the left and upwards": (lambda f: beside(f, annotations=OTHER_WAY), OWL, {"swapped_box": 1}),
    "a size of 0": (lambda f: beside(f, image={"width": 0, "height": 0}), OWL, {}),
    # --- bytes ---
    "JSON with a byte order mark": (lambda f: encoded(f, "utf-8", codecs.BOM_UTF8), OWL, {}),
    "JSON in UTF-16": (lambda f: encoded(f, "utf-16"), OWL, {}),
    # --- paths ---
    "file_name with the folder": (lambda f: beside(f, "images/a.png"), OWL, {}),
    "file_name from here": (lambda f: beside(f, "./a.png"), OWL, {}),
    "file_name with backslashes": (lambda f: beside(f, "images\\a.png"), OWL, {}),
    "file_name of another computer": (lambda f: beside(f, "/home/me/data/images/a.png"), OWL, {}),
    "file_name of another Windows computer": (lambda f: beside(f, "C:\\Users\\me\\images\\a.png"), OWL, {}),
    "file_name that is a whole path": (lambda f: beside(f, str(f / "images" / "a.png")), OWL, {}),
    "suffix in another case": (lambda f: beside(f, "a.PNG"), OWL, {}),
    "name in another case": (lambda f: beside(f, "A.png"), OWL, {}),
    "name without a suffix": (lambda f: beside(f, "a"), OWL, {}),
    "name quoted for the web": (lambda f: beside(f, "my%20owl.png", "images/my owl.png"), OWL, {}),
    "a folder below images": (lambda f: beside(f, "train/a.png", "images/train/a.png"), OWL, {}),
    "annotations beside images": (lambda f: beside(f, file="annotations/train.json"), OWL, {}),
    "annotations beside the folder of a part": (  # as COCO itself is unpacked
        lambda f: beside(f, photo="train2017/a.png", file="annotations/instances_train2017.json"),
        OWL,
        {},
    ),
    "a folder with its COCO file": (  # as Roboflow exports
        lambda f: beside(f, photo="train/a.png", file="train/_annotations.coco.json").parent,
        OWL,
        {},
    ),
    # --- shapes and classes ---
    "a polygon without a box": (lambda f: beside(f, **polygon([TRIANGLE])), OWL, {}),
    "a polygon with an empty box": (
        lambda f: beside(f, thing={"segmentation": [TRIANGLE], "bbox": [0, 0, 0, 0]}),
        OWL,
        {},
    ),
    "several polygons": (lambda f: beside(f, **polygon([TRIANGLE, [30, 20, 31, 20, 31, 21]])), OWL, {}),
    "a flat polygon": (lambda f: beside(f, **polygon(TRIANGLE)), OWL, {}),
    # roboflow/rf-detr #1303, roboflow/roboflow-100-benchmark #45
    "a root category nobody uses": (lambda f: beside(f, **ROOT), OWL, {"root_category": 1}),
    "a root category of the same name": (
        lambda f: beside(f, categories=[{"id": 0, "name": "owl"}, {"id": 4, "name": "owl", "supercategory": "owl"}]),
        OWL,
        {"duplicate_category": 1},
    ),
    "two categories of one name": (
        lambda f: beside(f, categories=[{"id": 4, "name": "owl"}, {"id": 9, "name": "owl "}]),
        OWL,
        {"duplicate_category": 1},
    ),
    "a category called by a number": (lambda f: beside(f, categories=[{"id": 4, "name": 12}]), [("12", BOX)], {}),
    "an image entry for each object": (
        lambda f: beside(
            f,
            images=[{"id": i, "file_name": "a.png", "width": WIDTH, "height": HEIGHT} for i in (1, 2)],
            annotations=[{"image_id": i, "category_id": 4, "bbox": [20, 10, 40, 60]} for i in (1, 2)],
        ),
        OWL * 2,
        {"duplicate_image": 1},
    ),
    # --- VOC ---
    "VOC name with spaces": (lambda f: voc(f, "my owl"), OWL, {}),
    "VOC suffixes in capitals": (lambda f: voc(f, "a", voc_text("a.JPG"), ".XML", "a.PNG"), OWL, {}),
    "VOC filename without suffix": (  # HumanSignal/label-studio-converter #100, joheras/CLoDSA #78
        lambda f: voc(f, "other", voc_text("a"), photo="a.png"),
        OWL,
        {},
    ),
    "VOC filename with a folder": (
        lambda f: voc(f, "other", voc_text("C:\\me\\JPEGImages\\a.png"), photo="a.png"),
        OWL,
        {},
    ),
    "VOC filename that was not renamed": (lambda f: voc(f, "a", voc_text("IMG_1.png")), OWL, {}),
    "VOC in UTF-16": (lambda f: xml_in(f, "utf-16"), OWL, {}),
    "VOC in GB2312": (lambda f: xml_in(f, "gb2312", name="猫头鹰"), [("猫头鹰", BOX)], {}),
    "VOC in Latin-1": (lambda f: xml_in(f, "iso-8859-1", name="Käuzchen"), [("Käuzchen", BOX)], {}),
    "VOC with a byte order mark": (lambda f: xml_in(f, "utf-8-sig", declared=False), OWL, {}),
    "VOC with a line before its declaration": (lambda f: xml_in(f, "utf-8", start="\n "), OWL, {}),
    "VOC corners swapped": (lambda f: voc(f, text=voc_text(box=SWAPPED)), OWL, {"swapped_box": 1}),
    "VOC numbers as floats": (lambda f: voc(f, text=voc_text(box=FLOATS)), OWL, {}),  # isabek/XmlToTxt #2
    "VOC boxes as parts of the sides": (lambda f: voc(f, text=voc_text(box=PARTS)), OWL, {"relative_boxes": 1}),
    "VOC difficult as a word": (lambda f: voc(f, text=voc_text(difficult="Unspecified")), OWL, {}),
    "VOC polygon without a box": (lambda f: voc(f, text=voc_text(box=VOC_POLYGON)), OWL, {}),
    "VOC list with suffixes": (lambda f: listed(f, "a.png"), OWL, {}),
    "VOC list with suffixes in capitals": (lambda f: listed(f, "a.JPG"), OWL, {}),
    "VOC list with folders": (lambda f: listed(f, "./JPEGImages/a.png"), OWL, {}),
    "VOC list with backslashes": (lambda f: listed(f, "data\\JPEGImages\\a.png"), OWL, {}),
    "VOC list of pairs": (lambda f: listed(f, "JPEGImages/a.png Annotations/a.xml"), OWL, {}),
    "VOC list of names with spaces": (lambda f: listed(f, "my owl", "my owl"), OWL, {}),
    "VOC list of names with spaces and flags": (lambda f: listed(f, "my owl -1", "my owl"), OWL, {}),
    "VOC list of names with dots": (lambda f: listed(f, "a.b.png", "a.b"), OWL, {}),
    "VOC list with a byte order mark": (lambda f: listed(f, "a", mark=codecs.BOM_UTF8), OWL, {}),
    "VOC list in UTF-16": (lambda f: listed(f, "a", encoding="utf-16"), OWL, {}),
    # --- YOLO: https://docs.ultralytics.com/datasets/detect/ ---
    "YOLO": (lambda f: yolo(f), OWL, {}),
    "YOLO folder": (lambda f: yolo(f).parent, OWL, {}),
    "YOLO pictures by themselves": (lambda f: yolo(f).parent / "images" / "train", OWL, {}),
    "YOLO names as a table": (lambda f: yolo(f, yaml="train: images\nnames:\n  0: owl\n  1: 'a: b'\n"), OWL, {}),
    "YOLO names in lines": (lambda f: yolo(f, yaml="train: images # all\nnames:\n- owl\n- no\n"), OWL, {}),
    "YOLO path": (lambda f: yolo(f, yaml=f"path: {f}\ntrain: images\nnames: [owl]"), OWL, {}),
    "YOLO path of another computer": (
        lambda f: yolo(f, yaml="path: /content/x\ntrain: /content/x/images/train\nnames: [owl]"),
        OWL,
        {},
    ),
    "YOLO path of Roboflow": (  # roboflow/notebooks #69
        lambda f: yolo(f, yaml="train: ../train/images\nnames: ['owl']\nnc: 1", photo="train/images/a.png"),
        OWL,
        {},
    ),
    "YOLO several folders": (lambda f: yolo(f, yaml="train: [images/train, images]\nnames: [owl]"), OWL, {}),
    "YOLO labels beside the pictures": (
        lambda f: yolo(f, yaml="train: .\nnames: [owl]", photo="a.png"),
        OWL,
        {},
    ),
    "YOLO suffix in capitals": (lambda f: yolo(f, photo="images/train/A.PNG"), OWL, {}),
    "YOLO class as a float": (lambda f: yolo(f, "0.0 0.2 0.4 0.2 0.6\n\n"), OWL, {}),
    "YOLO predictions with scores": (lambda f: yolo(f, "0 0.2 0.4 0.2 0.6 0.93"), OWL, {}),
    "YOLO polygon": (lambda f: yolo(f, "0 0.1 0.7 0.3 0.1 0.2 0.7"), OWL, {}),
    "YOLO key points": (
        lambda f: yolo(f, "0 0.2 0.4 0.2 0.6 0.9 0.9 2", "train: images\nnames: [owl]\nkpt_shape: [1, 3]\n"),
        OWL,
        {},
    ),
    "YOLO pixels": (lambda f: yolo(f, "0 40 40 40 60\n0 .2 .4 .2 .6"), OWL, {"malformed": 1}),
    "YOLO class without a name": (lambda f: yolo(f, "1 .2 .4 .2 .6\n0 .2 .4 .2 .6"), OWL, {"unknown_category": 1}),
    "YOLO two classes of one name": (
        lambda f: yolo(f, "1 .2 .4 .2 .6", "train: images\nnames: [owl, owl]"),
        OWL,
        {"duplicate_category": 1},
    ),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_kind_is_read_right(kind: str, tmp_path: Path):
    make, expected, said = ROWS[kind]
    report = Report()
    data = read_annotations(make(tmp_path), None, report)
    assert objects(data) == expected
    assert set(data.class_names) >= {name for name, _ in expected}
    assert report.counts == said
    assert len(data.images) == len({image.path for image in data.images})


def test_a_crowd_as_text_is_one(tmp_path: Path):
    more = [{"image_id": 7, "category_id": 4, "bbox": [20, 10, 40, 60], "iscrowd": mark} for mark in ("1", 1.0, "true")]
    path = beside(tmp_path, annotations=[*more, {"image_id": 7, "category_id": 4, "bbox": [20, 10, 40, 60]}])
    (image,) = read_annotations(path, None, Report()).images
    assert (len(image.boxes), len(image.ignored_boxes)) == (1, 3)


def test_a_used_category_above_others_and_an_unused_one_beside_them_stay(tmp_path: Path):
    categories = [
        {"id": 4, "name": "birds"},
        {"id": 5, "name": "owl", "supercategory": "birds"},
        {"id": 6, "name": "x"},
    ]
    assert read_annotations(beside(tmp_path, categories=categories), None, Report()).class_names == (
        "birds",
        "owl",
        "x",
    )


def test_pictures_that_could_be_one_another_are_not_confused(tmp_path: Path):
    """`train/a.png` and `val/a.png` of another computer, and only one a.png here."""
    images = [{"id": i, "file_name": f"{part}/a.png", "width": WIDTH, "height": HEIGHT} for i, part in enumerate("tv")]
    owls = [{"image_id": i, "category_id": 4, "bbox": [20 * i, 10, 40, 60]} for i in range(2)]
    report = Report()
    data = read_annotations(beside(tmp_path, images=images, annotations=owls), None, report)
    assert objects(data) == [("owl", (0, 10, 40, 70))]
    assert report.counts == {"duplicate_image": 1}


def test_one_letter_in_two_cases_is_two_pictures(tmp_path: Path):
    picture(tmp_path / "images" / "A.png")
    path = beside(tmp_path, "a.PNG")
    if len(list((tmp_path / "images").iterdir())) == 1:
        pytest.skip("the file system does not tell cases apart")
    with pytest.raises(InputError, match="None of the 1 images"):
        read_annotations(path, None, Report())


def test_strictness_stops_at_what_was_put_right_but_not_at_a_note(tmp_path: Path):
    for kind, (make, expected, said) in ROWS.items():
        folder = tmp_path / kind.replace("/", " ")
        folder.mkdir()
        if said.keys() & PROBLEMS.keys():
            with pytest.raises(InputError):
                read_annotations(make(folder), None, Report(strict=True))
        else:
            assert objects(read_annotations(make(folder), None, Report(strict=True))) == expected


def test_the_parts_of_a_data_yaml(tmp_path: Path):
    path = yolo(tmp_path, yaml="train: images/train\nvalid: images/val\nnames: [owl]")
    picture(tmp_path / "images" / "val" / "b.png")
    with pytest.raises(InputError, match=r"No object of the 1 pictures .* labels belong into"):
        read_annotations(path, None, Report(), "val")
    (tmp_path / "labels" / "val").mkdir()
    (tmp_path / "labels" / "val" / "b.txt").write_text("0 .5 .5 1 1")
    assert objects(read_annotations(path, None, Report(), "val")) == [("owl", (0, 0, WIDTH, HEIGHT))]
    with pytest.raises(InputError, match="names no pictures for test, only for train, val"):
        read_annotations(path, None, Report(), "test")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "images" / "val", elsewhere)
    shutil.copy(tmp_path / "labels" / "val" / "b.txt", elsewhere)
    assert objects(read_annotations(path, elsewhere, Report())) == [("owl", (0, 0, WIDTH, HEIGHT))]
    (tmp_path / "some.txt").write_text("./images/val/b.png\nimages/train/a.png\n")
    assert len(objects(read_annotations(tmp_path / "some.txt", None, Report()))) == 2


def test_yolo_pictures_without_labels_are_legal_and_labels_without_pictures_are_said(tmp_path: Path):
    path = yolo(tmp_path)
    picture(tmp_path / "images" / "train" / "empty.png")
    (tmp_path / "images" / "train" / "bad.png").write_text("no picture")
    (tmp_path / "images" / "train" / "._a.png").write_text("left behind by macOS")
    for name in ("gone", "bad"):
        (tmp_path / "labels" / "train" / f"{name}.txt").write_text("0 .5 .5 1 1")
    report = Report()
    data = read_annotations(path, None, report)
    assert [len(image.boxes) for image in data.images] == [1, 0]
    assert report.counts == {"bad_image": 1, "missing_image": 2}


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("train: images\n", "no names"),
        ("train: images\nnames: {a: b}", "no names"),
        ("names: [owl]", "no pictures for train, only for nothing"),
        ("train: nowhere\nnames: [owl]", "which is not in"),
        ("- a\n- b\n", "not simple YAML in line 1"),
        ("train: labels\nnames: [owl]", "no pictures in"),
    ],
)
def test_a_data_yaml_that_cannot_be_used(yaml: str, words: str, tmp_path: Path):
    with pytest.raises(InputError, match=words):
        read_annotations(yolo(tmp_path, yaml=yaml), None, Report())


def test_a_folder_of_nothing_and_a_list_of_nothing(tmp_path: Path):
    (tmp_path / "x.txt").write_text("a\n")
    for path in (tmp_path, tmp_path / "x.txt"):
        with pytest.raises(InputError):
            read_annotations(path, None, Report())
    with pytest.raises(InputError, match="does not exist"):
        read_annotations(tmp_path / "no.yaml", None, Report())


def test_a_file_that_is_not_utf_8_and_does_not_say_so_is_counted(tmp_path: Path):
    voc(tmp_path)
    voc(tmp_path, "b", voc_text(name="Käuzchen").encode("cp1252"))
    report = Report()
    assert objects(read_annotations(tmp_path, None, report)) == OWL
    assert report.counts == {"malformed": 1}


def test_ids_with_leading_zeros_are_texts(tmp_path: Path):
    names = {"007": "a.png", "7": "b.png"}
    for name in names.values():
        picture(tmp_path / name)
    images = [{"id": key, "file_name": name, "width": WIDTH, "height": HEIGHT} for key, name in names.items()]
    owls = [{"image_id": key, "category_id": 4, "bbox": [0, 0, i + 1, 9]} for i, key in enumerate([7, "007"], 1)]
    data = read_annotations(coco(tmp_path / "data.json", images=images, annotations=owls), None, Report())
    assert {image.image_id: len(image.boxes) for image in data.images} == {"007": 1, 7: 1}
    assert json.loads((tmp_path / "data.json").read_text())["images"][0]["id"] == "007"
