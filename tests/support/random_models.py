"""Models with random weights for tests: nothing at a default, nothing at zero, so that a wrong wiring shows."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rtdetr_explained.model.config import NANO, ModelConfig
from rtdetr_explained.model.layers import MLP, FrozenBatchNorm2d
from rtdetr_explained.model.rtdetr import RTDETR

# Small, and every size another one, so that two axes cannot be mistaken for each other.
TINY = replace(
    NANO,
    name="tiny",
    width=8,
    hidden_dim=32,
    encoder_ffn_dim=48,
    decoder_dim=24,
    decoder_ffn_dim=40,
    num_heads=4,
    num_points=(2, 4, 3),
    num_queries=20,
    num_denoising=10,
    class_names=("cup", "fork", "knife", "plate", "spoon"),
    image_size=(96, 128),
)


def random_model(config: ModelConfig = TINY, seed: int = 0) -> RTDETR:
    """A model in evaluation mode that behaves as if trained: norms, offsets, boxes and classes all differ."""
    torch.manual_seed(seed)
    model = RTDETR(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | FrozenBatchNorm2d | nn.LayerNorm):
            fill(module.weight, 0.3, 0.9)
            fill(module.bias, -0.3, 0.3)
    spread = 2 / config.decoder_dim**0.5
    for name, module in model.named_modules():
        if isinstance(module, MLP) and "bbox_head" in name:
            fill(module.layers[-1].get_parameter("weight"), -spread, spread)
            fill(module.layers[-1].get_parameter("bias"), -0.5, 0.5)
        elif name.endswith(("sampling_offsets", "attention_weights")):
            fill(module.get_parameter("weight"), -spread, spread)
        elif "score_head" in name and isinstance(module, nn.Linear):
            fill(module.weight, -spread, spread)
            fill(module.bias, -2.0, 0.0)
    model.eval()
    calibrate(model)
    return model


def calibrate(model: RTDETR) -> None:
    """Give every norm statistics near those it would have learned; else maps grow flat and all queries alike."""

    def hook(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        var, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
        norm.get_buffer("running_mean").copy_(mean + 0.1 * var.sqrt())
        norm.get_buffer("running_var").copy_(1.2 * var)

    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d | FrozenBatchNorm2d)]
    handles = [norm.register_forward_pre_hook(hook) for norm in norms]
    run(model, random_images(2, 160, 160))
    for handle in handles:
        handle.remove()


def fill(tensor: Tensor | None, low: float, high: float) -> None:
    assert tensor is not None
    with torch.no_grad():
        tensor.uniform_(low, high)


def random_images(*shape_bhw: int, seed: int = 1) -> Tensor:
    """A coarse random pattern, B 3 H W in 0..1."""
    batch, height, width = shape_bhw
    cells = torch.rand(batch, 3, 7, 9, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(cells, (height, width), mode="bilinear")


def random_photo(height: int, width: int, seed: int = 1) -> np.ndarray:
    """A coarse random pattern, uint8 H W 3: unlike noise it survives being resized."""
    cells = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return cells[np.arange(height) * 7 // height][:, np.arange(width) * 9 // width]


def run(model: RTDETR, images: Tensor, **arguments: Any) -> dict[str, Any]:
    """The model's outputs without gradients."""
    with torch.no_grad():
        return model(images, **arguments)


def seen_at(model: nn.Module, site: str, images: Tensor) -> Tensor:
    """What passes through one module in a forward pass."""
    seen, handle = watch(model.get_submodule(site))
    try:
        with torch.no_grad():
            model(images)
    finally:
        handle.remove()
    return seen[0]


def watch(module: nn.Module) -> tuple[list[Tensor], RemovableHandle]:
    """A list that gets every output of a module from now on, and what ends that."""
    seen: list[Tensor] = []

    def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
        seen.append(output)

    return seen, module.register_forward_hook(hook)
