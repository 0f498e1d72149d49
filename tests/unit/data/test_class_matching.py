"""One list of class names in the terms of another: the very name first, other spellings only one to one."""

import pytest

from rtdetr_explained.data.class_matching import match_classes, match_names, only_count
from rtdetr_explained.model.class_names import COCO_CLASSES


@pytest.mark.parametrize(
    ("names", "known", "index", "loose"),
    [
        (["b", "a", "c"], ["a", "b"], [1, 0, -1], []),
        # Names that differ in case or hyphens only are classes of their own where all of them exist.
        (["n", "N", "N-"], ["N", "n", "N-"], [1, 0, 2], []),
        (["couch", "sofa"], ["sofa", "couch"], [1, 0], []),
        # A name that has its own match is no match for another spelling.
        (["N", "n"], ["N", "x"], [0, -1], []),
        (["sofa", "couch"], ["couch"], [-1, 0], []),
        # One to one, and told.
        (
            ["Sofa", "traffic-light"],
            ["couch", "traffic light"],
            [0, 1],
            [("Sofa", "couch"), ("traffic-light", "traffic light")],
        ),
        (["aeroplane"], ["car", "Airplane"], [1], [("aeroplane", "Airplane")]),
        # Two for one, or one for two, is not one to one.
        (["Sofa", "COUCH"], ["couch"], [-1, -1], []),
        (["tv"], ["TV", "t-v"], [-1], []),
        (["N-", "n"], ["N", "n"], [0, 1], [("N-", "N")]),
        # The first of two known ones with one name.
        (["a"], ["b", "a", "a"], [1], []),
        ([], ["a"], [], []),
    ],
)
def test_the_very_name_comes_first_and_another_spelling_only_one_to_one(
    names: list[str], known: list[str], index: list[int], loose: list[tuple[str, str]]
):
    found = match_names(names, known)
    assert found.indices.tolist() == index
    assert found.loose == loose


def test_every_class_of_coco_is_itself():
    assert match_names(COCO_CLASSES, COCO_CLASSES).indices.tolist() == list(range(80))
    turned = COCO_CLASSES[::-1]
    assert match_classes(turned, COCO_CLASSES).tolist() == list(range(80))[::-1]


@pytest.mark.parametrize(
    ("names", "count"), [(["class 0", "class 1"], True), (["class 1", "class 0"], False), (["owl"], False)]
)
def test_names_that_only_count(names: list[str], count: bool):
    assert only_count(names) == count
