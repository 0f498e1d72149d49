"""Names in any script and of any content: drawn as text by both renderers."""

import html
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from hostile import NAMES
from matplotlib import font_manager, get_data_path

from rtdetr_explained.drawing import fonts
from rtdetr_explained.drawing.export import FORMATS, to_bytes
from rtdetr_explained.drawing.marks import Axis, Drawing, Panel, Text
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.printable import printable

STIX = f"{get_data_path()}/fonts/ttf/STIXGeneral.ttf"  # comes with matplotlib, like the usual font


@pytest.fixture
def only_stix(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A computer whose only other font is one that comes with matplotlib."""
    kept = [font for font in font_manager.fontManager.ttflist if font.fname == STIX or font.name == fonts.USUAL]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", kept)
    fonts.fonts_of.cache_clear()
    yield
    fonts.fonts_of.cache_clear()


def drawing(names: tuple[str, ...]) -> Drawing:
    """The names as words, ticks and titles."""
    words = [Text(0.1, i, name, "#000000", bold=i % 2 == 0) for i, name in enumerate(names)]
    axis = Axis((0, len(names)), names[0], range(len(names)), names)
    return Drawing([Panel((0.2, 60, 0.9, 500), Axis((0, 1)), axis, words, names[0], names[1])])


def test_letters_are_looked_for_in_other_fonts(only_stix: None) -> None:
    only_there = min(fonts.letters_of(STIX) - fonts.letters_of(font_manager.findfont(fonts.USUAL)))
    found = fonts.fonts_for(["abc", f"x{only_there}人"])
    assert found.files == (STIX,)
    assert found.missing == {"人"}
    assert fonts.fonts_for(["abc ä Ж ∑"]) == ((), (), frozenset())
    assert "人" in fonts.sentence(["人", "a"])
    assert only_there not in fonts.sentence(["人", only_there])
    assert fonts.sentence(["abc"]) == ""


def test_a_picture_with_letters_that_no_font_has_shows_boxes(only_stix: None) -> None:
    figure = to_matplotlib(drawing(("人 dog", "b")), "light")
    for format in FORMATS:
        assert to_bytes(figure, format)  # no warning of matplotlib, which would be an error here
    text = "".join(ET.fromstring(to_bytes(figure, "svg")).itertext())
    assert text.count("□ dog") == 4
    assert "人" not in text


def test_nothing_in_a_name_is_computed_or_parsed() -> None:
    names = tuple(map(printable, NAMES[:9]))
    root = ET.fromstring(to_bytes(to_matplotlib(drawing(names), "light"), "svg"))
    texts = [" ".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {name for name in names if texts.count(name) < 2} == set()

    layout = to_plotly(drawing(names), "light").to_plotly_json()["layout"]
    shown = [html.unescape(note["text"].removeprefix("<b>").removesuffix("</b>")) for note in layout["annotations"]]
    assert {name for name in names if name not in shown} == set()
    raw = [*(note["text"] for note in layout["annotations"]), *layout["yaxis"]["ticktext"]]
    assert not any("<script>" in text or "<b>bold" in text for text in raw)
