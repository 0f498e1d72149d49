"""What can be read in a drawing, for tests."""

from __future__ import annotations

from rtdetr_explained.drawing.marks import Drawing, Text


def words(drawing: Drawing) -> set[str]:
    """Everything that is written in it: marks, titles and subtitles."""
    headings = {heading for panel in drawing.panels for heading in (panel.title, panel.subtitle)} - {""}
    return headings | {mark.text for mark in drawing.of(Text)}
