"""Weights to begin with: those of another model, as far as they fit, so that a detector learns other classes."""

from dataclasses import replace

import torch
from torch import Tensor

from rtdetr_explained.errors import InputError
from rtdetr_explained.loading import load
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.recognise import STRUCTURE
from rtdetr_explained.model.rtdetr import RTDETR


def initial_weights(weights: str, wanted: ModelConfig) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Read a published model by name or a weights file: its architecture at the wanted input size, and its tensors.

    Raises InputError when its layers are not those of the wanted model; classes may differ.
    """
    detector = load(weights, deploy=False)
    found = detector.config
    different = [name for name in STRUCTURE if getattr(found, name) != getattr(wanted, name)]
    if different:
        raise InputError(
            f"The weights {weights} are of {found.name}, not of {wanted.name} ({different[0]} is "
            f"{getattr(found, different[0])} instead of {getattr(wanted, different[0])}); choose the same --model."
        )
    return replace(found, image_size=wanted.image_size), detector.model.state_dict()


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
