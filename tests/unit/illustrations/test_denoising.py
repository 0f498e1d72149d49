"""The figure of denoising: noised boxes, what the decoder makes of them, and the attention mask."""

import colorsys
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.colors import ALLOWED, BLOCKED, Theme, resolve
from rtdetr_explained.drawing.marks import Drawing, Heat, Text
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.denoising import DenoisingView, picture, view
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid


def viewed(noised: Trace, group: int = 0) -> DenoisingView:
    return view(choose(noised, group=group))


def drawn(noised: Trace, group: int = 0) -> Drawing:
    return picture(viewed(noised, group)).drawing


@pytest.mark.parametrize("group", [0, 2])
def test_a_group_holds_positives_then_negatives(noised: Trace, group: int) -> None:
    view = viewed(noised, group)
    start = noised["decoder.layers.0.reference_boxes"].array
    np.testing.assert_array_equal(view.positive, start[6 * group : 6 * group + 3])
    np.testing.assert_array_equal(view.negative, start[6 * group + 3 : 6 * group + 6])
    np.testing.assert_array_equal(view.repaired, noised["decoder.layers.2.boxes"].array[6 * group : 6 * group + 3])
    np.testing.assert_array_equal(view.targets, np.float32(noised.meta["denoising"]["targets"]["boxes"]))
    assert set(range(6 * group, 6 * group + 3)) <= set(noised.meta["denoising"]["positive"])


def test_noise_is_small_for_positives_and_large_for_negatives(noised: Trace) -> None:
    view = viewed(noised)
    corners = [cxcywh_to_xyxy_px(boxes, (1, 1)) for boxes in (view.targets, view.positive, view.negative)]
    reach = np.tile(view.targets[:, 2:] / 2, 2)
    assert (np.abs(corners[1] - corners[0]) <= reach * 1.001).all()
    # A negative corner moves by more than half the box, unless the border of the image or its opposite stops it.
    assert (np.abs(corners[2] - corners[0]) > np.abs(corners[1] - corners[0])).mean() > 0.5


def test_scores_belong_to_the_last_layer(noised: Trace) -> None:
    view = viewed(noised, 1)
    labels = noised.meta["denoising"]["targets"]["labels"]
    scores = sigmoid(noised.derived.layer_logits[-1])
    np.testing.assert_allclose(view.positive_scores, scores[[6, 7, 8], labels])
    np.testing.assert_allclose(view.negative_scores, scores[9:12].max(1))
    given = noised["denoising.labels"].array[6:9]
    assert view.given_names == tuple(noised.class_names[label] for label in given)
    assert view.names == tuple(noised.class_names[label] for label in labels)


def test_overlap_is_counted_in_pixels(noised: Trace) -> None:
    """The boxes painted on a fine grid give the same overlap."""
    view = viewed(noised)
    side = 2000
    y, x = np.indices((side, side)) / side + 0.5 / side

    def painted(box: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = cxcywh_to_xyxy_px(box, (1, 1))
        return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)

    for i in range(3):
        ours, truth = painted(view.positive[i]), painted(view.targets[i])
        expected = (ours & truth).sum() / (ours | truth).sum()
        assert view.iou_before[i] == pytest.approx(expected, abs=0.01)


def test_boxes_and_scores_are_drawn_as_they_are(noised: Trace) -> None:
    view = viewed(noised, 1)
    drawing = picture(view).drawing
    np.testing.assert_allclose(drawing.named("IoU before").x, view.iou_before)
    np.testing.assert_allclose(drawing.named("IoU after").x, view.iou_after)
    np.testing.assert_allclose(drawing.named("positive, true class").x, view.positive_scores)
    np.testing.assert_allclose(drawing.named("negative, best class").x, view.negative_scores)
    for name, boxes in (
        ("true box", view.targets),
        ("positive", view.positive),
        ("negative", view.negative),
        ("repaired", view.repaired),
    ):
        outlines = np.stack([drawing.named(name).x, drawing.named(name).y], axis=1).reshape(3, 6, 2)
        corners = cxcywh_to_xyxy_px(boxes, noised.image_size)
        np.testing.assert_allclose(outlines[:, 0], corners[:, :2], rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(outlines[:, 2], corners[:, 2:], rtol=1e-5, atol=1e-3)


def test_the_mask_is_the_one_of_the_model(noised: Trace) -> None:
    (mask,) = drawn(noised).of(Heat)
    np.testing.assert_array_equal(mask.values.astype(bool), noised["denoising.attention_mask"].array)
    assert mask.values.shape == (18 + 20, 18 + 20)


def test_words_on_the_mask_say_what_it_holds_there(noised: Trace) -> None:
    view = viewed(noised)
    panel = picture(view).drawing.panels[-1]
    said = [mark for mark in panel.marks if isinstance(mark, Text)]
    blocked = {mark.text: bool(view.blocked[int(mark.y), int(mark.x)]) for mark in said}
    assert [value for text, value in blocked.items() if "blocked" in text] == [True]
    assert [value for text, value in blocked.items() if "see" in text] == [False, False]
    for mark in said:  # rows look, columns are looked at; the denoising queries come first
        looking, looked_at = (place > view.num_denoising for place in (mark.y, mark.x))
        assert looking == mark.text.startswith(("matching", "blocked"))
        assert looked_at == ("matching" in mark.text or "other" in mark.text)
    (heat,) = (mark for mark in panel.marks if isinstance(mark, Heat))
    assert (heat.low, heat.high, heat.scale) == (0, 1, (ALLOWED, BLOCKED))  # blocked pairs hold one
    for theme in get_args(Theme):
        light, dark = (sum(bytes.fromhex(resolve(name, theme)[1:])) for name in (ALLOWED, BLOCKED))
        assert dark < light
    assert panel.subtitle == "dark: blocked"


def test_colours_are_called_by_their_names(noised: Trace) -> None:
    drawing = drawn(noised)
    told = [pair.split(": ") for panel in drawing.panels[:2] for pair in panel.subtitle.split(", ")]
    names = {"true": "true box"}
    assert {kind for _, kind in told} == {"positive", "negative", "true", "repaired"}
    for word, kind in told:
        assert color_word(drawing.named(names.get(kind, kind)).color) == word, kind
    for kind, mark in (("positive", "positive, true class"), ("negative", "negative, best class")):
        assert drawing.named(kind).color == drawing.named(mark).color


def color_word(color: str) -> str:
    """What a reader would call a colour: by its hue, as a part of the full circle."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in bytes.fromhex(color[1:])))
    if lightness > 0.9 or saturation < 0.1:
        return "white" if lightness > 0.8 else "grey"
    ends = {"red": 0.05, "orange": 0.12, "yellow": 0.18, "green": 0.48, "blue": 0.68, "purple": 0.83, "pink": 0.96}
    return next((name for name, end in ends.items() if hue < end), "red")


@pytest.mark.parametrize(("after", "word"), [(0.9, "rises"), (0.1, "falls"), (0.5, "stays")])
def test_the_caption_says_whether_the_overlap_grew(noised: Trace, after: float, word: str) -> None:
    view = replace(viewed(noised), iou_before=np.full(3, 0.5), iou_after=np.full(3, after))
    (told,) = {"rises", "falls", "stays"} & set(picture(view).caption.split())
    assert told == word
    assert f"{after:.2f}" in picture(view).caption


def test_the_frame_lies_on_the_group_shown(noised: Trace) -> None:
    frame = drawn(noised, 2).named("the group shown")
    assert (np.nanmin(frame.x), np.nanmax(frame.x)) == (np.nanmin(frame.y), np.nanmax(frame.y)) == (11.5, 17.5)


def test_many_objects_get_a_row_each(detector: Detector, trace: Trace) -> None:
    boxes = np.tile([0.5, 0.5, 0.2, 0.2], (10, 1)).astype(np.float32)
    many = viewed(detector.trace_denoising(trace, boxes, np.zeros(10, int)))
    assert many.num_groups == 1
    few = viewed(detector.trace_denoising(trace, boxes[:1], np.zeros(1, int)))
    assert few.num_groups == 10
    assert [len(picture(view).drawing.named("IoU after").x) for view in (many, few)] == [10, 1]


def test_a_trace_without_denoising_is_refused(trace: Trace) -> None:
    with pytest.raises(
        InputError, match=r"This trace has no denoising queries; make one with detector\.trace_denoising"
    ):
        viewed(trace)


def test_no_objects_are_refused(detector: Detector, trace: Trace) -> None:
    with pytest.raises(InputError, match="at least one object"):
        detector.trace_denoising(trace, np.zeros((0, 4)), np.zeros(0))


def test_words_and_table(noised: Trace) -> None:
    view = viewed(noised, 1)
    made = picture(view)
    assert "group 2 of 3" in made.caption
    assert made.caption in made.alt_text
    assert made.table["class"] == list(view.names)
    np.testing.assert_allclose(made.table["IoU after"], view.iou_after, atol=1e-3)
