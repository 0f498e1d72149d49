"""Names of strangers are text that shows as what it is."""

import unicodedata
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdetr_explained.data.annotations import Annotations
from rtdetr_explained.data.report import Report
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.printable import as_cell, printable

ANY = st.text(st.characters(exclude_categories=()))  # lone surrogates, too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zebra crossing", "zebra crossing"),
        ("$_$ \\frac{1}{$ <b> :red[x] =1+1", "$_$ \\frac{1}{$ <b> :red[x] =1+1"),
        ("a\x00b\x1b[31mc\r\nd\te", "a\\x00b\\x1b[31mc\\r\\nd\\te"),
        ("user\u202egnp.exe\u2066", "user\\u202egnp.exe\\u2066"),
        ("\ud800 \udcff", "\\ud800 \\udcff"),
        ("a\u200bb\ufeff\u2028\uffff", "a\\u200bb\\ufeff\\u2028\\uffff"),
        ("wide\u3000space\xa0here", "wide space here"),
        ("人 किताब 👩\u200d🚀 é", "人 किताब 👩\u200d🚀 é"),
    ],
)
def test_what_would_not_show_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANY)
def test_any_text_becomes_text_that_can_be_stored_and_printed(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert (ET.fromstring(f"<t>{shown.replace('&', '&amp;').replace('<', '&lt;')}</t>").text or "") == shown
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Cn", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    assert all(c in shown for c in text if c.isalnum())


@given(ANY)
def test_errors_are_printable(text: str) -> None:
    assert str(InputError(f"There is no file {text}.")) == f"There is no file {printable(text)}."


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1"])
def test_no_cell_is_computed(text: str) -> None:
    assert as_cell(text) == f"'{text}"
    assert as_cell(f"a{text}") == f"a{text}"


@given(st.lists(ANY, min_size=1))
def test_the_doors_let_no_other_text_in(names: list[str]) -> None:
    """Names of classes from weights and annotations, and what a report says of files."""
    shown = tuple(map(printable, names))
    assert ModelConfig("a\x1b", class_names=tuple(names)).class_names == shown
    assert ModelConfig("a\x1b").name == "a\\x1b"
    assert Annotations((), tuple(names), tuple(range(len(names)))).class_names == shown
    report = Report()
    for name in names:
        report.add("malformed", f"{name}.xml is empty")
    assert report.examples["malformed"] == [
        f"{name}.xml is empty" for name in shown[: len(report.examples["malformed"])]
    ]
