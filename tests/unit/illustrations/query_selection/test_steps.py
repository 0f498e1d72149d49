"""The steps below the score maps, with a level, a place and a re-run; tables of what is marked."""

from dataclasses import replace

import numpy as np
import pytest
from figure_checks import THEMES, plotly_trace, plotly_traces, plotly_words
from mark_checks import check_marks

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.colors import LEVEL_NAMES, palette
from rtdetr_explained.drawing.marks import Lines, Text
from rtdetr_explained.illustrations.query_selection import steps_page as query_selection_steps
from rtdetr_explained.illustrations.query_selection import view as query_selection
from rtdetr_explained.illustrations.query_selection.change import selection_change
from rtdetr_explained.illustrations.query_selection.place import place_report
from rtdetr_explained.illustrations.query_selection.steps import shares, steps
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView
from rtdetr_explained.tracing.trace import Trace


@pytest.fixture(scope="module")
def full(detector: Detector, trace: Trace) -> QuerySelectionView:
    """A view with everything in it."""
    change = selection_change(trace, detector.rerun(trace, [edits.set_queries(12)]))
    return query_selection.view(trace, 5, "px", None, change, place_report(trace, 0.4, 0.6))


@pytest.mark.parametrize("count", [1, 12, 33])
def test_both_figures_draw_the_rerun_and_the_place(detector: Detector, trace: Trace, count: int) -> None:
    change = selection_change(trace, detector.rerun(trace, [edits.set_queries(count)]))
    report = place_report(trace, 0.4, 0.6)
    view = query_selection.view(trace, 5, change=change, place=report)
    drawn = check_marks(query_selection, view)
    np.testing.assert_allclose(10 ** drawn["lines", "cut of the re-run"][:, 0], count)
    np.testing.assert_allclose(10 ** drawn["markers", "place"], [[report.best.rank, report.best.score]], rtol=1e-5)
    every = view.tokens
    for level, name in enumerate(LEVEL_NAMES):
        for verb, which in (("gained", change.gained), ("lost", change.lost)):
            here = which[every.levels[which] == level]
            expected = np.stack([every.cols[here], every.rows[here]], 1)
            np.testing.assert_array_equal(drawn["markers", f"{verb} on {name}"], expected)


def test_near_misses_are_marked_on_maps_and_curve(trace: Trace) -> None:
    view = query_selection.view(trace)
    drawn = check_marks(query_selection, view)
    for level, name in enumerate(LEVEL_NAMES):
        np.testing.assert_array_equal(drawn["markers", f"near miss on {name}"], view.near[level][:, ::-1])
    ranks = np.concatenate([10 ** drawn["markers", f"near misses, {name}"][:, 0] for name in LEVEL_NAMES])
    np.testing.assert_allclose(np.sort(ranks), [21, 22, 23, 24, 25])


def test_classes_of_the_chosen_are_counted_by_level(trace: Trace) -> None:
    view = query_selection.view(trace)
    labels = trace["query_selection.class_logits"].array.argmax(1)[trace.token_indices]
    counts = {name: sum(per_level) for name, per_level in view.class_shares}
    assert counts == {trace.class_names[label]: (labels == label).sum() for label in np.unique(labels)}
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    for level in range(3):
        of_level = sum(per_level[level] for _, per_level in view.class_shares)
        assert of_level == len(view.chosen[level])


def test_rare_classes_are_put_together(trace: Trace) -> None:
    view = query_selection.view(trace)
    many = tuple((f"class {i}", (20 - i, 1, 0)) for i in range(12))
    object.__setattr__(view, "class_shares", many)
    words = plotly_words(query_selection_steps.plotly_figure(view, "light"))
    assert {"class 0", "class 5", "6 others"} <= words
    assert "class 6" not in words
    assert str(sum(sum(ns) for _, ns in many[6:])) in words


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
    view = replace(query_selection.view(trace), sorted_levels=levels, kept=100)
    texts = [mark for mark in shares(view, palette("light"), (0, 0, 1, 1)).marks if isinstance(mark, Text)]
    assert [text.text for text in texts if text.valign == "top"] == below
    assert sum(text.text.count("%") for text in texts) == 3


def test_words_on_the_curve_stand_on_a_ground(full: QuerySelectionView) -> None:
    panel = next(panel for panel in steps(full, "light", 536) if panel.title == "All scores, best first")
    words = [mark for mark in panel.marks if isinstance(mark, Text)]
    assert len(words) == 3
    assert all(text.box for text in words)
    last_line = max(i for i, mark in enumerate(panel.marks) if isinstance(mark, Lines))
    assert all(i > last_line for i, mark in enumerate(panel.marks) if mark in words)


def test_a_level_alone(trace: Trace) -> None:
    view = query_selection.view(trace, only=1)
    figure = query_selection_steps.plotly_figure(view, "light")
    clickable = [t for t in plotly_traces(figure, "scatter") if t.customdata is not None]
    assert [t.name for t in clickable] == ["chosen, S4"]
    assert set(query_selection.table(view)["level"]) == {"S4"}
    assert set(query_selection.marks_table(view)["level"]) == {"S4"}


@pytest.mark.parametrize(
    ("unit", "there", "missing"), [("px", "first box, px", None), ("image", None, "first box, px")]
)
def test_the_chain_is_written_in_the_unit(trace: Trace, unit: str, there: str | None, missing: str | None) -> None:
    view = query_selection.view(trace, 5, unit)
    words = plotly_words(query_selection_steps.plotly_figure(view, "dark"))
    assert there is None or there in words
    assert missing not in words
    width = view.box[2] * (trace.image_size[0] if unit == "px" else 1)
    hover = plotly_trace(query_selection_steps.plotly_figure(view, "dark"), "first box").hovertext[0]
    assert f"w {width:.0f}" in hover if unit == "px" else f"w {width:.3f}" in hover


@pytest.mark.parametrize("theme", THEMES)
def test_the_steps_are_the_figure_without_its_maps(full: QuerySelectionView, theme: str) -> None:
    steps = query_selection_steps.plotly_figure(full, theme)
    assert not plotly_traces(steps, "heatmap")
    whole = plotly_words(query_selection.plotly_figure(full, theme))
    assert plotly_words(steps) <= whole
    assert query_selection_steps.caption(full) in query_selection_steps.alt_text(full)
    assert query_selection_steps.matplotlib_figure is query_selection.matplotlib_figure


def test_a_click_on_the_curve_tells_the_query(full: QuerySelectionView) -> None:
    figure = query_selection_steps.plotly_figure(full, "light")
    for level, name in enumerate(LEVEL_NAMES):
        points = plotly_trace(figure, f"chosen, {name}")
        np.testing.assert_array_equal(np.sort(points.customdata), np.sort(full.chosen[level][:, 0]))
        assert all(f"query {q} on {name}" in text for q, text in zip(points.customdata, points.hovertext, strict=True))


def test_tables_of_levels_and_marks(full: QuerySelectionView) -> None:
    levels = query_selection.levels_table(full)
    assert levels["chosen"] == [len(cells) for cells in full.chosen]
    assert sum(levels["cells"]) == len(full.tokens.scores)
    assert sum(levels["near misses"]) == 5
    assert max(levels["best score"]) == full.sorted_scores[0]
    marks = query_selection.marks_table(full)
    assert marks["rank"] == list(range(1, 26))
    assert marks["re-run"] == [""] * 12 + ["lost"] * 8 + [""] * 5
    assert marks["became"][:20] == [f"query {q}" for q in range(20)]
    assert marks["became"][20] == "near miss, 1 below the cut"
