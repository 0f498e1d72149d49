"""The steps below the score maps, with a level, a place and a re-run; tables of what is marked."""

from dataclasses import replace

import numpy as np
import pytest
from drawn import words

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.drawing.marks import Heat, Lines, Points, Text
from rtdetr_explained.illustrations.query_selection import figure
from rtdetr_explained.illustrations.query_selection.change import selection_change
from rtdetr_explained.illustrations.query_selection.place import place_report
from rtdetr_explained.illustrations.query_selection.steps import shares, steps
from rtdetr_explained.illustrations.query_selection.view import (
    QuerySelectionView,
    levels_table,
    marks_table,
    view,
)
from rtdetr_explained.tracing.choice import Unit, choose
from rtdetr_explained.tracing.trace import Trace


@pytest.fixture(scope="module")
def full(detector: Detector, trace: Trace) -> QuerySelectionView:
    """A view with everything in it."""
    change = selection_change(choose(trace), detector.rerun(trace, [edits.set_queries(12)]))
    return view(choose(trace, query=5), change, place_report(choose(trace), 0.4, 0.6))


@pytest.mark.parametrize("count", [1, 12, 33])
def test_the_rerun_and_the_place_are_drawn(detector: Detector, trace: Trace, count: int) -> None:
    change = selection_change(choose(trace), detector.rerun(trace, [edits.set_queries(count)]))
    report = place_report(choose(trace), 0.4, 0.6)
    numbers = view(choose(trace, query=5), change, report)
    drawing = figure.picture(numbers).drawing
    np.testing.assert_allclose(10 ** drawing.named("cut of the re-run").x, count)
    place = drawing.named("place")
    np.testing.assert_allclose([10**place.x, 10**place.y], [[report.best.rank], [report.best.score]], rtol=1e-5)
    every = numbers.tokens
    for level, name in enumerate(LEVEL_NAMES):
        for verb, which in (("gained", change.gained), ("lost", change.lost)):
            here = which[every.levels[which] == level]
            mark = drawing.named(f"{verb} on {name}")
            np.testing.assert_array_equal([mark.x, mark.y], [every.cols[here], every.rows[here]])


def test_near_misses_are_marked_on_maps_and_curve(trace: Trace) -> None:
    numbers = view(choose(trace))
    drawing = figure.picture(numbers).drawing
    for level, name in enumerate(LEVEL_NAMES):
        missed = drawing.named(f"near miss on {name}")
        np.testing.assert_array_equal(np.stack([missed.y, missed.x], 1), numbers.near[level])
    ranks = np.concatenate([10 ** drawing.named(f"near misses, {name}").x for name in LEVEL_NAMES])
    np.testing.assert_allclose(np.sort(ranks), [21, 22, 23, 24, 25])


def test_classes_of_the_chosen_are_counted_by_level(trace: Trace) -> None:
    numbers = view(choose(trace))
    labels = trace["query_selection.class_logits"].array.argmax(1)[trace.token_indices]
    counts = {name: sum(per_level) for name, per_level in numbers.class_shares}
    assert counts == {trace.class_names[label]: (labels == label).sum() for label in np.unique(labels)}
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    for level in range(3):
        of_level = sum(per_level[level] for _, per_level in numbers.class_shares)
        assert of_level == len(numbers.chosen[level])


def test_rare_classes_are_put_together(trace: Trace) -> None:
    numbers = view(choose(trace))
    many = tuple((f"class {i}", (20 - i, 1, 0)) for i in range(12))
    written = words(figure.picture_without_maps(replace(numbers, class_shares=many)).drawing)
    assert {"class 0", "class 5", "6 others"} <= written
    assert "class 6" not in written
    assert str(sum(sum(ns) for _, ns in many[6:])) in written


@pytest.mark.parametrize(
    ("counts", "below"),
    [
        ((62, 34, 4), ["S5 4%"]),
        ((96, 2, 2), ["S4 2% · S5 2%"]),
        ((5, 90, 5), ["S3 5%", "S5 5%"]),
        ((40, 30, 30), []),
    ],
)
def test_every_level_has_its_share_written_also_where_its_bar_is_narrow(
    trace: Trace, counts: tuple[int, ...], below: list[str]
) -> None:
    levels = np.repeat([0, 1, 2], counts)
    numbers = replace(view(choose(trace)), sorted_levels=levels, kept=100)
    texts = [mark for mark in shares(numbers, (0, 0, 1, 1)).marks if isinstance(mark, Text)]
    assert [text.text for text in texts if text.valign == "top"] == below
    assert sum(text.text.count("%") for text in texts) == 3


def test_words_on_the_curve_stand_on_a_ground(full: QuerySelectionView) -> None:
    panel = next(panel for panel in steps(full) if panel.title == "All scores, best first")
    words = [mark for mark in panel.marks if isinstance(mark, Text)]
    assert len(words) == 3
    assert all(text.box for text in words)
    last_line = max(i for i, mark in enumerate(panel.marks) if isinstance(mark, Lines))
    assert all(i > last_line for i, mark in enumerate(panel.marks) if mark in words)


def test_a_level_alone(trace: Trace) -> None:
    numbers = view(choose(trace, level=1))
    picture = figure.picture_without_maps(numbers)
    assert [mark.name for mark in picture.drawing.of(Points) if mark.ids is not None] == ["chosen, S4"]
    assert set(picture.table["level"]) == set(marks_table(numbers)["level"]) == {"S4"}


@pytest.mark.parametrize("unit", ["px", "image"])
def test_the_chain_is_written_in_the_unit(trace: Trace, unit: Unit) -> None:
    numbers = view(choose(trace, query=5, unit=unit))
    drawing = figure.picture_without_maps(numbers).drawing
    assert ("first box, px" in words(drawing)) == (unit == "px")
    width = numbers.box[2] * (trace.image_size[0] if unit == "px" else 1)
    assert (f"w {width:.0f}" if unit == "px" else f"w {width:.3f}") in drawing.named("first box").hover[0]


def test_the_steps_are_the_figure_without_its_maps(full: QuerySelectionView) -> None:
    whole, steps = figure.picture(full), figure.picture_without_maps(full)
    assert len(whole.drawing.of(Heat)) == 4  # three maps and their colour bar
    assert not steps.drawing.of(Heat)
    assert words(steps.drawing) <= words(whole.drawing)
    assert (steps.caption, steps.table) == (whole.caption, whole.table)
    assert steps.caption in steps.alt_text


def test_a_click_on_the_curve_tells_the_query(full: QuerySelectionView) -> None:
    drawing = figure.picture_without_maps(full).drawing
    for level, name in enumerate(LEVEL_NAMES):
        points = drawing.named(f"chosen, {name}")
        np.testing.assert_array_equal(np.sort(points.ids), np.sort(full.chosen[level][:, 0]))
        assert all(f"query {q} on {name}" in text for q, text in zip(points.ids, points.hover, strict=True))


def test_tables_of_levels_and_marks(full: QuerySelectionView) -> None:
    levels = levels_table(full)
    assert levels["chosen"] == [len(cells) for cells in full.chosen]
    assert levels["share"] == pytest.approx([len(cells) / 20 for cells in full.chosen])
    assert sum(levels["cells"]) == len(full.tokens.scores)
    assert sum(levels["near misses"]) == 5
    assert max(levels["best score"]) == full.sorted_scores[0]
    marks = marks_table(full)
    assert marks["rank"] == list(range(1, 26))
    assert marks["re-run"] == [""] * 12 + ["lost"] * 8 + [""] * 5
    assert marks["became"][:20] == [f"query {q}" for q in range(20)]
    assert marks["became"][20] == "near miss, 1 below the cut"
