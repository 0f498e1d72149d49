"""A deploy copy of the model: every norm folded into its convolution, RepVGG branches merged, channels-last layout.

Source of the RepVGG rule: 2101.03697, section 3.3. The reference folds the RepVGG branches only; folding every norm and
the channels-last layout are what makes the copy faster on a CPU.
"""

import copy

import torch
from torch import Tensor, nn

from rtdetr_explained.model.backbone import Shortcut
from rtdetr_explained.model.ccff import RepVggBlock
from rtdetr_explained.model.layers import ConvNorm, fold_norm
from rtdetr_explained.model.rtdetr import RTDETR


def fuse(model: RTDETR) -> RTDETR:
    """Returns the deploy copy, in evaluation mode; the model itself is not changed. Outputs agree within 1e-3."""
    fused = copy.deepcopy(model)
    fuse_below(fused)
    # torch's stubs know no `to` of a module with a memory format alone, nor tuples of one length for a convolution.
    return fused.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def fuse_below(module: nn.Module) -> None:
    """Replace the convolutions with norm among the descendants of `module`."""
    for name, child in module.named_children():
        if isinstance(child, RepVggBlock):
            setattr(module, name, nn.Sequential(merge_branches(child), nn.SiLU(inplace=True)))
        elif isinstance(child, ConvNorm):
            child.fold()
            if isinstance(child.act, nn.SiLU):
                child.act = nn.SiLU(inplace=True)
        elif isinstance(child, Shortcut):
            child.conv, child.norm = fold_norm(child.conv, child.norm), nn.Identity()
        else:
            fuse_below(child)


def merge_branches(block: RepVggBlock) -> nn.Conv2d:
    """One 3x3 convolution that equals the sum of the block's 3x3 and 1x1 branches."""
    merged = fold_norm(block.conv1.conv, block.conv1.norm)
    small = fold_norm(block.conv2.conv, block.conv2.norm)
    assert merged.bias is not None
    assert small.bias is not None
    with torch.no_grad():
        merged.weight += centred(small.weight)
        merged.bias += small.bias
    return merged


def centred(weight: Tensor) -> Tensor:
    """A 1x1 kernel in the middle of a 3x3 one."""
    return nn.functional.pad(weight, (1, 1, 1, 1))
