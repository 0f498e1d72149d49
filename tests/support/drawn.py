"""What can be read in a drawing, for tests."""

from __future__ import annotations

import re

from rtdetr_explained.drawing.marks import Drawing, Text


def words(drawing: Drawing) -> set[str]:
    """Everything that is written in it: marks, titles and subtitles."""
    headings = {heading for panel in drawing.panels for heading in (panel.title, panel.subtitle)} - {""}
    return headings | {mark.text for mark in drawing.of(Text)}


def numbers(text: str) -> list[str]:
    """All numbers of a sentence in their order, those in percent with their sign; "S3" is a name."""
    return re.findall(r"(?<![A-Za-z\d.])−?\d+(?:,\d{3})*(?:\.\d+)?%?", text)
