"""Weights to files: this project's safetensors, the official `.pth`, and the names of transformers."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save as serialize
from torch import Tensor

from rtdetr_explained.model.config import LEVEL_STRIDES, ModelConfig
from rtdetr_explained.model.query_selection import make_anchors
from rtdetr_explained.weights import keys
from rtdetr_explained.writing import unfinished

FORMAT = "rtdetr-explained"
NUM_BATCHES = "num_batches_tracked"


def save_weights(
    path: str | os.PathLike, state: dict[str, Tensor], config: ModelConfig, dtype: torch.dtype | None = None
) -> None:
    """Write this project's safetensors, with the configuration and class names as metadata.

    With `dtype` (float16 halves the file) floating tensors are stored in it, apart from the points' scale, which must
    stay exact. Raises ValueError when a value does not fit into it.
    """
    stored = {}
    for name, tensor in state.items():
        if dtype is not None and tensor.is_floating_point() and not name.endswith("num_points_scale"):
            stored[name] = tensor.detach().cpu().to(dtype).contiguous()
            if not stored[name].isfinite().all():
                raise ValueError(f"{name} holds values that {dtype} cannot; save it in float32.")
        else:
            stored[name] = tensor.detach().cpu().contiguous()
    metadata = {"format": FORMAT, "config": json.dumps(asdict(config))}
    with unfinished(Path(path)) as part:
        part.write_bytes(serialize(stored, metadata))  # safetensors' own save_file makes files nobody else may read


def to_official(state: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Convert to the state dict that the official code loads strictly, its anchors and valid mask included."""
    h, w = config.image_size
    anchors, valid = make_anchors([(h // stride, w // stride) for stride in LEVEL_STRIDES])
    return {
        **keys.from_ours(state, keys.OFFICIAL),
        "decoder.anchors": anchors,
        "decoder.valid_mask": valid,
    }


def save_official(path: str | os.PathLike, state: dict[str, Tensor], config: ModelConfig) -> None:
    """Write a `.pth` nested like the published ones, to train here and deploy with the official code."""
    official = {name: tensor.detach().cpu() for name, tensor in to_official(state, config).items()}
    with unfinished(Path(path)) as part:
        torch.save({"ema": {"module": official}}, part)


def to_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert to the names of transformers' files; its backbone norms are always frozen and count no batches."""
    counters = {name for name in state if name.startswith("backbone.") and name.endswith(NUM_BATCHES)}
    return keys.from_ours({name: t for name, t in state.items() if name not in counters}, keys.TRANSFORMERS)


def weights_hash(state: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, independent of the order and of the file they came from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
