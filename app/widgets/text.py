"""Text that Streamlit shows as it is, whoever wrote it."""

from __future__ import annotations

import re


def plain(text: object) -> str:
    """Escape Markdown, formulas and directives: file names and links can hold anything."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", str(text))
