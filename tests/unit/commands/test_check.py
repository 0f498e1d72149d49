"""`rtdetr-explained check`: tables, problems and nine pictures of a data set."""

import json
from pathlib import Path

import numpy as np
import pytest
from foreign_data import coco, picture, voc, yolo
from PIL import Image

from rtdetr_explained import cli
from rtdetr_explained.illustrations.detections import CLASS_COLORS, NO_CLASS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve good pictures, a cut-off one, a damaged one and one that is not there; an owl in each, a crowd in one."""
    names = [f"{i}.png" for i in range(12)] + ["cut.jpg", "bad.png", "gone.png"]
    for name in names[:12]:
        picture(tmp_path / name)
    Image.effect_noise((200, 100), 40).convert("RGB").save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-200])
    (tmp_path / "bad.png").write_text("no picture")
    images = [{"id": i, "file_name": name, "width": 200, "height": 100} for i, name in enumerate(names)]
    owls = [{"image_id": i, "category_id": 4, "bbox": [20, 20, 40, 60]} for i in range(len(names))]
    crowd = {"image_id": 0, "category_id": 4, "bbox": [100, 20, 80, 60], "iscrowd": 1}
    return coco(tmp_path / "data.json", images=images, annotations=[*owls, crowd])


def test_table_problems_and_pictures(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "look.png"
    assert cli.main(["check", "--data", str(data), "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{data}: 13 images, 13 objects of 1 classes, 1 more objects ignored")
    for heading, name in (
        ("Images without a file (left out): 1", "gone.png"),
        ("Images that cannot be used (left out): 1", "bad.png"),
        ("Images whose file is cut off (read as far as it goes): 1", "cut.jpg"),
    ):
        assert f"{heading}\n  {name}" in text
    with Image.open(out) as image:
        sheet = np.asarray(image)
    owl = tuple(bytes.fromhex(CLASS_COLORS[0][1:]))
    grey = tuple(bytes.fromhex(NO_CLASS[1:]))
    for place in range(9):
        top, left = 12 + place // 3 * 396, 12 + place % 3 * 492
        tile = sheet[top : top + 360, left : left + 480]
        assert (tile == owl).all(-1).sum() > 200
        # 200 × 100 pixels fill the tile's width: the box from (20, 20) begins 48 px from the left and 48 + 60 from top.
        xs = np.nonzero((tile == owl).all(-1).any(0))[0]
        assert abs(xs.min() - 48) <= 2
        assert (tile == grey).all(-1).any() == (place == 0)


def test_json(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", "--data", "data.json", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["images"], result["objects"], result["ignored"]) == (13, 13, 1)
    assert {kind: row["count"] for kind, row in result["problems"].items()} == {
        "missing_image": 1,
        "bad_image": 1,
        "cut_image": 1,
    }
    assert result["drawn"] == "check.png"
    with Image.open("check.png") as sheet:
        assert sheet.size == (12 + 3 * 492, 12 + 3 * 396)


def test_other_formats_and_parts(tmp_path: Path, capsys: pytest.CaptureFixture):
    out = ["-o", str(tmp_path / "look.png")]
    (tmp_path / "voc").mkdir()
    assert cli.main(["check", "--data", str(voc(tmp_path / "voc")), *out]) == 0
    assert "No problems were found." in capsys.readouterr().out
    path = yolo(tmp_path / "yolo")
    assert cli.main(["check", "--data", str(path), *out]) == 0
    assert cli.main(["check", "--data", str(path), "--part", "test", *out]) == 2
    assert "no pictures for test, only for train, val" in capsys.readouterr().err


def test_where_nothing_can_be_used_the_reasons_are_said(tmp_path: Path, capsys: pytest.CaptureFixture):
    picture(tmp_path / "a.png")
    owls = [{"image_id": 7, "category_id": 4, "bbox": [300 + i, 0, 9, 9]} for i in range(5)]
    assert cli.main(["check", "--data", str(coco(tmp_path / "data.json", annotations=owls))]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert lines[0] == "Boxes without any area in their image (left out): 5"
    assert [line[:31] for line in lines[1:4]] == [f"  a.png: the box from (30{i}, 0) to"[:31] for i in range(3)]
    assert lines[4] == "data.json has no object that can be used; annotate at least one."
    (tmp_path / "a.png").write_text("no picture")
    assert cli.main(["check", "--data", str(coco(tmp_path / "data.json"))]) == 2
    assert "a.png is not a JPEG" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strict"], "gone.png is not in"),
        (["-o", "look.gif"], "ends in .png or .jpg"),
        (["-o", "no/look.png"], "could not be written"),
        (["--images", "nowhere"], "give the folder of the images"),
    ],
)
def test_bad_input_gives_one_sentence(
    arguments: list[str], words: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(data.parent)
    assert cli.main(["check", "--data", str(data), *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
