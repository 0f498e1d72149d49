"""The count of everything that was wrong with a data set, for the end of the work, or the first mistake as an error."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtdetr_explained.errors import InputError

MAX_EXAMPLES = 3

PROBLEMS = {
    "missing_image": "Images without a file (left out)",
    "missing_annotation": "Images of the list without an XML file (left out)",
    "bad_image": "Images that cannot be used (left out)",
    "duplicate_image": "Images listed more than once (the later ones left out)",
    "duplicate_object": "Objects with an id that was taken (left out)",
    "unknown_image": "Objects of an image that is not listed (left out)",
    "unknown_category": "Objects of an unknown category (left out)",
    "box_outside": "Boxes that reach outside their image (cut at its border)",
    "empty_box": "Boxes without any area in their image (left out)",
    "malformed": "Entries that cannot be understood (left out)",
}


@dataclass
class Report:
    """Counts what was wrong, by the kinds of `PROBLEMS`, and keeps the first examples; `strict` stops at the first."""

    strict: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    bad_images: set[str] = field(default_factory=set)

    def add(self, problem: str, sentence: str) -> None:
        """Note one problem; a bad image, met again in every epoch, counts once. Raises InputError when strict."""
        if self.strict:
            raise InputError(sentence)
        if problem == "bad_image":
            if sentence in self.bad_images:
                return
            self.bad_images.add(sentence)
        self.counts[problem] = self.counts.get(problem, 0) + 1
        examples = self.examples.setdefault(problem, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(sentence)

    def merge(self, other: Report) -> None:
        """Add another report's counts and examples to this one."""
        for problem, count in other.counts.items():
            self.counts[problem] = self.counts.get(problem, 0) + count
            mine = self.examples.setdefault(problem, [])
            mine += other.examples[problem][: MAX_EXAMPLES - len(mine)]

    def lines(self) -> list[str]:
        """One line for each kind of problem that occurred, with its first example."""
        return [f"{PROBLEMS[kind]}: {n}. The first: {self.examples[kind][0]}" for kind, n in self.counts.items()]

    def as_dict(self) -> dict[str, dict]:
        """By kind: the count and the first examples, ready for JSON."""
        return {kind: {"count": n, "examples": self.examples[kind]} for kind, n in self.counts.items()}
