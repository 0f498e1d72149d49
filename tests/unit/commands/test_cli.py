"""The command line itself, run as a user runs it, but in this process: help, usage, and bad input."""

import subprocess
import sys

import pytest

from rtdetr_explained import cli


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


def test_a_help_text_does_not_wait_for_torch():
    code = "import sys; from rtdetr_explained import cli; cli.parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "rtdetr_explained.commands.train" in loaded
    assert not {"torch", "matplotlib", "streamlit", "plotly", "PIL"} & set(loaded)
