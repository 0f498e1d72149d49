import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rtdetr_explained.training.criterion import criterion, denoising_match, varifocal_loss
from rtdetr_explained.training.matcher import Match, Target

CLASSES = 3


def layer(images: int, queries: int, classes: int = CLASSES) -> dict[str, Tensor]:
    boxes = torch.cat([torch.rand(images, queries, 2) * 0.6 + 0.2, torch.rand(images, queries, 2) * 0.3 + 0.05], dim=-1)
    return {"pred_logits": torch.randn(images, queries, classes), "pred_boxes": boxes}


def make_targets(*counts: int) -> list[Target]:
    torch.manual_seed(1)
    return [
        {"labels": torch.randint(CLASSES, (n,)), "boxes": torch.cat([torch.rand(n, 2), torch.rand(n, 2) / 2 + 0.1], 1)}
        for n in counts
    ]


def make_outputs(targets: list[Target], layers: int = 2, enc_classes: int = CLASSES) -> dict:
    torch.manual_seed(2)
    images, most = len(targets), max(len(t["labels"]) for t in targets)
    groups = 2
    length = 2 * most * groups
    positive = tuple(
        torch.cat([torch.arange(n) + 2 * most * g for g in range(groups)]) for n in (len(t["labels"]) for t in targets)
    )
    return {
        **layer(images, 8),
        "aux_outputs": [layer(images, 8) for _ in range(layers - 1)],
        "enc_aux_outputs": [layer(images, 8, enc_classes)],
        "dn_aux_outputs": [layer(images, length) for _ in range(layers)],
        "dn_meta": {"dn_positive_idx": positive, "dn_num_group": groups, "dn_num_split": [length, 8]},
    }


def test_the_terms_of_every_layer_are_there():
    targets = make_targets(3, 1)
    terms = criterion(make_outputs(targets, layers=3), targets)
    suffixes = ["", "_aux_0", "_aux_1", "_enc_0", "_dn_0", "_dn_1", "_dn_2"]
    assert list(terms) == [f"loss_{kind}{suffix}" for suffix in suffixes for kind in ("vfl", "bbox", "giou")]
    assert all(term.shape == () and term > 0 for term in terms.values())


def test_a_query_on_its_object_costs_only_its_doubt():
    box = torch.tensor([[0.4, 0.5, 0.2, 0.3]])
    targets = [{"labels": torch.tensor([1]), "boxes": box}]
    logits = torch.tensor([[[-2.0, 0.5, -3.0]]])
    outputs = {"pred_logits": logits, "pred_boxes": box[None], "aux_outputs": [], "enc_aux_outputs": []}
    terms = criterion(outputs, targets)
    assert terms["loss_bbox"].item() == pytest.approx(0, abs=1e-6)
    assert terms["loss_giou"].item() == pytest.approx(0, abs=1e-5)
    p = [1 / (1 + math.exp(-x)) for x in (-2.0, 0.5, -3.0)]
    expected = 0.75 * p[0] ** 2 * -math.log(1 - p[0]) - math.log(p[1]) + 0.75 * p[2] ** 2 * -math.log(1 - p[2])
    assert terms["loss_vfl"].item() == pytest.approx(expected, rel=1e-4)


def test_box_losses_follow_their_formulas_and_weights():
    predicted, wanted = torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.tensor([[0.6, 0.5, 0.2, 0.4]])
    targets = [{"labels": torch.tensor([0]), "boxes": wanted}]
    outputs = {
        "pred_logits": torch.zeros(1, 1, CLASSES),
        "pred_boxes": predicted[None],
        "aux_outputs": [],
        "enc_aux_outputs": [],
    }
    terms = criterion(outputs, targets)
    assert terms["loss_bbox"].item() == pytest.approx(5 * 0.3)
    union, hull = 0.04 + 0.08 - 0.02, 0.3 * 0.4
    assert terms["loss_giou"].item() == pytest.approx(2 * (1 - (0.02 / union - (hull - union) / hull)), rel=1e-5)


def test_varifocal_loss_follows_its_formula():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, CLASSES, requires_grad=True)
    pairs = Match(torch.tensor([0, 1]), torch.tensor([2, 0]), torch.tensor([0, 1]))
    labels, iou = torch.tensor([1, 2]), torch.tensor([0.7, 0.2])
    loss = varifocal_loss(logits, pairs, labels, iou)

    total, slopes = 0.0, torch.zeros(2, 3, CLASSES)
    quality = {(0, 2, 1): 0.7, (1, 0, 2): 0.2}
    for place in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(CLASSES)).tolist():
        p = torch.sigmoid(logits[tuple(place)]).item()
        q = quality.get(tuple(place))
        weight, aim = (0.75 * p**2, 0.0) if q is None else (q, q)
        total += weight * -(aim * math.log(p) + (1 - aim) * math.log(1 - p))
        slopes[tuple(place)] = weight * (p - aim)  # the weight counts as a constant
    assert loss.item() == pytest.approx(total, rel=1e-5)
    loss.backward()
    torch.testing.assert_close(logits.grad, slopes)


def test_the_quality_aim_passes_no_gradient_to_the_boxes():
    targets = make_targets(3, 2)
    outputs = make_outputs(targets)
    boxes, logits = outputs["pred_boxes"].requires_grad_(True), outputs["pred_logits"].requires_grad_(True)
    terms = criterion(outputs, targets)
    to_boxes, to_logits = torch.autograd.grad(terms["loss_vfl"], [boxes, logits], allow_unused=True, retain_graph=True)
    assert to_boxes is None
    assert to_logits.abs().sum() > 0
    (to_boxes,) = torch.autograd.grad(terms["loss_bbox"] + terms["loss_giou"], boxes)
    assert to_boxes.abs().sum() > 0


def test_losses_are_divided_by_the_number_of_boxes_and_denoising_also_by_groups():
    targets = make_targets(2, 2)
    outputs = make_outputs(targets)
    terms = criterion(outputs, targets)
    doubled: dict[str, Any] = {  # the same batch twice: twice the sum, twice the boxes
        name: torch.cat([value, value]) for name, value in outputs.items() if name.startswith("pred_")
    }
    doubled |= {
        name: [{k: torch.cat([v, v]) for k, v in part.items()} for part in outputs[name]]
        for name in ("aux_outputs", "enc_aux_outputs", "dn_aux_outputs")
    }
    doubled["dn_meta"] = {**outputs["dn_meta"], "dn_positive_idx": outputs["dn_meta"]["dn_positive_idx"] * 2}
    for name, term in criterion(doubled, targets * 2).items():
        torch.testing.assert_close(term, terms[name])

    first = outputs["dn_aux_outputs"][0]["pred_boxes"]
    positive = outputs["dn_meta"]["dn_positive_idx"]
    expected = sum((first[b, positive[b]] - targets[b]["boxes"].repeat(2, 1)).abs().sum() for b in range(2))
    torch.testing.assert_close(terms["loss_bbox_dn_0"], 5 * expected / (4 * 2))


def test_denoising_pairs_every_group_with_all_objects_of_its_image():
    targets = make_targets(3, 0, 1)
    positive = [torch.tensor([0, 1, 2, 6, 7, 8]), torch.tensor([], dtype=torch.int64), torch.tensor([0, 6])]
    pairs = denoising_match(positive, 2, targets)
    assert pairs.image.tolist() == [0] * 6 + [2] * 2
    assert pairs.query.tolist() == [0, 1, 2, 6, 7, 8, 0, 6]
    assert pairs.target.tolist() == [0, 1, 2, 0, 1, 2, 3, 3]


def test_a_batch_without_objects_has_a_loss_and_a_gradient():
    targets = make_targets(0, 0)
    outputs: dict[str, Any] = {**layer(2, 8), "aux_outputs": [layer(2, 8)], "enc_aux_outputs": [layer(2, 8)]}
    outputs["dn_aux_outputs"] = [layer(2, 2), layer(2, 2)]
    nothing = torch.tensor([], dtype=torch.int64)
    outputs["dn_meta"] = {"dn_positive_idx": (nothing, nothing), "dn_num_group": 1, "dn_num_split": [2, 8]}
    outputs["pred_logits"].requires_grad_(True)
    terms = criterion(outputs, targets)
    assert all(terms[name] == 0 for name in terms if "vfl" not in name)
    assert all(terms[name] > 0 for name in terms if "vfl" in name)
    torch.stack(list(terms.values())).sum().backward()
    assert outputs["pred_logits"].grad.abs().sum() > 0


def test_a_class_agnostic_encoder_head_learns_whether_there_is_anything():
    targets = make_targets(3, 1)
    outputs = make_outputs(targets, enc_classes=1)
    terms = criterion(outputs, targets)
    relabelled = [{"labels": torch.zeros_like(t["labels"]), "boxes": t["boxes"]} for t in targets]
    torch.testing.assert_close(terms["loss_vfl_enc_0"], criterion(outputs, relabelled)["loss_vfl_enc_0"])
    assert not torch.equal(terms["loss_vfl"], criterion(outputs, relabelled)["loss_vfl"])


def test_half_precision_predictions_are_judged_in_float32():
    targets = make_targets(3, 2)
    outputs = make_outputs(targets)
    coarse = {name: value.bfloat16() if name.startswith("pred_") else value for name, value in outputs.items()}
    rounded = {name: value.float() if name.startswith("pred_") else value for name, value in coarse.items()}
    for name, term in criterion(coarse, targets).items():
        assert term.dtype == torch.float32
        torch.testing.assert_close(term, criterion(rounded, targets)[name], rtol=0, atol=0)


def test_nan_in_a_denoising_or_matched_prediction_never_passes_silently():
    targets = make_targets(3, 2)
    outputs = make_outputs(targets)
    outputs["enc_aux_outputs"][0]["pred_boxes"][0, 0, 0] = math.nan
    with pytest.raises(FloatingPointError, match="'enc_0'"):
        criterion(outputs, targets)
    outputs = make_outputs(targets)
    outputs["dn_aux_outputs"][1]["pred_logits"][0, 0, 0] = math.nan
    assert criterion(outputs, targets)["loss_vfl_dn_1"].isnan()
