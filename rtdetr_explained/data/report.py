"""The count of everything that was wrong with a data set, for the end of the work, or the first mistake as an error."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtdetr_explained.errors import InputError
from rtdetr_explained.printable import printable

MAX_EXAMPLES = 3

PROBLEMS = {
    "missing_image": "Images without a file (left out)",
    "missing_annotation": "Images of the list without an XML file (left out)",
    "bad_image": "Images that cannot be used (left out)",
    "cut_image": "Images whose file is cut off (read as far as it goes)",
    "duplicate_image": "Images listed more than once (joined, or the later ones left out)",
    "duplicate_category": "Categories of one name (joined)",
    "unknown_image": "Objects of an image that is not listed (left out)",
    "unknown_category": "Objects of an unknown category (left out)",
    "relative_boxes": "Files whose boxes are parts of the image's sides, not pixels (read so)",
    "swapped_box": "Boxes whose corners are swapped (put right)",
    "box_outside": "Boxes that reach outside their image (cut at its border)",
    "empty_box": "Boxes without any area in their image (left out)",
    "tiny_box": "Boxes less than a pixel wide or high (kept, but too small to be learnt)",
    "malformed": "Entries that cannot be understood (left out)",
}
NOTES = {
    "dark_image": "Images of 12 bits in 16 (made sixteen times lighter)",
    "root_category": "Categories above others that no object is of (left out)",
    "loose_class": "Classes matched although they are written otherwise",
}
"""What is no mistake, but worth saying; strictness does not stop at it."""

OF_A_PICTURE = ("bad_image", "cut_image", "dark_image")  # met again whenever the picture is read, and counted once


@dataclass
class Report:
    """Counts what was wrong, by the kinds of `PROBLEMS` and `NOTES`, and keeps the first examples.

    `strict` stops at the first problem.
    """

    strict: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    pictures: set[str] = field(default_factory=set)

    def add(self, kind: str, sentence: str) -> None:
        """Note one problem; what is wrong with a picture counts once. Raises InputError when strict."""
        sentence = printable(sentence)  # it names files and classes
        if self.strict and kind in PROBLEMS:
            raise InputError(sentence)
        if kind in OF_A_PICTURE:
            if sentence in self.pictures:
                return
            self.pictures.add(sentence)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(sentence)

    def merge(self, other: Report) -> None:
        """Add another report's counts and examples to this one."""
        for kind, count in other.counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count
            mine = self.examples.setdefault(kind, [])
            mine += other.examples[kind][: MAX_EXAMPLES - len(mine)]

    def lines(self) -> list[str]:
        """For each kind that occurred a line with its count, followed by its first examples, indented."""
        headings = PROBLEMS | NOTES
        return [
            line
            for kind, count in self.counts.items()
            for line in (f"{headings[kind]}: {count}", *(f"  {example}" for example in self.examples[kind]))
        ]

    def as_dict(self) -> dict[str, dict]:
        """By kind: the count and the first examples, ready for JSON."""
        return {kind: {"count": n, "examples": self.examples[kind]} for kind, n in self.counts.items()}
