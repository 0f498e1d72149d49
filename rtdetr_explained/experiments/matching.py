"""How much the matching of queries to objects changes from one epoch to the next: the instability of DN-DETR.

DN-DETR (arXiv 2203.01305, section 3.2): V_n of an image is the object that query n is matched to, or −1 for none, and
the instability at an epoch is the number of n whose V_n differs from that of the epoch before, a mean over the images
of a held-out set. There query n is a learned slot. In RT-DETR it is only the n-th best token of this image: the same
cell can be query 3 today and query 20 tomorrow. What stays itself over the epochs is the token, so here n counts the
tokens of the three maps, and a token that is no query is matched to none.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.model.config import LEVEL_STRIDES
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.matcher import Prediction, match

NONE = -1


@torch.inference_mode()
def matched_objects(model: RTDETR, seeds: Sequence[int], batch: int) -> np.ndarray:
    """V of the scenes of these seeds, int16 (images, tokens), from the evaluation layer of the model in eval mode."""
    model.eval()
    height, width = model.config.image_size
    tokens = sum((height // stride) * (width // stride) for stride in LEVEL_STRIDES)
    matched = np.full((len(seeds), tokens), NONE, np.int16)
    chosen: list[Tensor] = []  # token of each query, B Q

    def keep(tap: nn.Module, given: tuple, output: Tensor) -> None:
        chosen.append(output)

    hook = model.query_selection.topk_indices.register_forward_hook(keep)
    try:
        first, rest = 0, iter(seeds)
        while group := list(islice(rest, batch)):
            scenes = [generate_scene(seed, SceneConfig(size=(height, width))) for seed in group]
            images = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2) / 255  # B 3 H W
            targets = [
                {"labels": torch.from_numpy(scene.labels), "boxes": torch.from_numpy(scene.boxes)} for scene in scenes
            ]
            outputs = model(images)
            pairs = match([Prediction("last", outputs["pred_logits"], outputs["pred_boxes"])], targets)[0]
            starts = np.cumsum([0, *(len(target["labels"]) for target in targets)])
            token = chosen.pop()[pairs.image, pairs.query]
            matched[first + pairs.image.numpy(), token.numpy()] = pairs.target.numpy() - starts[pairs.image.numpy()]
            first += len(group)
    finally:
        hook.remove()
    return matched


def instability(before: np.ndarray, after: np.ndarray) -> float:
    """Tokens per image whose object changed between two V (images, tokens): at most 2 for every object."""
    return float((before != after).sum(1).mean())


def objects_per_image(matched: np.ndarray) -> float:
    """Mean number of objects in an image, from V (images, tokens): the matching gives every object one query."""
    return float((matched != NONE).sum(1).mean())
