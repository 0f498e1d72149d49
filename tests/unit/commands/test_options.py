"""Commands that need packages of the extra `train` say so before they start."""

import sys
from pathlib import Path

import pytest

from rtdetr_explained import cli


@pytest.mark.parametrize(
    ("command", "package", "name"),
    [
        (["train"], "scipy", "scipy"),
        (["experiment", "denoising"], "faster_coco_eval", "faster-coco-eval"),
        (["evaluate", "--data", "shapes"], "faster_coco_eval", "faster-coco-eval"),
    ],
)
def test_a_package_that_is_missing_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    package: str,
    name: str,
):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    out = [] if command[0] == "evaluate" else ["-o", str(tmp_path / "run")]
    assert cli.main([*command, *out]) == 2
    error = capsys.readouterr().err
    assert error == f"This needs {name}; install it with pip install 'rtdetr-explained[train]'.\n"
    assert not (tmp_path / "run").exists()
