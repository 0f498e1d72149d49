"""The part of YAML that the `data.yaml` of YOLO data sets is written in: https://docs.ultralytics.com/datasets/detect/.

Keys at the left margin with a text, or a list or a table of texts, in lines or in brackets. Everything stays text, so
that a class may be called `no` or `1`. A whole YAML parser would be one more package for these few lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rtdetr_explained.errors import InputError

Value = str | list[str] | dict[str, str] | None  # None for what is nested deeper

_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\""""
_ENTRY = re.compile(rf"""({_QUOTED}|[^\s'"\[\]{{}},#&*!|>%@-][^:]*?|-?\d+)\s*:(?:\s+(.*))?""", re.S)
_PLAIN = r"""[^\s'",][^,]*?"""
_ITEM = re.compile(rf"""\s*((?:(?:{_QUOTED}|{_PLAIN})\s*:\s+)?(?:{_QUOTED}|{_PLAIN})?)\s*(?:,|$)""", re.S)
_WITHIN = rf"""(?<=[\s\[{{,:])(?:{_QUOTED})"""  # an apostrophe in a word begins no quotation
_PIECES = re.compile(rf"""{_WITHIN}|\s\#.*|.""")
_ESCAPES = {"n": "\n", "t": "\t"}


class Line(NamedTuple):
    """A line with something in it, without its comment: number from 1, spaces before the text, the text."""

    number: int
    indent: int
    text: str


def parse_yaml(text: str, name: str) -> dict[str, Value]:
    """The table that a simple YAML file holds; raises InputError, which calls the file `name`, for any other."""
    table: dict[str, Value] = {}
    lines = list(_lines(text))
    place = 0
    while place < len(lines):
        line = lines[place]
        end = place + 1
        while end < len(lines) and (lines[end].indent or lines[end].text[0] in "-]}"):
            end += 1
        if line.text not in ("---", "..."):
            entry = _ENTRY.fullmatch(line.text)
            if entry is None or line.indent:
                raise InputError(f"{name} is not simple YAML in line {line.number}; write `key: value` there.")
            table[_scalar(entry[1])] = _value(entry[2] or "", lines[place + 1 : end])
        place = end
    return table


def _lines(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), 1):
        # A number sign begins a comment after a space, and not between quotation marks.
        pieces = _PIECES.findall(" " + line.replace("\t", "  "))
        rest = "".join(piece for piece in pieces if not re.match(r"\s#", piece))[1:].rstrip()
        if rest:
            yield Line(number, len(rest) - len(rest.lstrip()), rest.lstrip())


def _value(start: str, more: list[Line]) -> Value:
    """What stands behind a key: in the rest of its line, and in the lines that belong to it."""
    if start[:1] in ("[", "{"):
        whole = " ".join([start, *(line.text for line in more)])
        inner, brackets = whole[1:-1], whole[0] + whole[-1]
        if re.search(r"[\[\]{}]", re.sub(_WITHIN, "", f" {inner}")) or brackets not in ("[]", "{}"):
            return None
        items = _items(inner)
        return [_scalar(item) for item in items] if brackets == "[]" else _table(items)
    if start or not more:
        return None if start[:1] in ("|", ">") or more else _scalar(start)
    if len({line.indent for line in more}) > 1:
        return None
    if all(re.match(r"-(\s|$)", line.text) for line in more):
        return [_scalar(line.text[1:].strip()) for line in more]
    return _table([line.text for line in more])


def _items(inner: str) -> list[str]:
    """What stands between the commas in brackets."""
    items, place = [], 0
    while place < len(inner):
        item = _ITEM.match(inner, place)
        if item is None:  # something behind a quotation
            return items + [inner[place:]]
        items.append(item[1])
        place = item.end()
    return [item for item in items if item]


def _table(items: list[str]) -> dict[str, str] | None:
    entries = [_ENTRY.fullmatch(item) for item in items]
    if None in entries:
        return None
    return {_scalar(entry[1]): _scalar(entry[2] or "") for entry in entries if entry}


def _scalar(text: str) -> str:
    """The text, without its quotation marks."""
    if re.fullmatch(_QUOTED, text, re.S):
        if text[0] == "'":
            return text[1:-1].replace("''", "'")
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])
    return text.strip()
