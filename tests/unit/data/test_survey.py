"""Counts and sizes of a data set, by hand, and the images that show it."""

from pathlib import Path

import numpy as np

from rtdetr_explained.data.annotations import AnnotatedImage, Annotations, Row, annotated_image
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.survey import as_text, survey, telling


def image(name: str, size: tuple[int, int], *rows: tuple[int, float, float, bool]) -> AnnotatedImage:
    """An image with boxes of (label, width, height, ignored), all at its corner."""
    objects = [Row(label, (0, 0, w, h), None, ignored) for label, w, h, ignored in rows]
    return annotated_image(Path(name), name, size, objects, Report())


DATA = Annotations(
    (
        image("a.png", (400, 200), (0, 31, 32, False), (0, 32, 32, False), (1, 95, 96, False), (1, 50, 50, True)),
        image("b.png", (100, 300), (1, 96, 96, False)),
        image("c.png", (200, 100)),
        image("d.png", (300, 200), (2, 20, 20, False), (2, 4, 9, False)),
    ),
    ("owl", "kite", "rat", "yak"),
    (1, 2, 3, 4),
)


def test_counts_and_sizes():
    found = survey(DATA)
    assert (found["images"], found["objects"], found["ignored"], found["empty_images"]) == (4, 6, 1, 1)
    assert found["width_px"] == {"least": 100, "median": 250, "most": 400}
    assert found["height_px"] == {"least": 100, "median": 200, "most": 300}
    assert found["objects_per_image"] == {"least": 0, "median": 1.5, "most": 3}
    sides = found["box_side_px"]
    np.testing.assert_allclose([sides["least"], sides["median"], sides["most"]], [6, (31 * 32) ** 0.5 / 2 + 16, 96])
    rows = [(r["name"], r["objects"], r["images"], r["small"], r["medium"], r["large"]) for r in found["classes"]]
    assert rows == [("owl", 2, 1, 1, 1, 0), ("kite", 2, 2, 0, 1, 1), ("rat", 2, 1, 2, 0, 0), ("yak", 0, 0, 0, 0, 0)]


def test_the_table_holds_the_numbers():
    lines = as_text({"data": "mine", **survey(DATA)}).splitlines()
    assert lines[0].startswith("mine: 4 images, 6 objects of 3 classes (1 more")
    assert ["image", "width", "100", "250", "400", "px"] in [line.split() for line in lines]
    assert ["kite", "2", "2", "0", "1", "1"] in [line.split() for line in lines]


def test_the_images_that_tell_most_show_classes_before_crowds():
    assert [image.path.name for image in telling(DATA)] == ["a.png", "d.png", "b.png"]
    assert [image.path.name for image in telling(DATA, 2)] == ["a.png", "d.png"]
