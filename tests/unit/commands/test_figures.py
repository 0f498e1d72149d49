"""`rtdetr-explained figures`: all eight illustrations as files."""

import pytest
from PIL import Image

from rtdetr_explained import cli
from rtdetr_explained.tracing.sites import STAGES


def test_all_eight_figures_of_a_scene_are_written(tmp_path, capsys):
    assert cli.main(["figures", "scene:7", "-o", str(tmp_path / "new"), "--format", "png", "svg"]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{s}.{k}" for s in STAGES for k in ("png", "svg")}
    for stage in STAGES:
        with Image.open(tmp_path / "new" / f"{stage}.png") as picture:
            assert picture.width > 1000
        assert (tmp_path / "new" / f"{stage}.svg").read_text().startswith("<?xml")
    assert len(capsys.readouterr().out.splitlines()) == 16


def test_a_photo_and_a_chosen_query_are_drawn_too(tmp_path, capsys):
    photo = tmp_path / "photo.jpg"
    Image.effect_noise((90, 60), 40).convert("RGB").save(photo)
    assert cli.main(["figures", str(photo), "-o", str(tmp_path), "--format", "svg", "--query", "5"]) == 0
    assert "query 5" in (tmp_path / "overview.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scene:seven", "-o", "out"], "names no scene"),
        (["missing.png", "-o", "out"], "does not exist"),
        (["scene:7", "-o", "out", "--query", "100"], "There is no query 100"),
        (["scene:7", "-o", "out", "--format", "gif"], "'gif'"),
    ],
)
def test_bad_input_gives_one_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["figures", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
