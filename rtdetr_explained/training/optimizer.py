"""AdamW for RT-DETRv2: which parameter decays, and the learning rate at every step."""

import math

import torch
from torch import Tensor, nn

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)


def parameter_groups(
    model: nn.Module, lr: float, weight_decay: float, backbone_lr_factor: float, decay_biases: bool
) -> list[dict]:
    """Split the trainable parameters by learning rate (backbone or not) and by weight decay (yes or none).

    Scale and shift of normalisation layers never decay: decay would pull a scale towards 0 instead of towards
    "change nothing". The published recipes let the other biases decay for R18, not for R34.
    Each group carries `initial_lr`, which `set_learning_rate` multiplies.
    """
    of_norms = {id(p) for m in model.modules() if isinstance(m, NORMS) for p in m.parameters(recurse=False)}
    split: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = id(parameter) not in of_norms and (decay_biases or not name.endswith(".bias"))
            split.setdefault((name.startswith("backbone."), decays), []).append(parameter)
    groups = []
    for (in_backbone, decays), parameters in split.items():
        group_lr = lr * backbone_lr_factor if in_backbone else lr
        groups.append(
            {
                "params": parameters,
                "lr": group_lr,
                "initial_lr": group_lr,
                "weight_decay": weight_decay if decays else 0.0,
            }
        )
    return groups


def learning_rate_factor(step: int, total: int, warmup: int, flat_fraction: float) -> float:
    """Factor on every learning rate at a step, counted from 0: a linear rise, a flat part, half a cosine down to 1 %.

    The flat part ends at `flat_fraction · total`; with 1.0 it never ends, as in the published recipes. A function of
    step and total alone, so a run resumed with more steps bends its schedule instead of repeating it.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    flat = flat_fraction * total
    if step <= flat:
        return rise
    progress = min(1.0, (step - flat) / (total - flat))
    return rise * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Multiply the initial learning rate of every group by a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def largest_gradient(model: nn.Module) -> tuple[str, float]:
    """Name of the parameter with the largest gradient entry, and that entry's size; NaN counts as the largest."""
    name, largest = "none", 0.0
    for candidate, parameter in model.named_parameters():
        if parameter.grad is not None:
            size = parameter.grad.abs().max().item()
            if math.isnan(size):
                return candidate, size
            if size > largest:
                name, largest = candidate, size
    return name, largest
