"""Two runs of query selection compared, against the traces."""

from dataclasses import replace

import numpy as np
import pytest

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.query_selection.change import (
    has_object,
    plural,
    selection_change,
    summary,
    table,
)
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Detection, Trace

THRESHOLD = 0.2


def test_no_change(detector: Detector, trace: Trace) -> None:
    change = selection_change(choose(trace, threshold=THRESHOLD), detector.rerun(trace, []))
    assert len(change.gained) == len(change.lost) == 0
    assert {row.kind for row in change.detections} == {"same"}
    assert change.detections_before == change.detections_after == len(trace.detections(THRESHOLD)) > 0
    assert summary(change).startswith("With the same settings: 0 cells gained and 0 lost. ")


@pytest.mark.parametrize("count", [5, 19, 30])
def test_cells_gained_and_lost(detector: Detector, trace: Trace, count: int) -> None:
    after = detector.rerun(trace, [edits.set_queries(count)])
    change = selection_change(choose(trace, threshold=THRESHOLD), after)
    before, now = set(trace.token_indices.tolist()), set(after.token_indices.tolist())
    assert set(change.gained.tolist()) == now - before
    assert set(change.lost.tolist()) == before - now
    assert (change.kept_before, change.kept_after) == (20, count)
    assert (change.queries_before, change.queries_after) == (20, count)
    assert (change.cutoff_after > change.cutoff_before) == (count < 20)
    assert f"With {count} queries instead of 20: " in summary(change)


def test_detections_are_matched_by_token_and_class(detector: Detector, trace: Trace) -> None:
    after = detector.rerun(trace, [edits.set_queries(8)])
    change = selection_change(choose(trace, threshold=THRESHOLD), after)
    old = {(int(trace.token_indices[d.query]), d.name): d for d in reversed(trace.detections(THRESHOLD))}
    new = {(int(after.token_indices[d.query]), d.name): d for d in reversed(after.detections(THRESHOLD))}
    rows = {(row.token, row.class_name): row for row in change.detections}
    assert rows.keys() == old.keys() | new.keys()
    assert change.count("lost") > 0
    for key, row in rows.items():
        one, other = old.get(key), new.get(key)
        assert (row.kind == "lost") == (other is None)
        assert (row.kind == "gained") == (one is None)
        assert row.score_before == (one.score if one else None)
        assert row.query_after == (other.query if other else None)
        if one and other:
            assert row.moved_px == pytest.approx(np.abs(np.subtract(one.box_px, other.box_px)).max())
            seen = abs(one.score - other.score) >= 0.005 or (row.moved_px or 0) >= 0.5
            assert row.kind == ("changed" if seen else "same")
    assert sum(change.count(kind) for kind in ("lost", "gained", "changed", "same")) == len(rows)


def test_pairs_of_cell_and_class_repeat_cells(detector: Detector, trace: Trace) -> None:
    after = detector.rerun(trace, [edits.set_selection("one2many"), edits.set_queries(120)])
    change = selection_change(choose(trace, threshold=THRESHOLD), after)
    assert (change.method_before, change.method_after) == ("default", "one2many")
    assert change.kept_after < change.queries_after == 120
    repeated = 120 - change.kept_after
    text = summary(change)
    assert "With 120 queries instead of 20, chosen by “cell and class” instead of “best class”" in text
    assert f"{repeated} of the 120 queries: a cell's second or later" in text
    assert change.detections_after == len(after.detections(THRESHOLD))
    assert f": {change.detections_after} instead of {change.detections_before}" in text


def test_repeated_detections_are_told_so_that_the_numbers_add_up(detector: Detector, trace: Trace) -> None:
    change = selection_change(choose(trace, threshold=THRESHOLD), detector.rerun(trace, [edits.set_queries(1)]))
    text = summary(change)
    assert text.startswith("With 1 query instead of 20: ")
    assert "repeated" not in text
    more = replace(change, detections_after=change.detections_after + 5, detections_before=change.detections_before + 1)
    expected = (
        f": {more.detections_after} (5 of them repeated) instead of {more.detections_before} (1 of them repeated);"
    )
    assert expected in summary(more)


def test_times_are_those_of_the_traces(detector: Detector, trace: Trace) -> None:
    after = detector.rerun(trace, [edits.set_queries(8)])
    change = selection_change(choose(trace), after)
    assert change.whole_ms == sum(trace.times_ms.values())
    again = ("query_selection", "decoder", "deformable_attention")
    assert change.rerun_ms == sum(after.times_ms[stage] for stage in again)
    assert change.spared_ms == pytest.approx(sum(trace.times_ms[stage] for stage in ("backbone", "aifi", "ccff")))


def test_the_table_lists_what_differs_first(detector: Detector, trace: Trace) -> None:
    change = selection_change(choose(trace, threshold=THRESHOLD), detector.rerun(trace, [edits.set_queries(8)]))
    columns = table(change)
    assert {len(column) for column in columns.values()} == {len(change.detections)}
    kinds = [kind.split(",")[0] for kind in columns["change"]]
    assert kinds == sorted(kinds, key=["lost", "gained", "changed", "same"].index)
    for kind, score in zip(kinds, columns["score after"], strict=True):
        assert (score is None) == (kind == "lost")


def test_an_object_is_kept_when_another_cell_gives_it() -> None:
    one = Detection(0, 3, "star", 0.9, (0, 0, 10, 10))
    near, other_class = Detection(7, 3, "star", 0.6, (1, 0, 11, 10)), Detection(8, 4, "bolt", 0.9, (0, 0, 10, 10))
    assert has_object(one, [near])
    assert not has_object(one, [other_class])
    assert not has_object(one, [Detection(9, 3, "star", 0.6, (8, 8, 18, 18))])
    assert not has_object(one, [])


def test_numbers_of_things() -> None:
    assert [plural(n, "cell") for n in (0, 1, 2, 1200)] == ["0 cells", "1 cell", "2 cells", "1,200 cells"]
    assert [plural(n, "query", "queries") for n in (1, 2)] == ["1 query", "2 queries"]
