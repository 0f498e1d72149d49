"""Weights from a file, as a configuration and a state dict that fits it: of this project, official, or of transformers.

Loading is strict in both directions: every tensor of the model must be in the file, with its shape, and nothing else,
apart from what no pass at inference needs. Everything that can be known is read from the tensors (see `recognise.py`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights import keys
from rtdetr_explained.weights.beside import (
    complete_from_config_json,
    complete_from_metadata,
    complete_from_official,
    with_names,
)
from rtdetr_explained.weights.reading import EXPECTED, check_finite, read_tensors, shorten, weights_in, without_prefixes
from rtdetr_explained.weights.recognise import SIGNATURES, Layout, recognise
from rtdetr_explained.weights.saving import NUM_BATCHES
from rtdetr_explained.weights.strangers import stranger

TABLES: dict[Layout, keys.Table] = {"official": keys.OFFICIAL, "transformers": keys.TRANSFORMERS}
DENOISING = "denoising.class_embed.weight"


class Weights(NamedTuple):
    """What a file of weights holds; `remarks` are sentences about what was taken otherwise than usual."""

    config: ModelConfig
    state: dict[str, Tensor]
    remarks: tuple[str, ...]


def load_weights(path: str | os.PathLike, names: str | os.PathLike | None = None) -> Weights:
    """Read a file of weights, or the one in a folder: its configuration and a float32 state dict that fits `RTDETR`.

    `names` is a file with names of classes, for weights that hold none. Raises InputError, one sentence that says what
    was found and what was expected, for anything else.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = weights_in(path)
    tensors, metadata = read_tensors(path)
    tensors = without_prefixes(tensors, tuple(SIGNATURES))
    layout: Layout | None = next((layout for name, layout in SIGNATURES.items() if name in tensors), None)
    if layout is None:
        raise InputError(describe_stranger(path, tensors))
    anchors = None
    if layout == "official":
        anchors = tensors.pop("decoder.anchors", None)
        tensors.pop("decoder.valid_mask", None)
        tensors = keys.official_version_2(tensors)
    if layout == "transformers":
        tensors = keys.transformers_on_disk(tensors)
    state, unknown = keys.to_ours(tensors, TABLES[layout]) if layout in TABLES else (tensors, [])
    check_finite(state, path)
    remarks = []
    try:
        config = complete_from_metadata(recognise(state, layout), metadata)
        if layout == "official":
            config = complete_from_official(config, path, anchors)
        if layout == "transformers":
            config = complete_from_config_json(config, path)
        if DENOISING not in state:
            config = replace(config, num_denoising=0)
            remarks.append("It was saved without the denoising embedding, so that the denoising stage cannot be shown.")
        expected = expected_tensors(config)
    except InputError as error:
        raise InputError(f"{path.name} has the {layout} layout of RT-DETR, but {error}.") from None
    for name, tensor in expected.items():
        if name in state:
            continue
        if name.endswith(NUM_BATCHES) or name == DENOISING:  # a counter, which many files leave out; see above
            state[name] = torch.zeros_like(tensor, device="cpu")
        if name.endswith("num_points_scale") and config.version == 1:
            state[name] = torch.tensor([1 / points for points in config.num_points for _ in range(points)])
    if problems := mismatches(state, expected, unknown, TABLES.get(layout)):
        raise InputError(f"{path.name} looks like {config.name} in the {layout} layout, but {problems}.")
    if names is not None:
        config = with_names(config, Path(names))
    if config.version == 1:
        remarks.append(
            "These are weights of RT-DETR version 1: every level has the same number of points, read bilinearly."
        )
    if layout != "rtdetr-explained" and config.image_size[0] != config.image_size[1]:
        remarks.append(
            "The input is no square: the official code numbers the position codes of AIFI column by column, this one "
            "row by row, so that results can differ from those of the official code."
        )
    state = {n: t.float() if t.is_floating_point() else t for n, t in state.items()}
    return Weights(config, state, tuple(remarks))


class OnlyShapes(TorchFunctionMode):
    """Where tensors are made without memory and never filled.

    `torch.device("meta")` would also work out what the initial values do, and for that import torch's compiler, which
    takes longer than all the rest of loading.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.empty, torch.zeros, torch.ones):
            return func(*args, **{**kwargs, "device": "meta"})
        if func.__name__.endswith("_") and not func.__name__.endswith("__"):  # works in place
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def expected_tensors(config: ModelConfig) -> dict[str, Tensor]:
    """Names, shapes and types of the tensors of a model, without its memory."""
    try:
        with OnlyShapes():
            return RTDETR(config).state_dict()
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise InputError(f"no model can be built from its configuration ({error})") from None


def mismatches(
    state: dict[str, Tensor], expected: dict[str, Tensor], unknown: list[str], table: keys.Table | None
) -> str:
    """What is missing, unexpected or of another shape, in words and with the file's own names; "" when all fits."""

    def name_in_file(name: str) -> str:
        return (keys.translate(name, table) if table else None) or name

    missing = [name_in_file(name) for name in expected if name not in state]
    unexpected = unknown + [name_in_file(name) for name in state if name not in expected]
    shapes = [
        f"{name_in_file(name)} {list(tensor.shape)} instead of {list(expected[name].shape)}"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    parts = [
        f"{len(names)} tensor{'s'[: len(names) > 1]} {what} ({shorten(names)})"
        for names, what in ((missing, "missing"), (unexpected, "not expected"), (shapes, "of another shape"))
        if names
    ]
    return "it has " + ", ".join(parts) if parts else ""


def describe_stranger(path: Path, tensors: dict[str, Tensor]) -> str:
    """One sentence about a file in which no RT-DETR was found."""
    if tool := stranger(tensors):
        return f"{path.name} is a checkpoint of {tool}; only RT-DETR can be read."
    found = f"{len(tensors)} tensors ({shorten(tensors)})" if tensors else "no tensors"
    return f"{path.name} holds {found}; expected were {EXPECTED}."
