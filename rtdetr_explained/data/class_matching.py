"""One set of classes in the terms of another: labels of a data set as labels of a model, matched by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rtdetr_explained.data.annotations import Annotations
from rtdetr_explained.data.report import Report
from rtdetr_explained.errors import InputError

_SAME_AS = {"aeroplane": "airplane", "motorbike": "motorcycle", "sofa": "couch", "tvmonitor": "tv"}  # VOC to COCO


def with_classes(annotations: Annotations, class_names: Sequence[str], report: Report) -> Annotations:
    """The same images with labels that index `class_names`; classes are matched by name.

    See `match_names` for names that are written otherwise. Objects of a class that is not among the names are counted
    as of an unknown category and left out. Names that only count ("class 0", "class 1", …) are matched by order when
    there are as many; the report tells that, too. Raises InputError when no class matches.
    """
    table = match_classes(annotations.class_names, class_names)
    for name, new in zip(annotations.class_names, table.tolist(), strict=True):
        if new >= 0 and name != class_names[new]:
            report.add("loose_class", f"{name!r} of the data was taken for {class_names[new]!r}.")
    category_ids: list[int | str] = list(class_names)
    for label, new in enumerate(table.tolist()):
        if new >= 0:
            category_ids[new] = annotations.category_ids[label]
    images = []
    for image in annotations.images:
        labels, ignored_labels = table[image.labels], table[image.ignored_labels]
        known, ignored_known = labels >= 0, ignored_labels >= 0
        for label in image.labels[~known].tolist():
            name = annotations.class_names[label]
            report.add("unknown_category", f"{image.path.name}: {name!r} is not a class of the model; rename it.")
        images.append(
            replace(
                image,
                boxes=image.boxes[known],
                labels=labels[known],
                areas=image.areas[known],
                ignored_boxes=image.ignored_boxes[ignored_known],
                ignored_labels=ignored_labels[ignored_known],
            )
        )
    return Annotations(tuple(images), tuple(class_names), tuple(category_ids))


def match_classes(names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """For each of `names` the index of the same class in `known`, or -1; see `with_classes`."""
    if len(names) == len(known) and only_count(known):
        return np.arange(len(names))
    table = match_names(names, known).indices
    if not (table >= 0).any():
        raise InputError(
            f"The data's classes ({_first(names)}) and the model's ({_first(known)}) have no name in common; choose a "
            "model trained for these classes, or rename them."
        )
    return table


class Matches(NamedTuple):
    """For each name its index among the known ones, (names,) int64 with -1 for none, and what is written otherwise.

    `loose` holds pairs: the name, and the known name that it was taken for.
    """

    indices: np.ndarray
    loose: list[tuple[str, str]]


def match_names(names: Sequence[str], known: Sequence[str]) -> Matches:
    """Find the same classes in two lists: those of the very same name, then those that are only written otherwise.

    Case, spaces, hyphens and underscores make no difference there, and names of Pascal VOC stand for those of COCO,
    but only one to one: of the names still without a match exactly one, for exactly one of the known ones left over.
    """
    exact = {name: i for i, name in reversed(list(enumerate(known)))}
    found = [exact.get(name, -1) for name in names]
    left: dict[str, list[int]] = defaultdict(list)
    free: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        if found[i] < 0:
            left[_plain(name)].append(i)
    for k, name in enumerate(known):
        if k not in found:
            free[_plain(name)].append(k)
    loose = []
    for letters, places in left.items():
        if len(places) == len(free[letters]) == 1:
            found[places[0]] = free[letters][0]
            loose.append((names[places[0]], known[found[places[0]]]))
    return Matches(np.array(found, dtype=np.int64), loose)


def only_count(names: Sequence[str]) -> bool:
    """Whether the names are those of a model that knows none: "class 0", "class 1", …"""
    return list(names) == [f"class {i}" for i in range(len(names))]


def _plain(name: str) -> str:
    letters = "".join(c for c in name.casefold() if c not in " -_")
    return _SAME_AS.get(letters, letters)


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
