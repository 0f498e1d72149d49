"""Running a model over samples: what it finds, what there was to find, and how long it took."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch

from rtdetr_explained.data.images import to_model_input
from rtdetr_explained.evaluation.coco import Objects
from rtdetr_explained.evaluation.samples import Sample
from rtdetr_explained.model.postprocess import postprocess
from rtdetr_explained.model.rtdetr import RTDETR


class Finding(NamedTuple):
    """What was found in the sample of this number; `ms` is its share of the time that its batch took."""

    number: int
    found: Objects
    target: Objects
    ms: float


@torch.inference_mode()
def find(model: RTDETR, samples: Iterable[Sample], size: tuple[int, int], batch: int = 1) -> Iterator[Finding]:
    """Run a model in eval mode over samples resized to (height, width), `batch` at a time.

    The time measured starts with the resized image on the model's device and ends with boxes and scores on the CPU:
    network and post-processing, without decoding and resizing. A first pass on an empty image is not counted.
    """
    device = next(model.parameters()).device
    model(torch.zeros(1, 3, *size, device=device))
    samples = iter(samples)
    while group := list(islice(samples, batch)):
        pixels = np.stack([to_model_input(sample.photo, size) for sample in group])  # B H W 3
        # As permuted, the tensor has the channels-last layout that fused models are made for.
        images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2) / 255
        began = time.perf_counter()
        results = [
            {name: result[key].cpu().numpy() for name, key in (("scores",) * 2, ("labels",) * 2, ("boxes", "boxes_px"))}
            for result in postprocess(model(images), [sample.size for sample in group])
        ]
        ms = (time.perf_counter() - began) * 1000 / len(group)
        for sample, found in zip(group, results, strict=True):
            yield Finding(sample.number, found, sample.target, ms)
