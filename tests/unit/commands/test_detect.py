"""`rtdetr-explained detect`: objects as lines, as JSON, and drawn."""

import json

from PIL import Image

from rtdetr_explained import cli


def test_detect_prints_one_line_for_each_object(photo, capsys):
    assert cli.main(["detect", str(photo), "--threshold", "0.05"]) == 0
    captured = capsys.readouterr()
    scores = [float(line.split()[0]) for line in captured.out.splitlines()]
    assert scores
    assert scores == sorted(scores, reverse=True)
    assert "nano knows" in captured.err


def test_detect_prints_json(photo, capsys):
    assert cli.main(["detect", str(photo), "--threshold", "0.05", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["model"] == "nano"
    first = printed["detections"][0]
    assert set(first) == {"label", "score", "box_px", "query"}
    x0, y0, x1, y1 = first["box_px"]
    assert -32 < x0 < x1 < 352
    assert -24 < y0 < y1 < 264


def test_detect_draws_into_a_picture_of_the_same_size(photo, tmp_path, capsys):
    out = tmp_path / "drawn.png"
    assert cli.main(["detect", str(photo), "--threshold", "0.05", "--out", str(out)]) == 0
    drawn, before = Image.open(out), Image.open(photo)
    assert drawn.size == before.size
    assert drawn.convert("RGB").tobytes() != before.convert("RGB").tobytes()


def test_detect_says_when_nothing_is_found(photo, capsys):
    assert cli.main(["detect", str(photo), "--threshold", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Nothing scores above 1" in captured.err


def test_what_had_to_be_mended_to_read_a_photo_is_said(tmp_path, capsys):
    cut = tmp_path / "cut.jpg"
    Image.effect_noise((90, 60), 40).convert("RGB").save(cut)
    cut.write_bytes(cut.read_bytes()[:-300])
    for command in (["detect"], ["trace", "-o", str(tmp_path / "trace.safetensors")]):
        assert cli.main([*command[:1], str(cut), *command[1:]]) == 0
        assert "cut.jpg is cut off" in capsys.readouterr().err
