"""Names that strangers chose, of classes, files and models, as text that can be shown, printed and stored anywhere.

A name is made so once, where it is read. What it looks like stays the same; it is never taken for anything but text.
"""

import unicodedata

# Without a width or a shape, but needed in words of some scripts and in emoji.
JOINERS = "\u200c\u200d"
KINDS = ("Cc", "Cs", "Cn", "Zl", "Zp")  # controls, halves of a pair, what is no character, ends of lines


def printable(text: object) -> str:
    """The text with every character that would not show as itself written out, such as \\x1b, \\u202e or \\ud800.

    These are controls, lone surrogates, ends of lines, and invisible ones, among them those that turn the direction of
    writing. Spaces of any width become usual ones. Applied twice it changes nothing.
    """
    return "".join(map(shown, str(text)))


def shown(character: str) -> str:
    """One character, or its escape sequence."""
    kind = unicodedata.category(character)
    if kind == "Zs":
        return " "
    if kind in KINDS or (kind == "Cf" and character not in JOINERS):
        return character.encode("unicode_escape").decode()
    return character


def as_cell(text: str) -> str:
    """The text for a cell of a CSV file; spreadsheets would compute one that begins with =, +, - or @."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
