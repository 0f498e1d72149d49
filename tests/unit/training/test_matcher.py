import itertools

import pytest
import torch
from torch import Tensor

from rtdetr_explained.training.boxes import cxcywh_to_xyxy, overlap
from rtdetr_explained.training.matcher import Match, Prediction, Target, match


def random_boxes(*shape: int) -> Tensor:
    return torch.cat([torch.rand(*shape, 2) * 0.6 + 0.2, torch.rand(*shape, 2) * 0.3 + 0.05], dim=-1)


def random_prediction(name: str, images: int, queries: int, classes: int) -> Prediction:
    return Prediction(name, 2 * torch.randn(images, queries, classes), random_boxes(images, queries))


def random_target(count: int, classes: int) -> Target:
    return {"labels": torch.randint(classes, (count,)), "boxes": random_boxes(count)}


def cost_of_pair(logit: float, predicted: Tensor, wanted: Tensor) -> float:
    """The cost of one query and one object, written out with plain numbers."""
    p = torch.tensor(logit, dtype=torch.float64).sigmoid()
    class_cost = 0.25 * (1 - p) ** 2 * -torch.log(p + 1e-8) - 0.75 * p**2 * -torch.log(1 - p + 1e-8)
    l1 = (predicted - wanted).abs().sum()
    a, b = cxcywh_to_xyxy(predicted.double()).tolist(), cxcywh_to_xyxy(wanted.double()).tolist()
    inner = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    giou = inner / union - (hull - union) / hull
    return float(2 * class_cost + 5 * l1 - 2 * giou)


def cheapest(prediction: Prediction, image: int, target: Target) -> set[tuple[int, int]]:
    """The best assignment of an image, found by trying all of them."""
    queries, count = prediction.logits.shape[1], len(target["labels"])
    cost = [
        [
            cost_of_pair(
                prediction.logits[image, q, target["labels"][t]].item(), prediction.boxes[image, q], target["boxes"][t]
            )
            for t in range(count)
        ]
        for q in range(queries)
    ]
    best = min(
        itertools.permutations(range(queries), count), key=lambda chosen: sum(cost[q][t] for t, q in enumerate(chosen))
    )
    return {(q, t) for t, q in enumerate(best)}


def pairs_of(found: Match, image: int, first_target: int) -> set[tuple[int, int]]:
    mine = found.image == image
    return set(zip(found.query[mine].tolist(), (found.target[mine] - first_target).tolist(), strict=True))


def test_it_finds_the_cheapest_assignment_of_every_layer_and_image():
    torch.manual_seed(3)
    predictions = [random_prediction(f"layer {i}", images=3, queries=6, classes=4) for i in range(4)]
    targets = [random_target(count, classes=4) for count in (3, 0, 4)]
    found = match(predictions, targets)
    assert len(found) == 4
    for prediction, pairs in zip(predictions, found, strict=True):
        assert pairs_of(pairs, 0, 0) == cheapest(prediction, 0, targets[0])
        assert pairs_of(pairs, 1, 3) == set()
        assert pairs_of(pairs, 2, 3) == cheapest(prediction, 2, targets[2])


def test_more_objects_than_queries_gives_every_query_another_object():
    (found,) = match([random_prediction("last", 1, queries=3, classes=2)], [random_target(5, classes=2)])
    assert sorted(found.query.tolist()) == [0, 1, 2]
    assert len(set(found.target.tolist())) == 3


def test_images_without_objects_match_nothing():
    (found,) = match([random_prediction("last", 2, 4, 3)], [random_target(0, 3), random_target(0, 3)])
    assert [len(index) for index in found] == [0, 0, 0]


def test_a_single_class_column_stands_for_every_label():
    prediction = random_prediction("enc_0", 1, queries=5, classes=1)
    target = random_target(3, classes=1)
    as_seven = {"labels": torch.full((3,), 7), "boxes": target["boxes"]}
    (found,) = match([prediction], [as_seven])
    assert pairs_of(found, 0, 0) == cheapest(prediction, 0, target)


@pytest.mark.parametrize("field", ["logits", "boxes"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_prediction_that_is_not_finite_is_named(field: str, value: float):
    good, bad = (random_prediction(name, 2, 4, 3) for name in ("last", "aux_0"))
    getattr(bad, field)[1, 2, 0] = value
    with pytest.raises(FloatingPointError, match="'aux_0'"):
        match([good, bad], [random_target(2, 3), random_target(0, 3)])


def test_overlap_of_known_boxes():
    a = torch.tensor([0.0, 0.0, 2.0, 2.0])
    b = torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0], [3.0, 0.0, 5.0, 2.0], [0.5, 0.5, 1.5, 1.5]])
    iou, giou = overlap(a, b)
    torch.testing.assert_close(iou, torch.tensor([1.0, 1 / 7, 0.0, 0.25]))
    torch.testing.assert_close(giou, torch.tensor([1.0, 1 / 7 - 2 / 9, -0.2, 0.25]))
    every, _ = overlap(b[:, None], b)
    torch.testing.assert_close(every, every.T)
    torch.testing.assert_close(every.diagonal(), torch.ones(4))
