"""Parameters and floating-point operations of each stage."""

from collections.abc import Mapping
from math import prod

from torch import nn

from rtdetr_explained.model.deformable_attention import DeformableAttention
from rtdetr_explained.model.layers import SelfAttention
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.tracing.sites import STAGES, stage_of
from rtdetr_explained.tracing.trace import StageProfile

BILINEAR_FLOPS = 8  # four multiply-adds per channel and point


def stage_profiles(model: RTDETR, shapes: dict[str, tuple[int, ...]]) -> dict[str, StageProfile]:
    """Count per stage: parameters of the model, and operations at the recorded output shapes (2 per multiply-add).

    Counted are convolutions, linear layers, the two matrix products of self-attention, and sampling: four cells are
    mixed for each point (a discrete read takes one as it is), then the points are summed by weight. Norms, activations
    and other sums are left out, as is usual. Layers that did not run count no operations.
    """
    parameters = dict.fromkeys(STAGES, 0)
    for name, parameter in model.named_parameters():
        parameters[stage_of(name)] += parameter.numel()
    parameters["overview"] = sum(parameters.values())
    flops = stage_flops(dict(model.named_modules()), shapes)
    return {stage: StageProfile(parameters[stage], flops[stage]) for stage in STAGES}


def stage_flops(modules: Mapping[str, nn.Module], shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
    """Only the operations, of modules by name."""
    flops = dict.fromkeys(STAGES, 0)
    for called, shape in shapes.items():
        name = called.split("@")[0]
        if (module := modules.get(name)) and (counted := module_flops(module, shape)):
            flops[stage_of(name)] += counted
    flops["overview"] = sum(flops.values())
    return flops


def module_flops(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Operations of one module of its own (children count for themselves), given its output shape."""
    if isinstance(module, nn.Conv2d):
        return 2 * prod(shape) * module.in_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return 2 * prod(shape) * module.in_features
    if isinstance(module, SelfAttention):  # B T D: query-key products, then the weighted sum of values
        return 4 * prod(shape) * shape[1]
    if isinstance(module, DeformableAttention):  # B Q D: mix what every point reads, then the weighted sum
        return prod(shape) * sum(module.num_points) * (2 + (0 if module.method == "discrete" else BILINEAR_FLOPS))
    return 0
