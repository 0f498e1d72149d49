import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from random_models import TINY, random_model, random_photo, watch

from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.edits import Edit
from rtdetr_explained.tracing.trace import Trace

FLAT = {(0, 0): 0, (0, 1): 1, (1, 0): 2, (1, 3): 5, (2, 0): 6, (2, 2): 8}  # (level, point) for 2, 4 and 3 points


def cross(trace: Trace, layer: int, name: str) -> np.ndarray:
    return trace[f"decoder.layers.{layer}.cross_attn.{name}"].array


def test_a_rerun_without_edits_is_the_same_bit_for_bit(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [])
    assert again.same_numbers(trace)
    assert again.meta == trace.meta
    assert again.site_infos == trace.site_infos
    assert list(again.site_infos) == list(trace.site_infos)
    assert again.shapes == trace.shapes
    assert again.profile == trace.profile
    figures = detector.trace(random_photo(100, 150))
    assert detector.rerun(figures, []).same_numbers(figures)


@pytest.mark.parametrize("size", [(96, 128), (160, 96)])
def test_a_rerun_of_a_model_that_is_not_fused_is_the_same(size: tuple[int, int]) -> None:
    detector = Detector(random_model(), deploy=False)
    trace = detector.trace(random_photo(100, 150), sites="all", size=size)
    assert detector.rerun(trace, []).same_numbers(trace)


def test_a_decoder_edit_that_changes_nothing_gives_the_same_numbers(detector: Detector, trace: Trace) -> None:
    """This run takes up the trace at the decoder, the empty one at query selection."""
    for edit in (edits.set_layers(3), edits.move_point(0, 0, 0, 0, 0, dx=0.0, dy=0.0)):
        assert detector.rerun(trace, [edit]).same_numbers(trace)


@pytest.mark.parametrize(
    ("changes", "selects"),
    [
        ([], True),
        ([edits.drop_point(2, 3, 1, 1, 0)], False),
        ([edits.drop_head(1), edits.set_sampling("discrete"), edits.set_layers(1)], False),
        ([edits.drop_query(3)], True),
        ([edits.drop_head(1), edits.set_queries(5)], True),
        ([edits.set_selection("one2many")], True),
    ],
)
def test_a_rerun_starts_at_the_earliest_edited_stage(
    detector: Detector, trace: Trace, changes: list[Edit], selects: bool
) -> None:
    modules = ("backbone", "hybrid_encoder", "query_selection", "decoder")
    watched = {name: watch(detector.model.get_submodule(name)) for name in modules}
    try:
        detector.rerun(trace, changes)
    finally:
        for _, handle in watched.values():
            handle.remove()
    ran = {name: len(outputs) for name, (outputs, _) in watched.items()}
    assert ran == {"backbone": 0, "hybrid_encoder": 0, "query_selection": int(selects), "decoder": 1}


def test_times_of_the_stages_that_did_not_run_are_those_of_the_first_pass(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [edits.drop_head(0)])
    for stage in ("backbone", "aifi", "ccff", "query_selection"):
        assert again.times_ms[stage] == trace.times_ms[stage]
    assert again.times_ms["decoder"] != trace.times_ms["decoder"]


@pytest.mark.parametrize("mode", ["zero", "renormalise"])
def test_drop_point(detector: Detector, trace: Trace, mode: edits.Mode) -> None:
    for (level, point), flat in FLAT.items():
        again = detector.rerun(trace, [edits.drop_point(1, 7, 2, level, point, mode)])
        before, after = cross(trace, 1, "weights"), cross(again, 1, "weights")
        expected = before.copy()
        expected[7, 2, flat] = 0
        if mode == "renormalise":
            expected[7, 2] /= expected[7, 2].sum()
        np.testing.assert_allclose(after, expected, atol=1e-6)
        assert after[7, 2, flat] == 0
        assert after[7, 2].sum() == pytest.approx(1 if mode == "renormalise" else 1 - before[7, 2, flat], abs=1e-5)
        # The layer before has not noticed, this layer's output has for this query alone, and the last box moves.
        assert np.array_equal(trace["decoder.layers.0.output"].array, again["decoder.layers.0.output"].array)
        changed = (cross(trace, 1, "output") != cross(again, 1, "output")).any(1)
        assert np.flatnonzero(changed).tolist() == [7]
        assert (again.boxes[7] != trace.boxes[7]).any()


def test_a_dropped_point_takes_exactly_its_share_of_the_output(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [edits.drop_point(2, 5, 3, 1, 2)])
    gone = cross(trace, 2, "weights")[5, 3, 4] * cross(trace, 2, "sampled_values")[5, 3, 4]
    weight = detector.model.decoder.layers[2].get_submodule("cross_attn.output_proj").get_parameter("weight").numpy()
    expected = cross(trace, 2, "output")[5] - weight[:, 3 * 6 : 4 * 6] @ gone
    np.testing.assert_allclose(cross(again, 2, "output")[5], expected, atol=1e-5, rtol=1e-5)


def test_move_point(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [edits.move_point(1, 7, 2, 1, 3, dx=0.25, dy=-0.125)])
    expected = cross(trace, 1, "sampling_locations").copy()
    expected[7, 2, 5] += np.array([0.25, -0.125], dtype=np.float32)
    assert np.array_equal(cross(again, 1, "sampling_locations"), expected)
    assert np.array_equal(cross(again, 1, "weights"), cross(trace, 1, "weights"))
    changed = (cross(trace, 1, "sampled_values") != cross(again, 1, "sampled_values")).any(-1)
    assert np.argwhere(changed).tolist() == [[7, 2, 5]]


def test_a_point_moved_out_of_the_image_reads_nothing(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [edits.move_point(0, 2, 1, 2, 0, dx=100, dy=-100)])
    assert not cross(again, 0, "sampled_values")[2, 1, 6].any()
    assert np.isfinite(again.logits).all()


@pytest.mark.parametrize("layer", [None, 1])
def test_drop_head(detector: Detector, trace: Trace, layer: int | None) -> None:
    again = detector.rerun(trace, [edits.drop_head(2, layer)])
    for i in range(3):
        weights = cross(again, i, "weights")
        dropped = layer is None or i == layer
        assert weights[:, 2].any() != dropped
        np.testing.assert_allclose(weights[:, [0, 1, 3]].sum(-1), 1, atol=1e-5)
    assert np.array_equal(trace["decoder.layers.0.output"].array, again["decoder.layers.0.output"].array) == (
        layer == 1
    )


@pytest.mark.parametrize("mode", ["zero", "renormalise"])
@pytest.mark.parametrize("layer", [None, 2])
def test_drop_level(detector: Detector, trace: Trace, layer: int | None, mode: edits.Mode) -> None:
    for level, points in enumerate([slice(0, 2), slice(2, 6), slice(6, 9)]):
        again = detector.rerun(trace, [edits.drop_level(level, layer, mode)])
        for i in range(3):
            weights = cross(again, i, "weights")
            dropped = layer is None or i == layer
            assert weights[..., points].any() != dropped
            full = mode == "renormalise" or not dropped
            assert np.allclose(weights.sum(-1), 1, atol=1e-5) == full
        if layer is None:  # the first layer's own weights have not changed otherwise
            kept = np.delete(cross(trace, 0, "weights"), points, axis=-1)
            kept = kept / kept.sum(-1, keepdims=True) if mode == "renormalise" else kept
            np.testing.assert_allclose(np.delete(cross(again, 0, "weights"), points, axis=-1), kept, atol=1e-6)


def test_a_level_and_a_point_on_it_can_both_be_dropped_with_renormalising(detector: Detector, trace: Trace) -> None:
    every_level = [edits.drop_level(level, 0, "renormalise") for level in range(3)]
    again = detector.rerun(trace, [*every_level, edits.drop_point(0, 1, 1, 1, 1, "renormalise")])
    assert not cross(again, 0, "weights").any()  # nothing remains to be shared, and nothing is divided by zero
    assert np.isfinite(again.logits).all()


def test_drop_query_moves_the_rows_after_it_up(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [edits.drop_query(4), edits.drop_query(0)])
    kept = [q for q in range(20) if q not in (0, 4)]
    assert np.array_equal(again.token_indices, trace.token_indices[kept])
    for name in ("query_selection.content", "query_selection.reference_boxes", "decoder.layers.0.reference_boxes"):
        # Rows may differ in their last bit, because another number of rows is computed in other blocks.
        np.testing.assert_allclose(again[name].array, trace[name].array[kept], atol=1e-6)
    assert again.logits.shape == (18, 5)
    assert again["decoder.layers.1.self_attn.weights"].shape == (4, 18, 18)
    assert np.abs(again.logits - trace.logits[kept]).max() > 1e-4  # the others miss what it told them
    assert again.query(3).token == trace.query(5).token


def test_other_edits_still_address_the_query_by_its_first_number(detector: Detector, trace: Trace) -> None:
    changes = [edits.drop_point(1, 7, 2, 0, 1), edits.drop_query(4), edits.move_point(0, 9, 1, 2, 2, dx=0.5, dy=0.0)]
    alone, again = detector.rerun(trace, [edits.drop_query(4)]), detector.rerun(trace, changes)
    weights = cross(again, 1, "weights")
    assert np.argwhere(weights == 0).tolist() == [[6, 2, 1]]
    moved = cross(again, 0, "sampling_locations") - cross(alone, 0, "sampling_locations")
    assert np.argwhere(moved).tolist() == [[8, 1, 8, 0]]


@pytest.mark.parametrize("num_layers", [1, 2])
def test_set_layers(detector: Detector, trace: Trace, num_layers: int) -> None:
    again = detector.rerun(trace, [edits.set_layers(num_layers)])
    assert again.num_layers == num_layers
    last = num_layers - 1
    assert np.array_equal(again.boxes, trace[f"decoder.layers.{last}.boxes"].array)
    np.testing.assert_allclose(again.logits, trace.derived.layer_logits[last], atol=1e-5)
    assert f"decoder.layers.{num_layers}.boxes" not in again.site_infos
    assert not [name for name in again.shapes if name.startswith(f"decoder.layers.{num_layers}.")]
    assert again.query(3).reference_boxes.shape == (num_layers + 1, 4)
    assert again.profile["decoder"].flops < trace.profile["decoder"].flops
    assert again.profile["decoder"].parameters == trace.profile["decoder"].parameters


def test_more_layers_than_inference_uses_can_be_run() -> None:
    detector = Detector(random_model(replace(TINY, num_layers=4, eval_idx=1)))
    trace = detector.trace(random_photo(100, 150))
    again = detector.rerun(trace, [edits.set_layers(4)])
    assert (trace.num_layers, again.num_layers) == (2, 4)
    assert np.array_equal(again["decoder.layers.1.boxes"].array, trace.boxes)
    assert "decoder.layers.3.cross_attn.weights" in again
    assert detector.rerun(again, [edits.set_layers(2)]).same_numbers(trace)


def test_set_queries(detector: Detector, trace: Trace) -> None:
    fewer, more = (detector.rerun(trace, [edits.set_queries(n)]) for n in (8, 30))
    assert np.array_equal(fewer.token_indices, trace.token_indices[:8])
    assert np.array_equal(more.token_indices[:20], trace.token_indices)
    assert fewer.logits.shape == (8, 5)
    assert more.logits.shape == (30, 5)
    assert detector.rerun(trace, [edits.set_queries(30), edits.drop_query(29)]).logits.shape == (29, 5)


def test_set_sampling(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [edits.set_sampling("discrete")])
    discrete = Detector(random_model(replace(TINY, cross_attn_method="discrete")))
    assert np.array_equal(cross(again, 0, "sampling_locations"), cross(trace, 0, "sampling_locations"))
    assert not np.allclose(cross(again, 0, "sampled_values"), cross(trace, 0, "sampled_values"), atol=1e-3)
    other = discrete.trace(random_photo(100, 150), sites="all")
    assert np.array_equal(again.logits, other.logits)
    assert np.array_equal(again.boxes, other.boxes)


def test_set_selection(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [edits.set_selection("one2many"), edits.set_queries(252)])
    pairs = np.argsort(-trace["query_selection.class_logits"].array.ravel(), kind="stable")[:252]
    assert np.array_equal(again.token_indices, pairs // 5)
    assert len(set(again.token_indices.tolist())) < 252
    assert (
        detector.rerun(trace, [edits.set_selection("default")]).token_indices.tolist() == trace.token_indices.tolist()
    )


def test_edits_accumulate(detector: Detector, trace: Trace) -> None:
    first, second = edits.drop_head(1, 0), edits.drop_query(4)
    third = edits.drop_point(2, 6, 0, 0, 0)
    step_by_step = detector.rerun(detector.rerun(detector.rerun(trace, [first]), [second]), [third])
    at_once = detector.rerun(trace, [first, second, third])
    assert step_by_step.same_numbers(at_once)
    assert step_by_step.meta == at_once.meta
    assert [data["kind"] for data in at_once.meta["edits"]] == ["DropHead", "DropQuery", "DropPoint"]
    assert at_once.query(5).token == trace.query(6).token
    assert cross(at_once, 2, "weights")[5, 0, 0] == 0
    assert detector.rerun(at_once, []).same_numbers(at_once)


def test_the_last_of_two_edits_of_one_setting_counts(detector: Detector, trace: Trace) -> None:
    assert detector.rerun(trace, [edits.set_layers(1), edits.set_layers(3)]).same_numbers(trace)


def test_the_trace_itself_is_not_changed(detector: Detector) -> None:
    trace = detector.trace(random_photo(100, 150))
    before = detector.trace(random_photo(100, 150))
    detector.rerun(trace, [edits.drop_query(0), edits.drop_head(0)])
    assert trace.same_numbers(before)
    assert trace.meta == before.meta
    assert trace.shapes == before.shapes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([edits.drop_point(3, 0, 0, 0, 0)], "The edit's layer is 3, but must be a whole number from 0 to 2."),
        ([edits.drop_point(0, 20, 0, 0, 0)], "The edit's query is 20, but must be a whole number from 0 to 19."),
        ([edits.drop_point(0, 0, 4, 0, 0)], "The edit's head is 4, but must be a whole number from 0 to 3."),
        ([edits.drop_point(0, 0, 0, 3, 0)], "The edit's level is 3, but must be a whole number from 0 to 2."),
        ([edits.drop_point(0, 0, 0, 0, 2)], "The edit's point is 2, but must be a whole number from 0 to 1."),
        ([edits.move_point(0, 0, 0, 1, 4, 0, 0)], "The edit's point is 4, but must be a whole number from 0 to 3."),
        ([edits.move_point(0, -1, 0, 1, 3, 0, 0)], "The edit's query is -1, but must be a whole number from 0 to 19."),
        (
            [edits.move_point(0, 0, 0, 0, 0, math.nan, 0)],
            "The edit's dx is nan, but must be a number from -100 to 100.",
        ),
        ([edits.move_point(0, 0, 0, 0, 0, 0, 1e39)], "The edit's dy is 1e+39, but must be a number from -100 to 100."),
        ([edits.drop_head(-1)], "The edit's head is -1, but must be a whole number from 0 to 3."),
        ([edits.drop_head(0, layer=5)], "The edit's layer is 5, but must be a whole number from 0 to 2."),
        ([edits.drop_level(3)], "The edit's level is 3, but must be a whole number from 0 to 2."),
        ([edits.drop_query(20)], "The edit's query is 20, but must be a whole number from 0 to 19."),
        ([edits.set_layers(4)], "The edit's num_layers is 4, but must be a whole number from 1 to 3."),
        ([edits.set_layers(0)], "The edit's num_layers is 0, but must be a whole number from 1 to 3."),
        ([edits.set_queries(0)], "The edit's num_queries is 0, but must be a whole number from 1 to 100000."),
        ([edits.set_queries(253)], "This image has 252 tokens but 253 queries are to be chosen from them;"),
        ([edits.set_sampling("nearest")], "The edit's method is 'nearest', but must be one of default, discrete."),
        ([edits.set_selection("agnostic")], "The edit's method is 'agnostic', but must be one of default, one2many."),
        ([edits.drop_query(3), edits.drop_point(0, 3, 0, 0, 0)], "Query 3 is dropped by another edit, so its points"),
        (
            [edits.set_layers(1), edits.drop_head(0, 1)],
            "The edit's layer is 1, but must be a whole number from 0 to 0.",
        ),
        ([edits.set_queries(5), edits.drop_query(5)], "The edit's query is 5, but must be a whole number from 0 to 4."),
        ([edits.drop_query(q) for q in range(20)], "These edits drop every query; keep at least one."),
        ([edits.drop_head(1.0)], "The edit's head is 1.0, but must be a whole number from 0 to 3."),  # type: ignore[arg-type]
        ([edits.drop_head("1")], "The edit's head is '1', but must be a whole number from 0 to 3."),  # type: ignore[arg-type]
        ([edits.drop_head(0, True)], "The edit's layer is True, but must be a whole number from 0 to 2."),
        ([edits.drop_point(0, 0, 0, 0, 0, "half")], "The edit's mode is 'half', but must be one of zero, renormalise."),  # type: ignore[arg-type]
        ([edits.drop_level(0, mode="half")], "The edit's mode is 'half', but must be one of zero, renormalise."),  # type: ignore[arg-type]
        ([edits.set_sampling(None)], "The edit's method is None, but must be one of default, discrete."),  # type: ignore[arg-type]
    ],
    ids=lambda value: re.sub(r"\W+", " ", str(value))[:50],
)
def test_impossible_edits_are_refused_in_one_sentence(
    detector: Detector, trace: Trace, changes: Sequence[Edit], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        detector.rerun(trace, changes)
    assert str(caught.value).startswith(message)
    assert str(caught.value).count(". ") == 0
    assert str(caught.value).endswith(".")


def test_a_trace_of_other_weights_is_refused(trace: Trace) -> None:
    other = Detector(random_model(seed=1))
    with pytest.raises(InputError, match=re.escape("This trace was made with other weights (tiny); load those, or")):
        other.rerun(trace, [])
