"""Duplicates: queries that end on one object, the attention between them, and the re-run without the winner."""

from dataclasses import replace

import numpy as np
import pytest
from drawn import numbers

from rtdetr_explained import edits
from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.decoder import duplicates, duplicates_figure
from rtdetr_explained.illustrations.decoder.trajectory import step_scores
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid

QUERY = 14


@pytest.fixture(scope="module")
def crowded(trace: Trace) -> Trace:
    """The trace with four queries on one object, of which query 14 is not the best, and a fifth of another class."""
    boxes, logits = trace.boxes.copy(), trace.logits.copy()
    for query, shift, score in ((3, 0.0, 2.0), (QUERY, 0.01, 0.5), (9, 0.02, -1.0), (5, 0.06, -2.0), (6, 0.0, 3.0)):
        boxes[query] = [0.4 + shift, 0.5, 0.2, 0.3]
        logits[query] = -4
        logits[query, 1 if query == 6 else 2] = score
    boxes[11], logits[11] = [0.56, 0.5, 0.2, 0.3], logits[9]  # the same class, but too far away
    return replace(trace, values=trace.values | {
        "decoder.boxes": boxes, "decoder.layers.2.boxes": boxes, "decoder.logits": logits,
    })  # fmt: skip


def overlap_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two boxes x0 y0 x1 y1."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def test_the_group_is_who_ends_there_with_the_same_class(crowded: Trace) -> None:
    group = duplicates.view(choose(crowded, query=QUERY))
    boxes = cxcywh_to_xyxy_px(crowded.boxes.astype(float), crowded.image_size)
    expected = {
        other
        for other in range(20)
        if crowded.labels[other] == crowded.labels[QUERY] and overlap_by_hand(boxes[QUERY], boxes[other]) >= 0.5
    }
    assert set(group.members.tolist()) == expected
    assert expected == {3, QUERY, 9, 5}
    scores = crowded.scores[group.members]
    assert (np.diff(scores) <= 0).all()
    assert group.winner == max(expected, key=lambda q: crowded.scores[q])
    for member, value in zip(group.members, group.iou, strict=True):
        assert value == pytest.approx(overlap_by_hand(boxes[QUERY], boxes[member]), abs=1e-5)
    np.testing.assert_array_equal(group.scores, step_scores(choose(crowded))[:, group.members])
    np.testing.assert_allclose(group.boxes_px[-1], boxes[group.members], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("head", [None, 2])
def test_attention_between_them_is_that_of_the_trace(crowded: Trace, head: int | None) -> None:
    group = duplicates.view(choose(crowded, query=QUERY, head=head))
    for layer in range(3):
        weights = crowded[f"decoder.layers.{layer}.self_attn.weights"].array.astype(np.float64)
        weights = weights.mean(0) if head is None else weights[head]
        for i, member in enumerate(group.members):
            assert group.to_winner[layer, i] == pytest.approx(weights[member, group.winner], rel=1e-4)
            assert group.from_winner[layer, i] == pytest.approx(weights[group.winner, member], rel=1e-4)
    assert group.even == 1 / 20


def test_without_the_winner(detector: Detector, trace: Trace, crowded: Trace) -> None:
    group = duplicates.view(choose(crowded, query=QUERY))
    without = detector.rerun(trace, [edits.drop_query(query=group.winner)])
    removal = duplicates.removal(group, crowded, without)
    assert removal.dropped == group.winner
    np.testing.assert_array_equal(removal.members, group.members[1:])
    np.testing.assert_array_equal(removal.before, crowded.scores[group.members[1:]])
    label = crowded.labels[QUERY]
    for member, after in zip(removal.members, removal.after, strict=True):
        row = member - (member > group.winner)
        assert after == pytest.approx(sigmoid(without.logits[row, label]))
    others = [q for q in range(20) if q not in group.members]
    change = [abs(without.scores[q - (q > group.winner)] - crowded.scores[q]) for q in others]
    assert removal.elsewhere == pytest.approx(np.median(change), abs=1e-6)
    assert removal.elsewhere_p95 == pytest.approx(np.percentile(change, 95), abs=1e-6)
    words = duplicates.removal_words(removal)
    assert f"Without query {group.winner}" in words
    assert f"{removal.after.max():.3f}" in words
    before, after, change = duplicates.thousandths(removal)
    np.testing.assert_allclose(before + change, after, atol=1e-9)
    np.testing.assert_allclose(after, removal.after, atol=6e-4)
    assert f"{removal.elsewhere:.3f}" in words


def test_without_the_winner_where_nobody_else_is_left(trace: Trace) -> None:
    rows = {name: trace.values[name][[0, 0]] for name in ("decoder.logits", "decoder.boxes")}
    pair = replace(trace, values=trace.values | rows)
    group = replace(duplicates.view(choose(trace, query=0)), members=np.array([0, 1]), scores=np.zeros((4, 2)))
    alone = replace(pair, values=pair.values | {"decoder.logits": rows["decoder.logits"][:1]})
    removal = duplicates.removal(group, pair, alone)
    assert np.isnan(removal.elsewhere)
    assert "For comparison" not in duplicates.removal_words(removal)


def test_the_drawing_shows_the_numbers_of_the_view(crowded: Trace) -> None:
    group = duplicates.view(choose(crowded, query=QUERY, layer=1, compare=3, threshold=0.3))
    drawing = duplicates_figure.picture(group).drawing
    points = crowded["decoder.layers.1.reference_boxes"].array[:, :2] * crowded.image_size  # when the layer begins
    for i, member in enumerate(group.members):
        np.testing.assert_allclose(drawing.named(f"score of {member}").y, group.scores[:, i])
        outline = drawing.named(f"box of {member}")
        corners = [np.nanmin(outline.x), np.nanmin(outline.y), np.nanmax(outline.x), np.nanmax(outline.y)]
        np.testing.assert_allclose(corners, group.boxes_px[-1, i], rtol=1e-5)
        if i:
            np.testing.assert_allclose(drawing.named(f"attention of {member}").y, group.to_winner[:, i])
            link = drawing.named(f"link {i}")
            np.testing.assert_allclose(np.stack([link.x, link.y], 1), points[[group.winner, member]], rtol=1e-4)
    with pytest.raises(KeyError):
        drawing.named(f"attention of {group.winner}")
    np.testing.assert_allclose(drawing.named("even share").y, 1 / 20)
    np.testing.assert_allclose(drawing.named("threshold").y, 0.3)


def test_a_query_alone(detector: Detector, trace: Trace) -> None:
    alone = duplicates.view(choose(detector.rerun(trace, [edits.set_queries(1), edits.set_layers(1)])))
    assert alone.members.tolist() == [0]
    assert duplicates_figure.picture(alone).caption.startswith(f"No other query ends as “{alone.name}”")


@pytest.mark.parametrize(("threshold", "above"), [(0.0, [3, 14, 9, 5]), (0.3, [3, 14]), (0.7, [3]), (0.9, [])])
def test_the_caption_names_the_detections_on_the_object(crowded: Trace, threshold: float, above: list[int]) -> None:
    group = duplicates.view(choose(crowded, query=QUERY, head=1, threshold=threshold))
    assert group.above.tolist() == above
    caption = duplicates_figure.picture(group).caption
    scores = {q: f"{crowded.scores[q]:.2f}" for q in (3, QUERY, 9, 5)}
    weights = [crowded[f"decoder.layers.{i}.self_attn.weights"].array[1].astype(float) for i in range(3)]
    given = [f"{np.median([layer[q, 3] for q in (QUERY, 9, 5)]):.1%}" for layer in weights]
    verdict = [f"{threshold:.2f}"]
    if len(above) > 1:
        verdict = [str(len(above)), *verdict, *(word for q in above for word in (str(q), scores[q]))]
    rival = [f"{threshold:.2f}", "6", f"{crowded.scores[6]:.2f}"] if crowded.scores[6] > threshold else []
    assert numbers(caption) == ["3", scores[3], "3", *verdict, *rival, *given, "1", "5.0%"]
    assert ("None is above" in caption) == (not above)
    assert ("Only the winner is above" in caption) == (above == [3])


def test_queries_of_another_class_on_the_object_are_named(crowded: Trace) -> None:
    assert [q for q, _, _ in duplicates.view(choose(crowded, query=QUERY)).rivals] == [6]
    assert duplicates.view(choose(crowded, query=QUERY, threshold=0.99)).rivals == ()
    group = duplicates.view(choose(crowded, query=6))
    assert [q for q, _, _ in group.rivals] == [3, QUERY]
    assert numbers(duplicates_figure.picture(group).caption)[2:] == [
        "0.50", "3", f"{crowded.scores[3]:.2f}", str(QUERY), f"{crowded.scores[QUERY]:.2f}",
    ]  # fmt: skip


def test_of_many_names_a_sentence_lists_a_few() -> None:
    assert duplicates_figure.listed(["a"]) == "a"
    assert duplicates_figure.listed(["a", "b", "c", "d"]) == "a, b, c and d"
    assert duplicates_figure.listed(["a", "b", "c", "d", "e", "f"]) == "a, b, c and 3 more"


def test_titles_and_table_count_layers_from_one(crowded: Trace) -> None:
    group = duplicates.view(choose(crowded, query=QUERY, layer=1, head=1))
    picture = duplicates_figure.picture(group)
    boxes, _, attention = picture.drawing.panels
    assert numbers(boxes.subtitle) == ["2"]
    assert numbers(attention.title) == ["3"]
    assert picture.caption in picture.alt_text
    table = picture.table
    assert table["query"] == group.members.tolist()
    np.testing.assert_allclose(table["score after 3"], group.scores[-1], atol=6e-4)
    np.testing.assert_allclose(table["score after 1 (derived)"], group.scores[1], atol=6e-4)
    np.testing.assert_allclose(table["gives winner, layer 2"], group.to_winner[1], atol=6e-5)
    np.testing.assert_allclose(table["winner gives, layer 2"], group.from_winner[1], atol=6e-5)
    assert len({len(column) for column in table.values()}) == 1
