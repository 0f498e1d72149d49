"""What reaches the model in an evaluation."""

import numpy as np
import torch
from PIL import Image
from random_models import random_model

from rtdetr_explained.evaluation.finding import find
from rtdetr_explained.evaluation.samples import Sample


def sample(number: int, value: int) -> Sample:
    """A picture of one grey value, 40 px wide and 30 px high, with nothing in it."""
    nothing = {"labels": np.zeros(0, np.int64), "boxes": np.zeros((0, 4))}
    return Sample(number, Image.new("RGB", (40, 30), (value,) * 3), (40, 30), nothing)


def test_white_is_one_and_black_is_zero_in_batches_of_the_size_asked_for():
    model, seen = random_model(), []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    found = list(find(model, [sample(7, 0), sample(3, 51), sample(5, 255)], (96, 128), batch=2))
    assert [one.number for one in found] == [7, 3, 5]
    assert [tuple(images.shape) for images in seen] == [(1, 3, 96, 128), (2, 3, 96, 128), (1, 3, 96, 128)]
    values = torch.cat([images[:, 0, 0, 0] for images in seen[1:]])
    torch.testing.assert_close(values, torch.tensor([0, 0.2, 1.0]))
    for one in found:
        centres = (one.found["boxes"][:, :2] + one.found["boxes"][:, 2:]) / 2
        assert ((centres > 0) & (centres < [40, 30])).all()
        assert one.ms > 0
