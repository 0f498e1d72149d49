"""What taking points, heads and levels away does, against runs of the model."""

import numpy as np
import pytest

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.marks import Bars
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.deformable_attention import effect
from rtdetr_explained.illustrations.deformable_attention.points import by_weight
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.edits import Mode
from rtdetr_explained.tracing.results import Outcome, outcome
from rtdetr_explained.tracing.trace import Trace

SITE = "decoder.layers.1.cross_attn.weights"


def test_the_change_of_one_query(trace: Trace, detector: Detector) -> None:
    run = detector.rerun(trace, [edits.drop_head(0, 1)])
    now = effect.change(choose(trace, query=4), outcome(run))
    label = int(trace.labels[4])
    assert now.score_before == trace.scores[4]
    assert now.score_after == pytest.approx(1 / (1 + np.exp(-run.logits[4, label])), abs=1e-6)
    assert now.class_after == trace.class_names[run.labels[4]]
    shift = (run.boxes[4] - trace.boxes[4])[:2] * [150, 100]
    assert now.moved_px == pytest.approx(np.linalg.norm(shift), abs=1e-4)
    assert now.score == pytest.approx(now.score_after - now.score_before)
    nothing = effect.change(choose(trace, query=4), outcome(trace))
    assert (nothing.score, nothing.moved_px, nothing.impact) == (0, 0, pytest.approx(0, abs=1e-6))


@pytest.mark.parametrize(("head", "level"), [(None, None), (2, None), (1, 1)])
def test_the_sets_hold_the_right_points(trace: Trace, head: int | None, level: int | None) -> None:
    choice = choose(trace, query=4, layer=1, head=head, level=level)
    sets = effect.sets_of_points(choice, 3)
    assert list(sets) == ["heaviest", *(f"random {i}" for i in range(1, 6)), "lightest"]
    order = by_weight(choice)
    assert sets["heaviest"].tolist() == order[:3].tolist()
    assert sets["lightest"].tolist() == order[-3:].tolist()
    for points in sets.values():
        assert len(set(points.tolist())) == 3
        assert set(points.tolist()) <= set(order.tolist())
    again = effect.sets_of_points(choice, 3)
    assert all((sets[name] == again[name]).all() for name in sets)
    for k in (0, len(order) + 1):
        with pytest.raises(InputError, match="cannot be taken away"):
            effect.sets_of_points(choice, k)


@pytest.mark.parametrize("mode", ["zero", "renormalise"])
def test_dropped_points_are_gone_and_no_others(trace: Trace, detector: Detector, mode: Mode) -> None:
    points = [1, 2, 8, 20, 35]
    run = detector.rerun(trace, effect.drop(choose(trace, query=4, layer=1), points, mode))
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
    choice = choose(trace, query=4, layer=1)
    sets = effect.sets_of_points(choice, 6)
    runs = {name: detector.rerun(trace, effect.drop(choice, points, "zero")) for name, points in sets.items()}
    effects = effect.effect_of_points(choice, "zero", sets, {name: outcome(run) for name, run in runs.items()})
    for name, taken, change in zip(effects.names, effects.weight, effects.changes, strict=True):
        left = runs[name][SITE].array[4].sum()
        assert taken == pytest.approx(1 - left / 4, abs=1e-5)
        assert change.iou == effect.change(choice, outcome(runs[name])).iou
    assert effects.weight[0] == effects.weight.max()
    assert effects.weight[-1] == effects.weight.min()
    picture = effect.picture(effects)
    for title, values in (
        ("Weight taken", effects.weight),
        ("Change of score", [change.score for change in effects.changes]),
        ("Box", [1 - change.iou for change in effects.changes]),
    ):
        bars = [mark for mark in picture.drawing.of(Bars) if mark.name.startswith(title)]
        rows = np.concatenate([mark.y for mark in bars]).astype(int)
        np.testing.assert_allclose(np.concatenate([mark.width for mark in bars]), np.array(values)[rows])
        assert sorted(rows.tolist()) == list(range(7))
    assert picture.table["taken away"] == list(sets)
    assert picture.table["box moved px"][0] == pytest.approx(effects.changes[0].moved_px, abs=0.01)
    assert "6 heaviest points" in picture.caption
    assert "left out" in picture.caption


def test_heads_and_levels_are_sorted_by_what_they_do(trace: Trace, detector: Detector) -> None:
    choice = choose(trace, query=4, layer=1)
    edits_of = effect.parts(choice)
    assert list(edits_of) == ["head 0", "head 1", "head 2", "head 3", "S3", "S4", "S5"]
    outcomes = {name: outcome(detector.rerun(trace, [edit])) for name, edit in edits_of.items()}
    effects = effect.effect_of_parts(choice, outcomes)
    impacts = [change.impact for change in effects.changes]
    assert impacts == sorted(impacts, reverse=True)
    weights = trace[SITE].array[4]
    shares = dict(zip(effects.names, effects.weight, strict=True))
    assert shares["head 2"] == pytest.approx(0.25, abs=1e-5)
    assert shares["S4"] == pytest.approx(weights[:, 2:6].sum() / 4, rel=1e-5)
    assert effects.names[0] in effects.sentence


def test_runs_with_other_queries_cannot_be_compared(trace: Trace) -> None:
    with pytest.raises(InputError, match="same queries"):
        effect.change(choose(trace, query=1), Outcome(trace.logits[:5], trace.boxes[:5]))


def test_denoising_queries_before_a_query_change_nothing(trace: Trace, noised: Trace) -> None:
    end = outcome(trace)
    of_parts, of_points = [], []
    for kept in (trace, noised):
        choice = choose(kept, query=4, layer=1)
        of_parts.append(effect.effect_of_parts(choice, dict.fromkeys(effect.parts(choice), end)))
        sets = {"heaviest": np.arange(4), "random 1": np.arange(4, 8), "lightest": np.arange(8, 12)}
        of_points.append(effect.effect_of_points(choice, "zero", sets, dict.fromkeys(sets, end)))
    for one, two in (of_parts, of_points):
        np.testing.assert_allclose(one.weight, two.weight, atol=1e-4)
