"""Contrastive denoising, in training only: noised copies of the true boxes enter as extra queries, to be repaired.

Positive queries (small noise) learn to give the true box back, negative ones (large noise) to say "nothing here". They
need no matching. DN-DETR holds that this steadies the early training, when the matching changes from epoch to epoch.
Source: rtdetrv2_pytorch/src/zoo/rtdetr/denoising.py; DN-DETR (2203.01305); DINO (2203.03605), section 3.3.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.layers import inverse_sigmoid
from rtdetr_explained.model.tap import Tap


class DenoisingQueries(NamedTuple):
    """Extra queries to be put before the matching queries."""

    content: Tensor  # B M D
    reference_boxes: Tensor  # B M 4, cxcywh in 0..1
    blocked: Tensor  # M+Q M+Q, True where attention is forbidden
    meta: dict[str, Any]  # dn_positive_idx, dn_num_group, dn_num_split


class Denoising(nn.Module):
    """Builds the noised queries, their attention mask and the bookkeeping that the loss needs."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.num_classes = config.num_classes
        self.num_denoising = config.num_denoising
        self.label_noise_ratio = config.label_noise_ratio
        self.box_noise_scale = config.box_noise_scale
        self.class_embed = nn.Embedding(config.num_classes + 1, config.decoder_dim, padding_idx=config.num_classes)
        self.labels = Tap("denoising", "class index", "Label each denoising query is given; some are wrong on purpose.")
        self.noised_boxes = Tap(
            "denoising cxcywh", "image, 0..1", "True boxes after noise: where denoising queries start."
        )
        self.attention_mask = Tap("query query_attended", "true = blocked", "Who may not look at whom during training.")

    def forward(
        self, targets: list[dict[str, Tensor]], num_queries: int, generator: torch.Generator | None = None
    ) -> DenoisingQueries:
        """targets: per image {"labels": n, "boxes": n 4 cxcywh in 0..1}; noise comes from `generator`, else torch.

        Every image's list is padded to the longest, G; one group holds G positives then G negatives; K groups follow
        each other. The order of the random draws is that of the reference, so that seeded runs can be compared.
        """
        device = self.class_embed.weight.device
        counts = [len(t["labels"]) for t in targets]
        G = max(max(counts), 1)  # without any object one padded dummy keeps every process of a distributed run in step
        K = max(1, self.num_denoising // G) if max(counts) else 1
        labels = torch.full((len(targets), G), self.num_classes, dtype=torch.long, device=device)  # B G
        boxes = torch.zeros(len(targets), G, 4, device=device)  # B G 4
        real = torch.zeros(len(targets), G, dtype=torch.bool, device=device)  # B G
        for b, (target, n) in enumerate(zip(targets, counts, strict=True)):
            labels[b, :n] = target["labels"].to(device)
            boxes[b, :n] = target["boxes"].to(device)
            real[b, :n] = True
        if not max(counts):
            boxes[:] = torch.tensor([0.5, 0.5, 0.1, 0.1], device=device)

        labels, boxes, real = (
            labels.repeat(1, 2 * K),
            boxes.repeat(1, 2 * K, 1),
            real.repeat(1, 2 * K),
        )  # B M, M = 2 G K
        negative = torch.arange(2 * G * K, device=device) // G % 2 == 1  # M
        positive = real & ~negative  # B M
        positive_idx = tuple(row.nonzero()[:, 0] for row in positive)

        labels = self.labels(self.add_label_noise(labels, real, generator))
        noised = self.noised_boxes(self.add_box_noise(boxes, negative, generator))
        group = torch.arange(2 * G * K, device=device) // (2 * G)  # M
        meta = {
            "dn_positive_idx": positive_idx,
            "dn_num_group": K,
            "dn_num_split": [2 * G * K, num_queries],
        }
        blocked = self.attention_mask(blocked_pairs(group, num_queries)[None])[0]
        # The reference carries the boxes as logits, which keeps them away from exactly 0 and 1.
        return DenoisingQueries(self.class_embed(labels), inverse_sigmoid(noised).sigmoid(), blocked, meta)

    def add_label_noise(self, labels: Tensor, real: Tensor, generator: torch.Generator | None) -> Tensor:
        """Give a random class to about a quarter of the real slots (half of `label_noise_ratio`); labels: B M."""
        if self.label_noise_ratio <= 0:
            return labels
        chosen = rand(labels.shape, labels.device, generator) < self.label_noise_ratio * 0.5
        random_labels = randint(self.num_classes, labels.shape, labels.device, generator)
        return torch.where(chosen & real, random_labels, labels)

    def add_box_noise(self, boxes: Tensor, negative: Tensor, generator: torch.Generator | None) -> Tensor:
        """Shift corners by up to half the box (positives) or by half to one whole box (negatives); boxes: B M 4 cxcywh.

        A negative box may end up with its corners crossed; its size then counts as nearly zero, as in the reference.
        """
        if self.box_noise_scale <= 0:
            return boxes
        center, size = boxes.split(2, dim=-1)
        corners = torch.cat([center - size / 2, center + size / 2], dim=-1)
        reach = size.repeat(1, 1, 2) / 2 * self.box_noise_scale
        sign = randint(2, boxes.shape, boxes.device, generator).float() * 2 - 1
        amount = rand(boxes.shape, boxes.device, generator) + negative[:, None]
        corners = (corners + sign * amount * reach).clamp(0, 1)
        low, high = corners.split(2, dim=-1)
        return torch.cat([(low + high) / 2, high - low], dim=-1)


def blocked_pairs(group: Tensor, num_queries: int) -> Tensor:
    """Attention mask, M+Q M+Q: matching queries see no denoising ones, a group sees itself and the matching ones.

    Without it the true boxes would leak into the queries that must find them.
    """
    M = len(group)
    blocked = torch.zeros(M + num_queries, M + num_queries, dtype=torch.bool, device=group.device)
    blocked[M:, :M] = True
    blocked[:M, :M] = group[:, None] != group[None, :]
    return blocked


def rand(shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Uniform numbers in 0..1."""
    return torch.rand(shape, device=device, generator=generator)


def randint(high: int, shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Uniform whole numbers from 0 to high - 1."""
    return torch.randint(0, high, shape, device=device, generator=generator)
