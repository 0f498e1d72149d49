"""Components from their folders: scripts are put together in the order in which they need each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.components import bundle

SCRIPTS = sorted(Path(bundle.__file__).parent.glob("*/*.js"))


def test_a_script_follows_what_it_imports_and_each_is_there_once(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    (tmp_path / "shared.js").write_text("export const shared = 1\n")
    (folder / "first.js").write_text('import { shared } from "../shared.js"\nexport function first() {}\n')
    (folder / "main.js").write_text(
        'import { first } from "./first.js"\nimport { shared } from "../shared.js"\nexport default function () {}\n'
    )
    text = bundle.bundled(folder / "main.js")
    assert text.split("\n\n") == ["const shared = 1", "function first() {}", "export default function () {}\n"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_script_keeps_an_import_and_every_file_is_used(script: Path) -> None:
    text = bundle.bundled(script)
    assert "import " not in [line[:7] for line in text.splitlines()]
    mains = [other for other in SCRIPTS if "export default" in other.read_text("utf-8")]
    assert any(script.read_text("utf-8").splitlines()[0] in bundle.bundled(main) for main in mains)
