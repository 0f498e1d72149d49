"""A component from a folder: its markup, its style and its scripts, which Streamlit takes as one of each."""

from __future__ import annotations

import re
from pathlib import Path

from streamlit.components.v2 import component
from streamlit.components.v2.types import ComponentRenderer

IMPORT = re.compile(r'^import .* from "(?P<path>\.[^"]*)"\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def mount(name: str, script: Path) -> ComponentRenderer:
    """Register the component of a script and of the .html and .css beside it that bear its name."""
    html, css = (script.with_suffix(suffix) for suffix in (".html", ".css"))
    return component(
        name,
        html=html.read_text("utf-8") if html.is_file() else None,
        css=css.read_text("utf-8") if css.is_file() else None,
        js=bundled(script),
    )


def bundled(script: Path) -> str:
    """A script and all it imports as one module: each file once, after those that it imports."""
    texts: dict[Path, str] = {}

    def take(file: Path) -> None:
        text = file.read_text("utf-8")
        for match in IMPORT.finditer(text):
            if (imported := (file.parent / match["path"]).resolve()) not in texts:
                take(imported)
        texts[file] = EXPORT.sub("", IMPORT.sub("", text))

    take(script.resolve())
    return "\n".join(texts.values())
