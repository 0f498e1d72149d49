"""Laws of the readers: what is written comes back, and any file gives valid annotations or one sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from foreign_data import HEIGHT, WIDTH, coco, objects, picture, voc, yolo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from rtdetr_explained.data.annotations import Annotations
from rtdetr_explained.data.images import open_image
from rtdetr_explained.data.reading import read_annotations
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.simple_yaml import parse_yaml
from rtdetr_explained.data.values import flag, identity, number
from rtdetr_explained.errors import InputError
from rtdetr_explained.printable import printable

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=8)
SIDES = st.tuples(st.integers(0, WIDTH), st.integers(0, WIDTH)).filter(lambda pair: pair[0] != pair[1]).map(sorted)
TALL = st.tuples(st.integers(0, HEIGHT), st.integers(0, HEIGHT)).filter(lambda pair: pair[0] != pair[1]).map(sorted)
BOXES = (
    st.tuples(SIDES, TALL).map(lambda box: (box[0][0], box[1][0], box[0][1], box[1][1])).filter(lambda b: max(b) > 1)
)
THINGS = st.lists(st.tuples(st.integers(0, 2), BOXES), min_size=1, max_size=5)
CLASSES = st.lists(NAMES, min_size=3, max_size=3, unique_by=printable)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["a.png", "owl", 7]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
ODD = st.one_of(
    JSON,
    st.sampled_from(
        [7, "7", 7.0, 4, "4", [20, 10, 40, 60], ["20", 10, 40.0, "6e1"], "a.png", "./a.png", "1", -1, 10**400]
    ),
)


def entries(*keys: str) -> st.SearchStrategy[list[Any]]:
    """A list of tables with some of these keys and anything behind them, or of anything."""
    return st.lists(st.dictionaries(st.sampled_from(keys), ODD) | ODD, max_size=4)


@pytest.fixture(scope="module")
def folder():
    with TemporaryDirectory() as name:
        picture(Path(name) / "images" / "a.png")
        yield Path(name)


def check(data: Annotations) -> None:
    """What everything that uses annotations relies on."""
    assert data.images
    assert data.num_objects > 0
    assert len(data.class_names) == len(data.category_ids) == len({*data.class_names})
    for image in data.images:
        boxes = np.concatenate([image.boxes, image.ignored_boxes])
        assert boxes.dtype == np.float32
        assert np.isfinite(boxes).all()
        assert (boxes[:, 2:] > 0).all()
        assert (boxes[:, :2] - boxes[:, 2:] / 2 >= -1e-5).all()
        assert (boxes[:, :2] + boxes[:, 2:] / 2 <= 1 + 1e-5).all()
        assert (np.concatenate([image.labels, image.ignored_labels]) < len(data.class_names)).all()
        assert (image.areas > 0).all()
        assert min(image.width, image.height) >= 1
        assert image.path.is_file()


def expected(names: list[str], things: list) -> list:
    return [(printable(names[label]), tuple(map(float, box))) for label, box in things]


@given(names=CLASSES, things=THINGS, texts=st.booleans())
def test_what_is_written_as_coco_comes_back(folder: Path, names: list[str], things: list, texts: bool):
    write: Any = str if texts else int
    categories = [{"id": write(3 * i), "name": name} for i, name in enumerate(names)]
    rows = [
        {
            "image_id": "7" if texts else 7,
            "category_id": write(3 * label),
            "bbox": [*map(write, (x0, y0, x1 - x0, y1 - y0))],
        }
        for label, (x0, y0, x1, y1) in things
    ]
    path = coco(folder / "written.json", annotations=rows, categories=categories)
    data = read_annotations(path, None, Report(strict=True))
    check(data)
    assert objects(data) == expected(names, things)


@given(names=CLASSES, things=THINGS)
def test_what_is_written_as_voc_comes_back(folder: Path, names: list[str], things: list):
    from xml.sax.saxutils import escape

    body = "".join(
        f"<object><name>{escape(names[label])}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for label, (x0, y0, x1, y1) in things
    )
    text = f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>{body}</annotation>"
    data = read_annotations(voc(folder / "voc", text=text), None, Report())
    check(data)
    assert objects(data) == expected(names, things)


@given(names=CLASSES, things=THINGS, lines=st.booleans())
def test_what_is_written_as_yolo_comes_back(folder: Path, names: list[str], things: list, lines: bool):
    rows = [
        f"{label} {(x0 + x1) / 2 / WIDTH} {(y0 + y1) / 2 / HEIGHT} {(x1 - x0) / WIDTH} {(y1 - y0) / HEIGHT}"
        for label, (x0, y0, x1, y1) in things
    ]
    table = names if lines else dict(enumerate(names))
    text = "train: images/train\n" + written({"names": table}, flow=len(things) % 2 == 0)
    data = read_annotations(yolo(folder / "yolo", "\n".join(rows), text), None, Report())
    check(data)
    assert objects(data) == expected(names, things)


@given(
    images=entries("id", "file_name", "width", "height"),
    annotations=entries("id", "image_id", "category_id", "bbox", "segmentation", "iscrowd", "area"),
    categories=entries("id", "name", "supercategory"),
)
@settings(max_examples=300)
def test_any_coco_file_is_read_or_refused_in_a_sentence(folder: Path, images, annotations, categories):
    path = coco(folder / "any.json", images=images, annotations=annotations, categories=categories)
    read_or_refuse(path)


@given(data=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_no_annotations(folder: Path, data: bytes):
    for name in ("any.json", "any.yaml", "lists/any.txt", "xml/any.xml"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        read_or_refuse(path if name != "xml/any.xml" else path.parent)


@given(words=st.lists(st.sampled_from(["0", "1", ".5", "-1", "1e9", "nan", "x", "0.1", "2", "\n", "\n"]), max_size=20))
def test_any_labels_are_read_or_refused_in_a_sentence(folder: Path, words: list[str]):
    read_or_refuse(yolo(folder / "labels of any kind", " ".join(words)))


def read_or_refuse(path: Path) -> None:
    with suppress(InputError):
        check(read_annotations(path, None, Report()))


VALUES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"), include_characters=" "), max_size=6)


def written(table: dict, flow: bool) -> str:
    """The table as a YAML library writes it, its values in brackets or in lines."""
    options: dict[str, Any] = {"allow_unicode": True, "width": 10_000}
    if not flow:
        return yaml.safe_dump(table, **options, default_flow_style=False)
    values = {key: yaml.safe_dump(value, **options, default_flow_style=True) for key, value in table.items()}
    return "".join(f"{key}: {text}".removesuffix("...\n") for key, text in values.items())


@given(
    table=st.dictionaries(
        st.sampled_from(["names", "train", "path", "nc"]),
        VALUES | st.lists(VALUES, min_size=1) | st.dictionaries(st.integers(0, 99).map(str), VALUES, min_size=1),
        min_size=1,
    ),
    flow=st.booleans(),
)
@settings(max_examples=300)
def test_simple_yaml_reads_what_a_yaml_library_writes(table: dict, flow: bool):
    text = written(table, flow)
    assert parse_yaml(text, "x.yaml") == yaml.load(text, yaml.BaseLoader)


@given(text=st.text(max_size=80))
def test_any_text_is_simple_yaml_or_refused_in_a_sentence(text: str):
    with suppress(InputError):
        assert isinstance(parse_yaml(text, "x.yaml"), dict)


@given(value=st.integers(-(10**17), 10**17))
def test_an_id_is_the_same_in_every_spelling(value: int):
    assert identity(value) == identity(str(value)) == identity(f"{value}.0") == value
    assert identity(float(value)) == int(float(value))


@given(value=JSON | st.just(10**400))
def test_numbers_ids_and_flags_of_anything(value: Any):
    found = number(value)
    assert found is None or abs(found) < 1e9
    key = identity(value)
    assert key is None or isinstance(key, int | str)
    assert identity(key) == key
    assert isinstance(flag(value), bool)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The same small picture in every format, also with a palette, 16 bits, transparency and an orientation."""
    folder, noise = tmp_path_factory.mktemp("files"), np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    image, found = Picture.fromarray(noise), []
    exif = Picture.Exif()
    exif[0x0112] = 6
    deep = Picture.fromarray(noise[:, :, 0].astype(np.uint16) * 16)
    for i, (kind, one) in enumerate(
        [("JPEG", image), ("PNG", image), ("WEBP", image), ("BMP", image), ("PNG", image.quantize(9)), ("PNG", deep)]
    ):
        path = folder / str(i)
        one.save(path, kind, **({"exif": exif} if kind != "BMP" else {}))
        found.append(path.read_bytes())
    return found


@given(
    which=st.integers(0, 5),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
)
@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
def test_a_changed_picture_is_read_or_refused_in_a_sentence(files: list[bytes], which: int, cut: float, flips: list):
    data = bytearray(files[which])
    for place, value in flips:
        data[int(place * (len(data) - 1))] = value
    if cut < 0.5:
        del data[int(2 * cut * len(data)) :]
    with suppress(InputError):
        image = open_image(bytes(data))
        assert image.mode == "RGB"
        assert np.asarray(image).shape == (image.height, image.width, 3)
