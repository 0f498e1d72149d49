"""The averaged copy of the weights that is evaluated and shipped."""

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def ema_decay(update: int, decay: float, warmup: float) -> float:
    """Share of the old average kept at an update, counted from 1: decay · (1 − e^(−update / warmup)).

    Early on the weights move fast, so the average forgets fast; counting from 1 keeps the share above 0, and with it
    0 · inf out of the average.
    """
    return decay * (1 - math.exp(-update / warmup))


class ModelEma(Generic[Model]):
    """Exponential moving average of every floating tensor of a model, batch-norm statistics included.

    `module` is the averaged copy, in eval mode. Its integer tensors follow the model unchanged.
    """

    def __init__(self, model: Model, decay: float, warmup: float) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.warmup, self.updates = decay, warmup, 0

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Move the average towards the model's current weights."""
        self.updates += 1
        step = 1 - ema_decay(self.updates, self.decay, self.warmup)
        for average, value in zip(self.module.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(value, step)
            else:
                average.copy_(value)
