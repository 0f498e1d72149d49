"""Fonts for names in any script: which ones of this computer have the letters that the usual font lacks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

USUAL = "DejaVu Sans"  # comes with matplotlib
NO_GLYPH = "\u25a1"  # □


class Found(NamedTuple):
    """Families and files of the fonts that are needed next to the usual one, and the letters that none of them has."""

    families: tuple[str, ...]
    files: tuple[str, ...]
    missing: frozenset[str]


def fonts_for(texts: Iterable[str]) -> Found:
    """The fonts that these texts need."""
    return fonts_of(frozenset("".join(texts)) - set("\n"))


def without_missing(text: str, missing: frozenset[str]) -> str:
    """The text with a box for each letter that no font has."""
    return "".join(NO_GLYPH if letter in missing else letter for letter in text)


def sentence(texts: Iterable[str]) -> str:
    """What to say of letters that no font of this computer has; "" when there are none."""
    missing = sorted(fonts_for(texts).missing)
    if not missing:
        return ""
    shown = " ".join(missing[:8]) + (" …" if len(missing) > 8 else "")
    return f"No font of this computer has the letters {shown}; install one to see them in pictures."


@cache
def fonts_of(letters: frozenset[str]) -> Found:
    """The fonts that have these letters, as few as come to hand in the order of their names."""
    from matplotlib.font_manager import findfont, fontManager

    missing = letters - letters_of(findfont(USUAL))
    fonts: list[tuple[str, str]] = []
    plain = [f for f in fontManager.ttflist if f.style == "normal" and f.weight in (400, "normal", "regular")]
    for font in sorted(plain, key=lambda f: (f.name, f.fname)):
        if not missing:
            break
        if found := missing & letters_of(font.fname):
            fonts.append((font.name, font.fname))
            missing -= found
    return Found(tuple(name for name, _ in fonts), tuple(file for _, file in fonts), frozenset(missing))


@cache
def letters_of(file: str) -> frozenset[str]:
    """All letters of a font; none for a file that is not one, or a bitmap font."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (RuntimeError, OSError):
        return frozenset()
