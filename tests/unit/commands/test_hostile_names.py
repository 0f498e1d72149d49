"""Names of classes and files are text of strangers: shown as they are, never computed, parsed or obeyed."""

import json
import unicodedata
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hostile import NAMES, save_hostile_model

from rtdetr_explained import cli
from rtdetr_explained.printable import printable
from rtdetr_explained.tracing.sites import STAGES


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_hostile_model(tmp_path_factory.mktemp("model") / "$x$\x1b[31m\u202e.safetensors"))


def is_clean(text: str) -> bool:
    """Whether a terminal shows this as it is."""
    return not {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Cn"}


def test_detect_prints_and_draws(model: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "drawn.png"
    arguments = ["detect", str(photo), "--model", model, "--threshold", "0"]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert out.is_file()
    lines = captured.out.splitlines()
    assert len(lines) >= 20
    assert all(is_clean(line) for line in lines + captured.err.splitlines())
    assert cli.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["label"] for row in found["detections"]} <= set(map(printable, NAMES))
    assert found["model"] == "$x$\\x1b[31m\\u202e"


def test_figures_are_whole_and_hold_the_names_as_text(
    model: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["figures", str(photo), "--model", model, "-o", str(tmp_path), "--format", "svg"]) == 0
    captured = capsys.readouterr()
    texts = {slug: "".join(ET.parse(tmp_path / f"{slug}.svg").getroot().itertext()) for slug in STAGES}
    drawn = "".join(texts.values())
    assert any(name in drawn for name in map(printable, NAMES[:9]))
    assert all(is_clean(line) for line in (captured.out + captured.err).splitlines())


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\u202eb", "\udcff", "line\nbreak", "人"])
def test_a_file_that_is_not_there_is_named_in_one_clean_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["detect", name], ["detect", "x.png", "--model", f"{name}.pth"], ["figures", name, "-o", name]):
        assert cli.main(arguments) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert is_clean(line)
