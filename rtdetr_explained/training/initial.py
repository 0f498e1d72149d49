"""Weights to begin with: those of another model, as far as they fit, so that a detector learns other classes."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rtdetr_explained.errors import InputError
from rtdetr_explained.loading import load
from rtdetr_explained.model import keys
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.recognise import STRUCTURE
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.model.weights import NUM_BATCHES, mismatches, read_tensors
from rtdetr_explained.model.zoo import ZOO

PREFIX = "backbone."


def initial_weights(weights: str, wanted: ModelConfig) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Read a published model by name or a weights file: its architecture at the wanted input size, and its tensors.

    Sampling is discrete where the wanted model or the weights have it so. Raises InputError when layers or sampling
    points are not those of the wanted model; classes may differ.
    """
    detector = load(weights, deploy=False)
    found = detector.config
    different = [name for name in (*STRUCTURE, "num_points") if getattr(found, name) != getattr(wanted, name)]
    if different:
        raise InputError(
            f"The weights {weights} are of {found.name}, not of {wanted.name} ({different[0]} is "
            f"{getattr(found, different[0])} instead of {getattr(wanted, different[0])}); choose the same --model."
        )
    discrete = "discrete" in (found.cross_attn_method, wanted.cross_attn_method)
    return (
        replace(found, image_size=wanted.image_size, cross_attn_method="discrete" if discrete else "default"),
        detector.model.state_dict(),
    )


def begin(model: RTDETR, state: dict[str, Tensor] | None, backbone: str) -> list[str]:
    """Fill a new model from the weights read before, or its backbone from a file; returns lines that say what was."""
    if state is not None:
        return adopt(model, state)
    if backbone:
        load_backbone(model, backbone)
        return [f"The backbone comes from {backbone}; everything else begins at random."]
    if model.config.name in ZOO and ZOO[model.config.name].url:
        return [
            f"Everything begins at random; the published {model.config.name} began with a backbone trained on "
            "ImageNet, which --backbone takes."
        ]
    return []


def load_backbone(model: RTDETR, file: str) -> None:
    """Fill the backbone from a file of the official PResNet, the ImageNet weights that the published runs began with.

    Names are the official ones with or without `backbone.` before them; of a whole detector the rest is passed over.
    Raises InputError unless every tensor of the backbone is there in its shape, and no other.
    """
    path = Path(file)
    if not path.is_file():
        raise InputError(f"There is no file {path}; give a .pth or .safetensors file of a backbone.")
    tensors, _ = read_tensors(path)
    whole = {name: tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    tensors = whole or {PREFIX + name: tensor for name, tensor in tensors.items()}
    state, unknown = keys.to_ours(tensors, keys.OFFICIAL)
    expected = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(PREFIX)}
    # Counters of batches do not matter, and frozen norms have none.
    counters = {name: tensor for name, tensor in expected.items() if name.endswith(NUM_BATCHES)}
    state = {name: tensor for name, tensor in state.items() if not name.endswith(NUM_BATCHES)} | counters
    if problems := mismatches(state, expected, unknown, "official"):
        raise InputError(f"{path.name} does not hold the backbone of {model.config.name}: {problems}.")
    model.load_state_dict(state, strict=False)


@torch.no_grad()
def adopt(model: RTDETR, state: dict[str, Tensor]) -> list[str]:
    """Copy every tensor whose name and shape fit; returns lines that say what was copied and what begins at random."""
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and value.shape == own[name].shape}
    model.load_state_dict(fitting, strict=False)
    lines = [f"{len(fitting)} of {len(own)} tensors come from the weights given."]
    for name, tensor in own.items():
        if name not in fitting:
            had = (
                f"its shape is {list(tensor.shape)}, not {list(state[name].shape)}"
                if name in state
                else "not in the file"
            )
            lines.append(f"Begins at random: {name} ({had}).")
    return lines
