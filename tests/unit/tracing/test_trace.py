import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_models import TINY, random_model, random_photo

from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.postprocess import postprocess
from rtdetr_explained.tracing.trace import Captured, Trace, sigmoid, token_place


def test_attention_weights_sum_to_one(trace: Trace) -> None:
    names = ["hybrid_encoder.aifi.layers.0.self_attn.weights"]
    names += [f"decoder.layers.{i}.{kind}_attn.weights" for i in range(3) for kind in ("self", "cross")]
    for name in names:
        weights = trace[name].array
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        assert weights.min() >= 0
        assert weights.std() > 1e-3  # not uniform, or the test would see nothing


@pytest.mark.parametrize("method", ["default", "discrete"])
def test_cross_attention_can_be_rebuilt_from_what_is_drawn(method: str) -> None:
    detector = Detector(random_model(replace(TINY, cross_attn_method=method)))
    trace = detector.trace(random_photo(100, 150), sites="all")
    starts = np.cumsum([0] + [h * w for h, w in trace.map_sizes])
    level_of = [0] * 2 + [1] * 4 + [2] * 3
    for i in range(3):
        group = trace[f"decoder.layers.{i}.cross_attn"]
        value, locations, weights = (group.value.array, group.sampling_locations.array, group.weights.array)
        Q, H, P, _ = locations.shape
        rebuilt, scale = np.zeros((Q, H, value.shape[2])), abs(value).max()
        for q, m, p in np.ndindex(Q, H, P):
            h, w = trace.map_sizes[level_of[p]]
            cells = value[starts[level_of[p]] : starts[level_of[p] + 1], m].reshape(h, w, -1).astype(np.float64)
            read = read_bilinear if method == "default" else read_discrete
            sample = read(cells, *locations[q, m, p].astype(np.float64))
            np.testing.assert_allclose(group.sampled_values.array[q, m, p], sample, rtol=1e-5, atol=1e-6 * scale)
            rebuilt[q, m] += weights[q, m, p] * sample
        projection = detector.model.decoder.layers[i].get_submodule("cross_attn.output_proj")
        weight, bias = (projection.get_parameter(name).double().numpy() for name in ("weight", "bias"))
        output = rebuilt.reshape(Q, -1) @ weight.T + bias
        np.testing.assert_allclose(group.output.array, output, rtol=1e-5, atol=1e-6 * abs(output).max())


def read_bilinear(cells: np.ndarray, x: float, y: float) -> np.ndarray:
    """The four cells nearest to (x, y) in 0..1, mixed; nothing outside the map h w d."""
    h, w, d = cells.shape
    u, v = x * w - 0.5, y * h - 0.5
    total = np.zeros(d)
    for row in (math.floor(v), math.floor(v) + 1):
        for col in (math.floor(u), math.floor(u) + 1):
            if 0 <= row < h and 0 <= col < w:
                total += cells[row, col] * (1 - abs(u - col)) * (1 - abs(v - row))
    return total


def read_discrete(cells: np.ndarray, x: float, y: float) -> np.ndarray:
    """The cell trunc(x * w + 0.5), trunc(y * h + 0.5), kept inside the map h w d; in float32, as the model rounds."""
    h, w, _ = cells.shape
    row, col = (int(np.float32(z) * np.float32(n) + np.float32(0.5)) for z, n in ((y, h), (x, w)))
    return cells[min(max(row, 0), h - 1), min(max(col, 0), w - 1)]


def test_locations_come_from_reference_box_and_offset(trace: Trace) -> None:
    for i in range(3):
        layer = trace[f"decoder.layers.{i}"]
        box = layer.reference_boxes.array[:, None, None]
        scale = np.array([1 / 2] * 2 + [1 / 4] * 4 + [1 / 3] * 3)[:, None]
        expected = box[..., :2] + layer.cross_attn.offsets.array * scale * box[..., 2:] * 0.5
        np.testing.assert_allclose(layer.cross_attn.sampling_locations.array, expected, atol=1e-5)


def test_a_layer_starts_where_the_one_before_ended(trace: Trace) -> None:
    assert np.array_equal(
        trace["decoder.layers.0.reference_boxes"].array, trace["query_selection.reference_boxes"].array
    )
    for i in (1, 2):
        before, now = trace[f"decoder.layers.{i - 1}.boxes"], trace[f"decoder.layers.{i}.reference_boxes"]
        assert np.array_equal(before.array, now.array)
    assert np.array_equal(trace["decoder.layers.2.boxes"].array, trace.boxes)


def test_selection_agrees_with_the_scores(trace: Trace) -> None:
    scores = trace["query_selection.scores"].array
    assert np.array_equal(scores, trace["query_selection.class_logits"].array.max(1))
    assert np.array_equal(np.sort(scores[trace.token_indices])[::-1], np.sort(scores)[::-1][:20])


def test_a_captured_site_knows_what_it_is(trace: Trace) -> None:
    weights = trace["decoder.layers.1.cross_attn.weights"]
    assert isinstance(weights, Captured)
    assert weights.axes == ("query", "head", "point")
    assert weights.shape == (20, 4, 9)
    assert weights.unit == "weight, sums to 1 per head"
    assert weights.stage == "deformable_attention"
    assert weights.nbytes == 20 * 4 * 9 * 4
    assert weights.dtype == np.float32
    assert "sampling point counts" in weights.doc
    assert repr(weights).startswith("Captured(decoder.layers.1.cross_attn.weights: query=20, head=4, point=9; float32")
    assert np.asarray(weights) is weights.array
    assert np.array_equal(np.asarray(weights, dtype=np.float64), weights.array.astype(np.float64))


def test_arrays_are_read_only(trace: Trace) -> None:
    for name in trace:
        assert not trace[name].array.flags.writeable
    assert not trace.derived.layer_logits.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        trace.logits[0, 0] = 1
    with pytest.raises(AttributeError):
        trace.meta = {}  # type: ignore[misc]


def test_groups_give_their_sites_as_attributes(trace: Trace) -> None:
    group = trace["decoder.layers.2.cross_attn"]
    assert np.array_equal(group.weights.array, trace["decoder.layers.2.cross_attn.weights"].array)
    assert dir(group) == ["offsets", "output", "sampled_values", "sampling_locations", "value", "weights"]
    assert np.array_equal(trace["decoder.layers.2"].cross_attn.weights.array, group.weights.array)
    assert repr(trace["query_selection"]).startswith("query_selection: anchors, class_logits, content")
    assert "decoder.layers.2.cross_attn" not in trace
    assert "decoder.layers.2.cross_attn.weights" in trace
    with pytest.raises(AttributeError, match=r"There is no site 'decoder.layers.2.cross_attn.weight'. Close matches:"):
        _ = group.weight


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("decoder.layers.2.cross_attn.weight", "decoder.layers.2.cross_attn.weights"),
        ("backbone.S3", "backbone.s3"),
        ("query_selection.topk", "query_selection.topk_indices"),
        ("decoder.layers.7.boxes", "decoder.layers.2.boxes"),
    ],
)
def test_an_unknown_site_names_close_matches(trace: Trace, wrong: str, right: str) -> None:
    with pytest.raises(KeyError) as caught:
        trace[wrong]
    message = caught.value.args[0]
    assert message.startswith(f"There is no site {wrong!r}. Close matches: ")
    assert right in message
    assert wrong not in trace


def test_a_site_that_was_not_kept_says_how_to_get_it(detector: Detector) -> None:
    few = detector.trace(random_photo(100, 150))
    name = "decoder.layers.1.cross_attn.sampled_values"
    assert name not in few
    with pytest.raises(KeyError, match=f"The values of '{name}' were not kept; trace again with sites='{name}' or"):
        few[name]
    with pytest.raises(AttributeError, match="were not kept"):
        _ = few["decoder.layers.1.cross_attn"].sampled_values
    assert name in detector.trace(random_photo(100, 150), sites=name)


def test_half_precision_sites_are_close_to_the_exact_ones(detector: Detector, trace: Trace) -> None:
    figures = detector.trace(random_photo(100, 150), sites="figures")
    halves = [name for name in figures if figures[name].dtype == np.float16]
    assert "backbone.s3" in halves
    assert "decoder.layers.0.self_attn.weights" in halves
    for name in figures:
        exact = trace[name].array
        if name in halves:
            np.testing.assert_allclose(figures[name].array, exact, rtol=1e-3, atol=1e-5)
        else:
            assert np.array_equal(figures[name].array, exact)


def test_sites_are_listed_in_the_order_of_the_forward_pass(trace: Trace) -> None:
    names = [info.name for info in trace.sites()]
    order = [
        "backbone.stem_map",
        "backbone.s5",
        "hybrid_encoder.p3",
        "hybrid_encoder.aifi.output",
        "hybrid_encoder.ccff.t5",
        "hybrid_encoder.ccff.n5",
        "query_selection.memory",
        "query_selection.topk_indices",
        "decoder.layers.0.reference_boxes",
        "decoder.layers.2.boxes",
        "decoder.logits",
    ]
    assert [name for name in names if name in order] == order
    assert [info.name for info in trace.sites("backbone.s?")] == [f"backbone.s{i}" for i in (2, 3, 4, 5)]
    assert list(trace) == names  # all of them were kept


def test_shapes_of_every_module_output_are_recorded_with_the_batch(detector: Detector, trace: Trace) -> None:
    few = detector.trace(random_photo(100, 150), sites=[])
    assert few.shapes == trace.shapes
    assert trace.shapes["backbone.stem.0.conv"] == (1, 4, 48, 64)
    assert trace.shapes["backbone[2]"] == (1, 64, 3, 4)
    assert trace.shapes["hybrid_encoder.ccff.pan_blocks.1"] == (1, 32, 3, 4)
    assert trace.shapes["decoder.layers.1.cross_attn.sampling_offsets"] == (1, 20, 72)
    assert trace.shapes["decoder.query_pos_head@layer2"] == (1, 20, 24)
    called = {name.split("@")[0].split("[")[0] for name in trace.shapes}
    resting = {"decoder.score_heads.0", "decoder.score_heads.1"}  # at inference only the last layer is classified
    for name, module in detector.model.named_modules():
        if (
            name
            and not list(module.children())
            and not name.startswith("denoising")
            and trace.site_infos.get(name) is None
        ):
            assert (name in called) == (name not in resting), name


def test_times_are_told_for_each_stage(trace: Trace) -> None:
    stages = ["backbone", "aifi", "ccff", "query_selection", "decoder", "deformable_attention"]
    assert sorted(trace.times_ms) == sorted(stages)
    assert all(0 < ms < 60_000 for ms in trace.times_ms.values())


def test_basic_facts(detector: Detector, trace: Trace) -> None:
    assert trace.image_size == (150, 100)
    assert trace.input_size == (96, 128)
    assert trace.map_sizes == [(12, 16), (6, 8), (3, 4)]
    assert trace.num_layers == 3
    assert trace.class_names == TINY.class_names
    assert trace.logits.shape == (20, 5)
    assert trace.boxes.shape == (20, 4)
    assert trace.token_indices.shape == (20,)
    assert trace.photo.size == (150, 100)
    assert trace.photo.mode == "RGB"
    assert trace.photo is trace.photo  # decoded once
    difference = np.asarray(trace.photo).astype(int) - random_photo(100, 150)
    assert np.abs(difference).mean() < 8
    assert trace.meta["model"] == "tiny"
    assert trace.meta["weights_hash"] == detector.weights_hash
    assert trace.meta["config"]["num_points"] == [2, 4, 3]
    assert trace.meta["edits"] == []
    assert trace.meta["seed"] is None


def test_a_large_photo_is_kept_smaller_but_its_size_is_remembered(detector: Detector) -> None:
    trace = detector.trace(random_photo(700, 1600), sites=[])
    assert trace.image_size == (1600, 700)
    assert trace.photo.size == (1280, 560)


def test_scores_and_labels_are_those_of_the_logits(trace: Trace) -> None:
    probability = 1 / (1 + np.exp(-trace.logits.astype(np.float64)))
    np.testing.assert_allclose(trace.scores, probability.max(1), atol=1e-6)
    assert np.array_equal(trace.labels, probability.argmax(1))
    assert len(set(trace.labels.tolist())) > 1


def test_derived_scores_use_each_layers_own_head(detector: Detector, trace: Trace) -> None:
    derived = trace.derived
    assert derived.layer_logits.shape == (3, 20, 5)
    np.testing.assert_allclose(derived.layer_logits[-1], trace.logits, atol=1e-5)
    for i in range(3):
        head = detector.model.decoder.score_heads[i]
        output = torch.from_numpy(trace[f"decoder.layers.{i}.output"].array.copy())
        np.testing.assert_allclose(derived.layer_logits[i], head(output).numpy(), atol=1e-5)
    np.testing.assert_allclose(derived.layer_scores, 1 / (1 + np.exp(-derived.layer_logits)), atol=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.99])
def test_detections_are_those_of_post_processing(trace: Trace, threshold: float) -> None:
    outputs = {"pred_logits": torch.tensor(trace.logits)[None], "pred_boxes": torch.tensor(trace.boxes)[None]}
    (expected,) = postprocess(outputs, [(150, 100)])
    count = int((expected["scores"] > threshold).sum())
    found = trace.detections(threshold)
    assert [(d.query, d.label) for d in found] == [
        (int(q), int(c)) for q, c in zip(expected["queries"][:count], expected["labels"][:count], strict=True)
    ]
    for i, detection in enumerate(found):
        assert detection.score == pytest.approx(float(expected["scores"][i]), abs=1e-6)
        assert detection.box_px == pytest.approx(expected["boxes_px"][i].tolist(), abs=1e-3)
        assert detection.name == TINY.class_names[detection.label]
    if threshold == 0.0:
        assert len(found) == 20
        assert len({d.query for d in found}) < 20  # one query may give several labels


def test_a_query_is_followed_through_all_layers(trace: Trace) -> None:
    for i in (0, 7, 19):
        query = trace.query(i)
        assert (query.index, query.token) == (i, trace.token_indices[i])
        h, w = trace.map_sizes[query.level]
        start = sum(a * b for a, b in trace.map_sizes[: query.level])
        assert start + query.row * w + query.col == query.token
        side = 0.05 * 2**query.level
        np.testing.assert_allclose(query.anchor, [(query.col + 0.5) / w, (query.row + 0.5) / h, side, side], atol=1e-6)
        assert query.reference_boxes.shape == (4, 4)
        assert np.array_equal(query.reference_boxes[0], trace["query_selection.reference_boxes"].array[i])
        assert np.array_equal(query.reference_boxes[2], trace["decoder.layers.1.boxes"].array[i])
        assert np.array_equal(query.box, trace.boxes[i])
        assert np.array_equal(query.layer_scores, trace.derived.layer_scores[:, i])
        assert query.label == trace.logits[i].argmax()
        assert query.score == trace.scores[i]


@pytest.mark.parametrize("index", [-1, 20, 300])
def test_a_query_that_does_not_exist_is_refused(trace: Trace, index: int) -> None:
    with pytest.raises(InputError, match=f"There is no query {index}; this trace has queries 0 to 19."):
        trace.query(index)


def test_anchor_of_an_invalid_token_is_all_ones(detector: Detector) -> None:
    trace = detector.trace(random_photo(20, 160), sites=[], size=(64, 512))
    invalid = np.flatnonzero(~trace["query_selection.valid_mask"].array)
    assert invalid.tolist() == [row * 64 + col for row in range(8) for col in (0, 63)]
    assert (sigmoid(trace["query_selection.anchors"].array[invalid]) == 1).all()


@pytest.mark.parametrize(
    ("token", "place"), [(0, (0, 0, 0)), (17, (0, 1, 1)), (191, (0, 11, 15)), (192, (1, 0, 0)), (251, (2, 2, 3))]
)
def test_place_of_a_token(token: int, place: tuple[int, int, int]) -> None:
    assert token_place(token, [(12, 16), (6, 8), (3, 4)]) == place


def test_a_token_beyond_the_last_map_is_refused() -> None:
    with pytest.raises(InputError, match="There is no such token"):
        token_place(252, [(12, 16), (6, 8), (3, 4)])


def test_sigmoid_neither_overflows_nor_loses_the_ends() -> None:
    x = np.array([-np.inf, -1000, -5, 0, 5, 1000, np.inf], dtype=np.float32)
    np.testing.assert_allclose(sigmoid(x), [0, 0, 0.0066928509, 0.5, 0.9933071491, 1, 1], atol=1e-7)


def test_same_numbers_sees_one_changed_bit(trace: Trace) -> None:
    assert trace.same_numbers(trace)
    nudged = trace.boxes.copy()
    nudged[3, 1] = np.nextafter(nudged[3, 1], np.float32(2))
    assert not trace.same_numbers(replace(trace, values=trace.values | {"decoder.boxes": nudged}))
    fewer = {name: array for name, array in trace.values.items() if name != "backbone.s3"}
    assert not trace.same_numbers(replace(trace, values=fewer))
    assert not trace.same_numbers(replace(trace, derived_values={"layer_logits": trace.derived.layer_logits * 2}))


def test_a_query_beside_denoising_queries_is_the_matching_one(detector: Detector, trace: Trace) -> None:
    """The decoder's rows are those of the M denoising queries, then those of the Q matching ones."""
    noised = detector.trace_denoising(trace, np.array([[0.5, 0.5, 0.2, 0.4]], np.float32), np.array([1]))
    M, Q = noised.meta["denoising"]["num_denoising"], len(noised.logits)
    assert M > 0
    for index in (0, 3, Q - 1):
        way = noised.query(index)
        for layer in range(noised.num_layers):
            boxes = noised[f"decoder.layers.{layer}.boxes"].array
            assert len(boxes) == M + Q
            np.testing.assert_array_equal(way.reference_boxes[layer + 1], boxes[M + index])
            np.testing.assert_array_equal(way.layer_scores[layer], noised.derived.layer_scores[layer, M + index])
        np.testing.assert_allclose(way.reference_boxes, trace.query(index).reference_boxes, atol=1e-5)
