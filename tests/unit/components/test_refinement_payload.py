"""What the moving figure of the decoder is sent: one object of bytes, read back here as the browser reads it."""

import io

import numpy as np
import pytest
from payloads import unpack
from PIL import Image

from app.components.refinement.payload import pack
from rtdetr_explained import edits
from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.decoder import view as decoder
from rtdetr_explained.illustrations.decoder.duplicates import ending_together
from rtdetr_explained.illustrations.decoder.trajectory import moves_px, step_boxes, step_scores, trajectory
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


def test_it_holds_every_box_and_score_of_every_step(trace: Trace) -> None:
    header, sections = unpack(pack(choose(trace, query=4)))
    boxes = np.frombuffer(sections["boxes"], "<f4").reshape(4, 20, 4)
    np.testing.assert_allclose(boxes, cxcywh_to_xyxy_px(step_boxes(choose(trace)), (150, 100)), rtol=1e-5)
    scores = np.frombuffer(sections["scores"], "<f4").reshape(4, 20)
    np.testing.assert_array_equal(scores, step_scores(choose(trace)))
    assert (header["layers"], header["queries"], header["size"]) == (3, 20, [150, 100])
    assert header["derived"] == [False, True, True, False]
    assert [header["names"][label] for label in header["labels"]] == [trace.class_names[i] for i in trace.labels]
    photo = Image.open(io.BytesIO(sections["photo"]))
    assert photo.format == "JPEG"
    assert photo.width / photo.height == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize(("head", "words"), [(None, "mean of 4 heads"), (2, "head 2")])
def test_attention_is_that_of_the_selected_query_in_every_layer(trace: Trace, head: int | None, words: str) -> None:
    header, sections = unpack(pack(choose(trace, query=4, head=head)))
    attention = np.frombuffer(sections["attention"], "<f4").reshape(3, 20)
    for layer in range(3):
        np.testing.assert_array_equal(
            attention[layer], decoder.view(choose(trace, query=4, layer=layer, head=head)).attention
        )
    assert header["heads"] == words


def test_moves_are_told_in_the_unit_that_is_asked_for(trace: Trace) -> None:
    header, _ = unpack(pack(choose(trace, query=4, unit="image")))
    assert header["unit"] == "image"
    moves = np.diff(step_boxes(choose(trace))[:, 4, :2].astype(float), axis=0)
    np.testing.assert_allclose(header["chosen"][0]["moved"], np.hypot(*moves.T), atol=1e-5)


def test_the_chosen_queries_are_described(trace: Trace) -> None:
    header, _ = unpack(pack(choose(trace, query=4, compare=7, layer=1, threshold=0.25)))
    assert (header["query"], header["compare"], header["step"], header["threshold"]) == (4, 7, 2, 0.25)
    assert [who["query"] for who in header["chosen"]] == [4, 7]
    path = trajectory(choose(trace, query=7))
    np.testing.assert_allclose(header["chosen"][1]["moved"], moves_px(choose(trace))[:, 7], atol=1e-4)
    np.testing.assert_allclose(header["chosen"][1]["growth"], path.growth, atol=6e-5)
    assert header["chosen"][1]["bestNames"] == list(path.best_names)
    alone, _ = unpack(pack(choose(trace, query=4)))
    assert alone["compare"] is None
    assert alone["step"] == 3
    assert len(alone["chosen"]) == 1


def test_the_queries_on_the_same_object_are_named(trace: Trace) -> None:
    for query in range(20):
        header, _ = unpack(pack(choose(trace, query=query)))
        assert set(header["duplicates"]) == set(ending_together(trace, query)[0].tolist()) - {query}


def test_one_layer_and_one_query_are_enough(detector: Detector, trace: Trace) -> None:
    header, sections = unpack(pack(choose(detector.rerun(trace, [edits.set_queries(1), edits.set_layers(1)]))))
    assert (header["layers"], header["queries"], header["duplicates"]) == (1, 1, [])
    assert len(sections["boxes"]) == 2 * 4 * 4
