"""The command line, run as a user runs it, but in this process."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from rtdetr_explained import cli
from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.tracing.trace import Trace


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "scene.png"
    Image.fromarray(generate_scene(3, SceneConfig(size=(240, 320))).image).save(path)
    return path


def test_detect_prints_one_line_for_each_object(photo, capsys):
    assert cli.main(["detect", str(photo), "--threshold", "0.05"]) == 0
    captured = capsys.readouterr()
    scores = [float(line.split()[0]) for line in captured.out.splitlines()]
    assert scores
    assert scores == sorted(scores, reverse=True)
    assert "nano knows only generated shapes" in captured.err


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


def test_trace_writes_what_was_asked_for(photo, tmp_path, capsys):
    out = tmp_path / "scene.safetensors"
    assert cli.main(["trace", str(photo), "-o", str(out), "--sites", "backbone.*"]) == 0
    trace = Trace.load(out)
    assert "backbone.stem_map" in trace
    assert "hybrid_encoder.p3" not in trace
    assert "sites with values" in capsys.readouterr().out


def test_models_lists_every_model(capsys):
    assert cli.main(["models"]) == 0
    table = capsys.readouterr().out
    assert cli.main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"nano", "rtdetrv2_r18vd", "rtdetrv2_r34vd", "rtdetrv2_r50vd_m", "rtdetrv2_r50vd", "rtdetrv2_r101vd"} <= {
        row["name"] for row in rows
    }
    assert all(row["name"] in table for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["detect", "missing.png"], "does not exist"),
        (["detect", "{photo}", "--model", "nanno"], "did you mean nano"),
        (["detect", "{photo}", "--model", "missing.pth"], "missing.pth"),
        (["detect", "{photo}", "--device", "toaster"], "toaster"),
        (["detect", "{photo}", "--out", "drawn.xyz"], "ends in .png or .jpg"),
        (["trace", "{photo}", "-o", "t.safetensors", "--sites", "backbone.s9"], "Close matches: backbone.s"),
        (["trace", "{photo}", "-o", "no/such/folder/t.safetensors"], "could not be written"),
    ],
)
def test_bad_input_gives_one_sentence_and_exit_code_2(arguments, words, photo, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([a.replace("{photo}", str(photo)) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [[], ["detect"], ["detect", "a.png", "--threshold", "2"], ["app", "--port", "0"], ["frobnicate"]],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_app_starts_streamlit_where_the_app_lies(monkeypatch, tmp_path):
    started = {}

    def main(arguments, **options):
        started.update(arguments=arguments, folder=Path.cwd(), path=sys.path[0])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("streamlit.web.cli.main", main)
    monkeypatch.setattr(cli, "prepare_app", lambda: started.update(prepared=True))
    assert cli.main(["app", "--port", "9999", "--headless"]) == 0
    assert (started["folder"] / "streamlit_app.py").is_file()
    assert started["path"] == str(started["folder"])
    assert started["arguments"][:2] == ["run", "streamlit_app.py"]
    assert started["arguments"][2:] == ["--server.port", "9999", "--server.headless", "true"]
    assert started["prepared"]
