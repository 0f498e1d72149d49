"""What a prediction costs: varifocal, L1 and GIoU loss of every layer, of the encoder and of the denoising queries."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rtdetr_explained.training.boxes import cxcywh_to_xyxy, overlap
from rtdetr_explained.training.distributed import mean_over_processes
from rtdetr_explained.training.matcher import Match, Prediction, Target, match

# RT-DETR, table of hyper-parameters: weights of the three losses, and alpha and gamma of the varifocal loss.
WEIGHTS = {"vfl": 1.0, "bbox": 5.0, "giou": 2.0}
ALPHA, GAMMA = 0.75, 2.0


def criterion(outputs: Mapping[str, Any], targets: Sequence[Target]) -> dict[str, Tensor]:
    """All weighted loss terms of a training forward pass; their plain sum is the loss.

    `outputs` is what the model returns in training mode, `targets` what it was given. The names are `loss_vfl`,
    `loss_bbox` and `loss_giou`, followed by nothing (last layer), `_aux_i` (layer i before it), `_enc_0` (the
    selected encoder tokens) or `_dn_i` (denoising queries, layer i): 3 · (2 · layers + 1) scalars with denoising.
    Everything is computed in float32, whatever precision the model ran in.
    Raises FloatingPointError when a prediction is NaN or infinite.
    """
    labels = torch.cat([target["labels"] for target in targets])
    boxes = torch.cat([target["boxes"] for target in targets]).float()
    # The mean over all processes: their gradients are averaged, so each must divide by the same number.
    num_boxes = mean_over_processes(torch.tensor(float(len(labels)), device=boxes.device)).clamp(min=1)

    matched = [Prediction(name, *_float32(layer)) for name, layer in _matched_layers(outputs)]
    terms = {}
    for prediction, pairs in zip(matched, match(matched, targets), strict=True):
        terms |= _layer_terms(prediction, pairs, labels, boxes, num_boxes)
    if "dn_aux_outputs" in outputs:
        groups = outputs["dn_meta"]["dn_num_group"]
        pairs = denoising_match(outputs["dn_meta"]["dn_positive_idx"], groups, targets)
        for i, layer in enumerate(outputs["dn_aux_outputs"]):
            prediction = Prediction(f"dn_{i}", *_float32(layer))
            terms |= _layer_terms(prediction, pairs, labels, boxes, num_boxes * groups)
    return terms


def denoising_match(positive: Sequence[Tensor], groups: int, targets: Sequence[Target]) -> Match:
    """The pairs that denoising knows beforehand: positive query k of every group was made from object k.

    `positive` holds per image the positions of its positive queries, group after group: (groups · objects,) each.
    """
    images, wanted, first = [], [], 0
    for image, (queries, target) in enumerate(zip(positive, targets, strict=True)):
        count = len(target["labels"])
        images.append(torch.full_like(queries, image))
        wanted.append(torch.arange(first, first + count, device=queries.device).repeat(groups))
        first += count
    return Match(torch.cat(images), torch.cat(list(positive)), torch.cat(wanted))


def varifocal_loss(logits: Tensor, pairs: Match, labels: Tensor, iou: Tensor) -> Tensor:
    """Sum over all queries and classes of the varifocal loss, a scalar; logits (B, Q, C), labels and iou (pairs,).

    The target of a matched query's class is the IoU of its box, so that the score learns to say how well the box
    fits; everywhere else it is 0 with weight 0.75 · p². (VarifocalNet, CVPR 2021, equation 2.)
    """
    place = pairs.image, pairs.query, labels
    negative, quality = torch.ones_like(logits), torch.zeros_like(logits)  # B Q C
    negative[place] = 0.0
    quality[place] = iou
    weight = ALPHA * logits.detach().sigmoid() ** GAMMA * negative + quality
    return F.binary_cross_entropy_with_logits(logits, quality, weight=weight, reduction="sum")


def _layer_terms(
    prediction: Prediction, pairs: Match, labels: Tensor, boxes: Tensor, num_boxes: Tensor
) -> dict[str, Tensor]:
    """The three weighted losses of one layer; labels and boxes are those of all images, concatenated."""
    if prediction.logits.shape[-1] == 1:  # class-agnostic encoder head: its one column stands for every label
        labels = torch.zeros_like(labels)
    predicted, wanted = prediction.boxes[pairs.image, pairs.query], boxes[pairs.target]  # pairs 4
    iou, giou = overlap(cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(wanted))
    losses = {
        "vfl": varifocal_loss(prediction.logits, pairs, labels[pairs.target], iou.detach()),
        "bbox": (predicted - wanted).abs().sum(),
        "giou": (1 - giou).sum(),
    }
    suffix = "" if prediction.name == "last" else f"_{prediction.name}"
    return {f"loss_{kind}{suffix}": WEIGHTS[kind] * loss / num_boxes for kind, loss in losses.items()}


def _matched_layers(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Every prediction that is matched by cost: the last layer, the layers before it, the encoder's tokens."""
    yield "last", outputs
    for i, layer in enumerate(outputs["aux_outputs"]):
        yield f"aux_{i}", layer
    for i, layer in enumerate(outputs["enc_aux_outputs"]):
        yield f"enc_{i}", layer


def _float32(layer: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Logits and boxes as float32: under autocast they arrive in half precision, too coarse for the losses."""
    return layer["pred_logits"].float(), layer["pred_boxes"].float()
