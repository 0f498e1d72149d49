"""What taking points, heads and levels away does, against runs of the model."""

import numpy as np
import pytest
from mark_checks import check_marks

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.deformable_attention import effect
from rtdetr_explained.illustrations.deformable_attention import points as chain
from rtdetr_explained.tracing.edits import Mode
from rtdetr_explained.tracing.results import Outcome, outcome
from rtdetr_explained.tracing.trace import Trace

SITE = "decoder.layers.1.cross_attn.weights"


def test_the_change_of_one_query(trace: Trace, detector: Detector) -> None:
    run = detector.rerun(trace, [edits.drop_head(0, 1)])
    found = effect.change(trace, outcome(run), 4)
    label = int(trace.labels[4])
    assert found.score_before == trace.scores[4]
    assert found.score_after == pytest.approx(1 / (1 + np.exp(-run.logits[4, label])), abs=1e-6)
    assert found.class_after == trace.class_names[run.labels[4]]
    shift = (run.boxes[4] - trace.boxes[4])[:2] * [150, 100]
    assert found.moved_px == pytest.approx(np.linalg.norm(shift), abs=1e-4)
    assert found.score == pytest.approx(found.score_after - found.score_before)
    nothing = effect.change(trace, outcome(trace), 4)
    assert (nothing.score, nothing.moved_px, nothing.impact) == (0, 0, pytest.approx(0, abs=1e-6))


@pytest.mark.parametrize(("head", "level"), [(None, None), (2, None), (1, 1)])
def test_the_sets_hold_the_right_points(trace: Trace, head: int | None, level: int | None) -> None:
    sets = effect.sets_of_points(trace, 4, 1, 3, head, level)
    assert list(sets) == ["heaviest", *(f"random {i}" for i in range(1, 6)), "lightest"]
    order = chain.by_weight(trace, 4, 1, head, level)
    assert sets["heaviest"].tolist() == order[:3].tolist()
    assert sets["lightest"].tolist() == order[-3:].tolist()
    for points in sets.values():
        assert len(set(points.tolist())) == 3
        assert set(points.tolist()) <= set(order.tolist())
    again = effect.sets_of_points(trace, 4, 1, 3, head, level)
    assert all((sets[name] == again[name]).all() for name in sets)
    for k in (0, len(order) + 1):
        with pytest.raises(InputError, match="cannot be taken away"):
            effect.sets_of_points(trace, 4, 1, k, head, level)


@pytest.mark.parametrize("mode", ["zero", "renormalise"])
def test_dropped_points_are_gone_and_no_others(trace: Trace, detector: Detector, mode: Mode) -> None:
    points = [1, 2, 8, 20, 35]
    run = detector.rerun(trace, effect.drop(trace, 4, 1, points, mode))
    before, after = trace[SITE].array, run[SITE].array
    assert (np.flatnonzero(after[4].ravel() == 0) == points).all()
    others = np.delete(np.arange(20), 4)
    np.testing.assert_array_equal(after[others], before[others])
    kept = np.delete(np.arange(36), points)
    if mode == "zero":
        np.testing.assert_array_equal(after[4].ravel()[kept], before[4].ravel()[kept])
    else:
        np.testing.assert_allclose(after[4].sum(1), 1, rtol=1e-5)


def test_the_effect_of_points_is_measured(trace: Trace, detector: Detector) -> None:
    sets = effect.sets_of_points(trace, 4, 1, 6)
    runs = {name: detector.rerun(trace, effect.drop(trace, 4, 1, points, "zero")) for name, points in sets.items()}
    found = effect.points_effect(trace, 4, 1, "zero", sets, {name: outcome(run) for name, run in runs.items()})
    for name, taken, change in zip(found.names, found.weight, found.changes, strict=True):
        left = runs[name][SITE].array[4].sum()
        assert taken == pytest.approx(1 - left / 4, abs=1e-5)
        assert change.iou == effect.change(trace, outcome(runs[name]), 4).iou
    assert found.weight[0] == found.weight.max()
    assert found.weight[-1] == found.weight.min()
    drawn = check_marks(effect, found)
    assert sum(len(rows) for (kind, name), rows in drawn.items() if kind == "bars" and name.startswith("Box")) == 7
    rows = effect.table(found)
    assert rows["taken away"] == list(sets)
    assert rows["box moved px"][0] == pytest.approx(found.changes[0].moved_px, abs=0.01)
    assert "6 heaviest points" in effect.caption(found)
    assert "left out" in effect.caption(found)


def test_heads_and_levels_are_sorted_by_what_they_do(trace: Trace, detector: Detector) -> None:
    edits_of = effect.parts(trace, 1)
    assert list(edits_of) == ["head 0", "head 1", "head 2", "head 3", "S3", "S4", "S5"]
    outcomes = {name: outcome(detector.rerun(trace, [edit])) for name, edit in edits_of.items()}
    found = effect.parts_effect(trace, 4, 1, outcomes)
    impacts = [change.impact for change in found.changes]
    assert impacts == sorted(impacts, reverse=True)
    weights = trace[SITE].array[4]
    shares = dict(zip(found.names, found.weight, strict=True))
    assert shares["head 2"] == pytest.approx(0.25, abs=1e-5)
    assert shares["S4"] == pytest.approx(weights[:, 2:6].sum() / 4, rel=1e-5)
    assert found.names[0] in effect.caption(found)
    check_marks(effect, found)


def test_runs_with_other_queries_cannot_be_compared(trace: Trace) -> None:
    with pytest.raises(InputError, match="same queries"):
        effect.change(trace, Outcome(trace.logits[:5], trace.boxes[:5]), 1)
    with pytest.raises(InputError, match="no query 99"):
        effect.change(trace, outcome(trace), 99)
