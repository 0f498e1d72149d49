import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from random_models import TINY, random_model, random_photo, watch

from rtdetr_explained.data.images import to_model_input
from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.detector import Detector, stage_times
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.trace import Trace

OBJECTS = np.array([[0.5, 0.5, 0.2, 0.3], [0.3, 0.6, 0.2, 0.2], [0.7, 0.3, 0.3, 0.4]], dtype=np.float32)
LABELS = np.array([2, 0, 4])


@pytest.fixture(scope="module")
def denoised(detector: Detector, trace: Trace) -> Trace:
    return detector.trace_denoising(trace, OBJECTS, LABELS, seed=3)


def test_times_are_not_those_of_a_cold_pass() -> None:
    fresh, passes = Detector(random_model()), []
    fresh.model.register_forward_pre_hook(lambda module, inputs: passes.append(tuple(inputs[0].shape[2:])))
    photo = random_photo(40, 60)
    for size in ((96, 128), (96, 128), (64, 64)):
        fresh.trace(photo, sites=[], size=size)
    assert passes == [(96, 128)] * 3 + [(64, 64)] * 2  # one more pass for every size, before the first that is timed


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.5])
def test_detect_finds_what_the_trace_finds(detector: Detector, trace: Trace, threshold: float) -> None:
    found, traced = detector.detect(random_photo(100, 150), threshold), trace.detections(threshold)
    assert [(d.query, d.label, d.name) for d in found] == [(d.query, d.label, d.name) for d in traced]
    for one, other in zip(found, traced, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-6)
        assert one.box_px == pytest.approx(other.box_px, abs=1e-3)
    assert found


def test_every_kind_of_image_gives_the_same_trace(detector: Detector, trace: Trace, tmp_path: Path) -> None:
    photo = random_photo(100, 150)
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    for source in (path, str(path), path.read_bytes(), Image.fromarray(photo)):
        again = detector.trace(source, sites="all")
        assert again.same_numbers(trace)
        assert again.meta == trace.meta


def test_the_network_sees_the_resized_photo_between_0_and_1(detector: Detector) -> None:
    photo = Image.fromarray(random_photo(100, 150))
    pixels = detector.to_input(photo, (96, 128))
    assert pixels.shape == (1, 3, 96, 128)
    expected = to_model_input(photo, (96, 128)).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_allclose(pixels[0].numpy(), expected, atol=1e-7)
    assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_deploy_changes_the_speed_and_not_the_outputs(detector: Detector, trace: Trace) -> None:
    plain = Detector(random_model(), deploy=False)
    other = plain.trace(random_photo(100, 150), sites="all")
    assert "norm" in dict(plain.model.backbone.stem[0].named_children())
    rows = {int(token): i for i, token in enumerate(trace.token_indices)}
    common = [token for token in other.token_indices.tolist() if token in rows]
    assert len(common) >= 19
    ours, theirs = [rows[t] for t in common], [other.token_indices.tolist().index(t) for t in common]
    np.testing.assert_allclose(other.logits[theirs], trace.logits[ours], atol=1e-3)
    assert other.meta["weights_hash"] == trace.meta["weights_hash"]


def test_the_model_is_copied() -> None:
    model = random_model()
    detector = Detector(model, deploy=False)
    before = detector.trace(random_photo(100, 150))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert detector.trace(random_photo(100, 150)).same_numbers(before)


def test_names() -> None:
    detector = Detector(random_model(), name="mine")
    assert detector.name == "mine"
    assert detector.class_names == TINY.class_names
    assert detector.trace(random_photo(50, 50), sites=[]).meta["model"] == "mine"
    assert Detector(random_model()).name == "tiny"


@pytest.mark.parametrize("size", [(100, 128), (96, 130), (0, 32), (-32, 32)])
def test_a_size_that_is_no_multiple_of_32_is_refused(detector: Detector, size: tuple[int, int]) -> None:
    message = f"The input size is {size[0]} x {size[1]}; both sides must be multiples of 32."
    with pytest.raises(InputError, match=re.escape(message)):
        detector.trace(random_photo(50, 50), size=size)


def test_an_image_with_too_few_tokens_is_refused() -> None:
    detector = Detector(random_model(replace(TINY, num_queries=100)))
    with pytest.raises(InputError, match="This image has 84 tokens but 100 queries are to be chosen from them; use a"):
        detector.trace(random_photo(50, 50), size=(64, 64))


def test_what_is_no_image_is_refused(detector: Detector) -> None:
    with pytest.raises(InputError, match="is not a JPEG, PNG, WebP or BMP image"):
        detector.trace(b"no image at all")
    with pytest.raises(InputError, match="is not a JPEG, PNG, WebP or BMP image"):
        detector.detect(b"no image at all")


def test_an_unknown_site_is_refused_before_the_model_runs(detector: Detector) -> None:
    seen, handle = watch(detector.model)
    with pytest.raises(KeyError, match=r"There is no site 'backbone\.s6'. Close matches: backbone\.s5"):
        detector.trace(random_photo(50, 50), sites="backbone.s6")
    handle.remove()
    assert not seen


@pytest.mark.parametrize(
    ("sites", "kept", "left"),
    [
        ("all", "decoder.layers.0.cross_attn.sampled_values", None),
        ("figures", "backbone.s4", "backbone.s2"),
        ("backbone.*", "backbone.s2", "hybrid_encoder.p5"),
        ("decoder.layers.1.query_pos", "decoder.layers.1.query_pos", "decoder.layers.0.query_pos"),
        (["figures", "backbone.s2"], "backbone.s2", "backbone.stem_map"),
        ((pattern for pattern in ["backbone.s2", "*.query_pos"]), "decoder.layers.2.query_pos", "backbone.s3"),
    ],
    ids=["all", "figures", "glob", "name", "list", "generator"],
)
def test_sites_that_are_kept(detector: Detector, sites, kept: str, left: str | None) -> None:
    trace = detector.trace(random_photo(50, 50), sites=sites)
    assert kept in trace
    assert left is None or left not in trace
    assert "decoder.boxes" in trace  # what a trace cannot do without is always there
    assert detector.rerun(trace, []).same_numbers(trace)
    json.dumps(trace.meta)


def test_a_trace_of_r18_at_640_stays_under_25_megabytes_and_can_be_run_again() -> None:
    detector = Detector(random_model(CONFIGS["rtdetrv2_r18vd"]))
    scene = generate_scene(0, SceneConfig(size=(960, 1280)))
    trace = detector.trace(scene.image)
    assert trace.photo.size == (1280, 960)
    arrays = sum(trace[name].nbytes for name in trace) + trace.derived.layer_logits.nbytes
    assert trace.nbytes == arrays + len(trace.photo_jpeg)
    assert 20e6 < trace.nbytes < 25e6
    assert trace["hybrid_encoder.ccff.n3"].shape == (256, 80, 80)
    assert trace["decoder.layers.2.cross_attn.sampling_locations"].shape == (300, 8, 12, 2)
    assert trace["query_selection.valid_mask"].array.sum() == 8084
    assert detector.rerun(trace, []).same_numbers(trace)


def test_denoising_queries_come_before_the_matching_ones(denoised: Trace, trace: Trace) -> None:
    facts = denoised.meta["denoising"]
    positive = [6 * group + i for group in range(3) for i in range(3)]  # ten are wanted: three groups of three pairs
    assert (facts["num_groups"], facts["group_size"], facts["num_denoising"]) == (3, 3, 18)
    assert facts["positive"] == positive
    assert facts["targets"]["labels"] == [2, 0, 4]
    np.testing.assert_allclose(facts["targets"]["boxes"], OBJECTS)
    assert denoised.meta["seed"] == 3
    assert denoised["denoising.labels"].shape == (18,)
    assert denoised["denoising.noised_boxes"].axes == ("denoising", "cxcywh")
    mask = denoised["denoising.attention_mask"]
    assert (mask.axes, mask.shape) == (("query", "query_attended"), (38, 38))
    assert mask.array[18:, :18].all()
    assert not mask.array[18:, 18:].any()
    for i in range(3):
        assert denoised[f"decoder.layers.{i}.boxes"].shape == (38, 4)
        weights = denoised[f"decoder.layers.{i}.self_attn.weights"].array
        assert not weights[:, mask.array].any()
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    assert denoised.derived.layer_scores.shape == (3, 38, 5)
    np.testing.assert_allclose(
        denoised["decoder.layers.0.reference_boxes"].array[:18],
        denoised["denoising.noised_boxes"].array.clip(1e-5, 1 - 1e-5),
        atol=1e-5,
    )


def test_matching_queries_of_a_denoising_trace_find_what_they_found(denoised: Trace, trace: Trace) -> None:
    np.testing.assert_allclose(denoised.logits, trace.logits, atol=1e-4)
    np.testing.assert_allclose(denoised.boxes, trace.boxes, atol=1e-5)
    for i in (0, 19):
        mine, theirs = denoised.query(i), trace.query(i)
        assert (mine.token, mine.label, mine.level) == (theirs.token, theirs.label, theirs.level)
        np.testing.assert_allclose(mine.reference_boxes, theirs.reference_boxes, atol=1e-5)
        np.testing.assert_allclose(mine.layer_scores, theirs.layer_scores, atol=1e-5)
    assert len(denoised.detections(0.0)) == 20


def test_a_selection_from_a_trace_says_nothing_of_the_encoders_own_prediction(
    detector: Detector, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, predict = {}, detector.model.predict
    monkeypatch.setattr(detector.model, "predict", lambda *args, **kw: outputs.update(predict(*args, **kw)) or outputs)
    detector.trace_denoising(trace, OBJECTS, LABELS)
    assert len(outputs["aux_outputs"]) == trace.num_layers - 1
    assert "enc_aux_outputs" not in outputs  # those of the decoder, once


def test_noise_follows_the_seed(detector: Detector, denoised: Trace, trace: Trace) -> None:
    assert detector.trace_denoising(trace, OBJECTS, LABELS, seed=3).same_numbers(denoised)
    other = detector.trace_denoising(trace, OBJECTS, LABELS, seed=4)
    assert not np.array_equal(other["denoising.noised_boxes"].array, denoised["denoising.noised_boxes"].array)


def test_denoising_starts_from_the_edited_selection_and_drops_edits_of_the_decoder(
    detector: Detector, trace: Trace
) -> None:
    edited = detector.rerun(trace, [edits.drop_query(4), edits.drop_head(1)])
    denoised = detector.trace_denoising(edited, OBJECTS, LABELS)
    assert [data["kind"] for data in denoised.meta["edits"]] == ["DropQuery"]
    assert denoised.logits.shape == (19, 5)
    assert denoised["decoder.layers.0.cross_attn.weights"].array[:, 1].any()


def test_a_denoising_trace_is_not_run_again(detector: Detector, denoised: Trace) -> None:
    with pytest.raises(InputError, match="A trace with denoising queries cannot be run again"):
        detector.rerun(denoised, [])


@pytest.mark.parametrize(
    ("boxes", "labels", "message"),
    [
        ([], [], "Denoising needs boxes (n, 4) and n labels of at least one object, not boxes (0,) and 0 labels."),
        (
            OBJECTS,
            [1],
            "Denoising needs boxes (n, 4) and n labels of at least one object, not boxes (3, 4) and 1 labels.",
        ),
        (OBJECTS[:, :3], LABELS, "Denoising needs boxes (n, 4) and n labels of at least one object, not boxes (3, 3)"),
        (OBJECTS, [0, 1, 5], "Labels must lie between 0 and 4, the classes of tiny."),
        (OBJECTS, [0, -1, 3], "Labels must lie between 0 and 4, the classes of tiny."),
        (
            OBJECTS * 2,
            LABELS,
            "Boxes must be given as centre, width and height between 0 and 1, in parts of the image.",
        ),
        (OBJECTS * np.nan, LABELS, "Boxes must be given as centre, width and height between 0 and 1"),
        (np.tile(OBJECTS, (4, 1)), np.tile(LABELS, 4), "12 objects are too many; give at most 10."),
    ],
    ids=range(8),
)
def test_objects_that_do_not_fit_are_refused(detector: Detector, trace: Trace, boxes, labels, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        detector.trace_denoising(trace, boxes, labels)


def test_denoising_on_a_trace_of_other_weights_is_refused(trace: Trace) -> None:
    with pytest.raises(InputError, match="This trace was made with other weights"):
        Detector(random_model(seed=1)).trace_denoising(trace, OBJECTS, LABELS)


@pytest.mark.gpu
def test_a_trace_on_the_gpu_agrees_and_can_be_run_again(trace: Trace) -> None:
    detector = Detector(random_model(), device="cuda")
    on_gpu = detector.trace(random_photo(100, 150), sites="all")
    for name in ("backbone.s5", "hybrid_encoder.aifi.output", "query_selection.class_logits"):
        scale = np.abs(trace[name].array).max()
        np.testing.assert_allclose(on_gpu[name].array, trace[name].array, atol=0.01 * scale)
    assert on_gpu.logits.dtype == np.float32
    np.testing.assert_allclose(detector.rerun(on_gpu, []).logits, on_gpu.logits, atol=1e-3)


def test_every_millisecond_counts_for_one_stage() -> None:
    """Modules lie in one another: fusion and projections in the hybrid encoder, deformable attention in the decoder."""
    ms = {
        "backbone": 40.0,
        "hybrid_encoder": 30.0,
        "hybrid_encoder.input_proj.0": 2.0,  # of P3 and P4, which only the fusion reads
        "hybrid_encoder.input_proj.1": 1.0,
        "hybrid_encoder.ccff": 15.0,
        "query_selection": 5.0,
        "decoder": 25.0,
        "decoder.layers.0.cross_attn": 4.0,
        "decoder.layers.1.cross_attn": 6.0,
    }
    whole = {"backbone": 40.0, "aifi": 12.0, "ccff": 18.0, "query_selection": 5.0, "decoder": 15.0}
    assert stage_times(ms) == whole | {"deformable_attention": 10.0}
    assert sum(stage_times(ms).values()) == 40 + 30 + 5 + 25
    later = {name: time for name, time in ms.items() if name.startswith("decoder")}  # of a re-run
    assert stage_times(later) == {"decoder": 15.0, "deformable_attention": 10.0}
