"""Overview: detections, the selected query, and the stages with the trace's own shapes, times and costs."""

from dataclasses import replace

import numpy as np
import pytest
from drawn import words

from rtdetr_explained.illustrations import overview
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Detection, StageProfile, Trace


@pytest.fixture(scope="module")
def low(trace: Trace) -> float:
    """A threshold that some queries pass; with random weights scores are small."""
    return float(np.sort(trace.scores)[-8])


def test_detections_and_stages_are_those_of_the_trace(trace: Trace, low: float) -> None:
    view = overview.view(choose(trace, query=5, threshold=low))
    assert view.detections == tuple(trace.detections(low))
    assert view.selected.query == 5
    assert view.selected.score == pytest.approx(float(trace.scores[5]))
    assert [d.score for d in view.best] == pytest.approx(np.sort(trace.scores)[::-1][: overview.BEST].tolist())
    stages = {stage.slug: stage for stage in view.stages}
    assert list(stages) == [
        "backbone", "aifi", "ccff", "query_selection", "decoder", "deformable_attention", "denoising", "overview",
    ]  # fmt: skip
    for slug in ("backbone", "aifi", "ccff", "query_selection", "deformable_attention"):
        assert stages[slug].time_ms == trace.times_ms[slug]
    assert stages["overview"].time_ms == pytest.approx(sum(trace.times_ms.values()))
    assert stages["denoising"].time_ms is None
    for slug, profile in trace.profile.items():
        inside = trace.profile["deformable_attention"] if slug == "decoder" else StageProfile(0, 0)
        assert stages[slug].parameters == profile.parameters + inside.parameters
        assert stages[slug].flops == profile.flops + inside.flops


def test_parts_fit_in_wholes(trace: Trace) -> None:
    stages = {stage.slug: stage for stage in overview.view(choose(trace)).stages}
    part, decoder = stages.pop("deformable_attention"), stages["decoder"]
    whole = stages.pop("overview")
    for measure in ("time_ms", "parameters", "flops"):
        assert 0 < getattr(part, measure) < getattr(decoder, measure)
        parts = sum(getattr(stage, measure) or 0 for stage in stages.values())
        assert parts == pytest.approx(getattr(whole, measure))


def test_boxes_on_one_object_are_told_of(trace: Trace) -> None:
    view = overview.view(choose(trace, threshold=0.99))

    def at(query: int, label: int, score: float, x: float) -> Detection:
        return Detection(query, label, f"class {label}", score, (x, 0, x + 10, 10))

    # The second covers 9/11 of the first, the third only 8/12 of it, the fourth has another class, the last is the
    # first query again under another class.
    several = (at(1, 0, 0.9, 0), at(2, 0, 0.8, 1), at(3, 0, 0.7, 5), at(4, 1, 0.6, 0), at(1, 2, 0.5, 0))
    assert [d.query for d in overview.repeated(several)] == [2]
    picture = overview.picture(replace(view, detections=several))
    assert "5 detections" in picture.caption
    assert "1 of them lies on" in picture.caption
    alone = overview.picture(replace(view, detections=several[:1]))
    assert "lies on" not in alone.caption


def test_shapes_on_the_arrows_are_live(trace: Trace) -> None:
    outputs = {stage.slug: stage.output for stage in overview.view(choose(trace)).stages}
    c, h, w = trace["backbone.s4"].shape
    assert f"S4 {c}×{h}×{w}" in outputs["backbone"]
    assert f"N5 {'×'.join(map(str, trace['hybrid_encoder.ccff.n5'].shape))}" in outputs["ccff"]
    tokens = sum(h * w for h, w in trace.map_sizes)
    assert f"{len(trace.boxes)} of {tokens:,} tokens" in outputs["query_selection"]


def test_the_selected_query_is_drawn_even_below_the_threshold(trace: Trace) -> None:
    view = overview.view(choose(trace, query=3, threshold=0.99))
    assert view.detections == ()
    box = overview.picture(view).drawing.named("selected query")
    cx, cy, w, h = trace.boxes[3] * np.tile(trace.image_size, 2)
    drawn = np.nanmin(box.x), np.nanmin(box.y), np.nanmax(box.x), np.nanmax(box.y)
    np.testing.assert_allclose(drawn, (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), rtol=1e-3, atol=1e-3)


def test_each_query_can_be_clicked_once(trace: Trace, low: float) -> None:
    view = overview.view(choose(trace, query=None, threshold=low))
    points = overview.picture(view).drawing.named("queries")
    assert points.ids[0] == int(np.argmax(trace.scores))
    assert sorted(points.ids) == sorted({d.query for d in view.detections} | {view.selected.query})
    assert len(points.x) == len(points.ids)


def test_the_label_of_the_selected_query_is_always_there(trace: Trace, low: float) -> None:
    view = overview.view(choose(trace, query=5, threshold=low))
    label = f"{view.selected.name} {view.selected.score:.2f}"
    assert label in words(overview.picture(view).drawing)


def test_bars_are_proportional_to_the_measure(trace: Trace) -> None:
    view = overview.view(choose(trace))
    bars = overview.picture(view).drawing.named("parameters")
    counts = np.array([stage.parameters for stage in view.stages[:-1]], float)
    np.testing.assert_allclose(bars.width / bars.width.max(), counts / counts.max(), rtol=1e-5)


def test_words_and_table(trace: Trace, low: float) -> None:
    view = overview.view(choose(trace, query=5, threshold=low))
    picture = overview.picture(view)
    assert f"{len(view.detections)} detections" in picture.caption
    assert "query 5" in picture.alt_text
    assert {len(column) for column in picture.table.values()} == {8}


@pytest.mark.parametrize(
    ("count", "text"), [(950, "950"), (2_802_672, "2.80 M"), (72.4e6, "72.4 M"), (3.66e11, "366 G")]
)
def test_counts_are_short(count: float, text: str) -> None:
    assert overview.short(count) == text
