"""What no tensor shows and something beside the weights tells: names of classes, size of the input, sampling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.weights.recognise import SHOWN_BY_TENSORS, image_size_of_anchors
from rtdetr_explained.weights.saving import FORMAT


def complete_from_metadata(config: ModelConfig, metadata: Mapping[str, Any]) -> ModelConfig:
    """Add what `save_weights` or a checkpoint of this project wrote; what tensors show stays as they show it."""
    try:
        if isinstance(metadata.get("model_config"), Mapping):
            written = metadata["model_config"]
        elif metadata.get("format") == FORMAT and "config" in metadata:
            written = json.loads(metadata["config"])
        else:
            return config
        # Each value takes the type it has in the configuration, which also turns JSON's lists into tuples.
        values: dict[str, Any] = {
            k: type(getattr(config, k))(v) for k, v in written.items() if k not in SHOWN_BY_TENSORS
        }
        return replace(config, **values)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"the configuration in its metadata cannot be used ({error})") from None


def complete_from_official(config: ModelConfig, path: Path, anchors: Tensor | None) -> ModelConfig:
    """Add what an official file shows only indirectly: input size in the anchors, discrete sampling in the name."""
    size = image_size_of_anchors(anchors) if anchors is not None else None
    discrete = "_dsp" in path.stem  # the tensors of discrete-sampling models are those of the base models
    return replace(
        config,
        image_size=size or config.image_size,
        cross_attn_method="discrete" if discrete else config.cross_attn_method,
    )


def complete_from_config_json(config: ModelConfig, path: Path) -> ModelConfig:
    """Add what transformers keeps beside the weights: class names, number of queries, sampling, size of the input."""
    values = read_json(path.with_name("config.json"))
    if values.get("model_type") in ("rt_detr", "rt_detr_v2"):
        try:
            config = replace(
                config,
                num_queries=int(values.get("num_queries", config.num_queries)),
                cross_attn_method=values.get("decoder_method", config.cross_attn_method),
            )
            if config.version == 1:  # its tensors show the product of heads and points only
                points, rows = int(values.get("decoder_n_points", 4)), config.num_heads * sum(config.num_points)
                config = replace(config, num_points=(points,) * 3, num_heads=rows // (3 * points))
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise InputError(f"the config.json beside it cannot be used ({error})") from None
        names = values.get("id2label")
        if isinstance(names, dict) and set(names) == {str(i) for i in range(config.num_classes)}:
            in_order = tuple(str(names[str(i)]) for i in range(config.num_classes))
            if in_order != tuple(f"LABEL_{i}" for i in range(len(in_order))):  # what transformers writes by itself
                config = replace(config, class_names=in_order)
    size = read_json(path.with_name("preprocessor_config.json")).get("size")
    if not (isinstance(size, dict) and {"height", "width"} <= size.keys()):
        return config
    try:
        return replace(config, image_size=(int(size["height"]), int(size["width"])))
    except (ValueError, TypeError) as error:
        raise InputError(f"the input size in the preprocessor_config.json beside it cannot be used ({error})") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is no such file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"the {path.name} beside it cannot be read ({error})") from None
    return values if isinstance(values, dict) else {}


def with_names(config: ModelConfig, file: Path) -> ModelConfig:
    """The configuration with the class names of a file: one a line, a JSON list, or COCO JSON with categories.

    One name less than there are classes means that ids were counted from 1, as the official code does without its
    remapping: class 0 was never used. Raises InputError for any other number.
    """
    try:
        text = file.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The names in {file} cannot be read ({error}); give a text file, one name a line.") from None
    names = names_in(text)
    if len(names) == config.num_classes - 1:
        names = ["(class 0)", *names]
    if len(names) != config.num_classes:
        raise InputError(
            f"{file.name} has {len(names)} names, but the weights have {config.num_classes} classes; give "
            "one name for each."
        )
    return replace(config, class_names=tuple(names))


def names_in(text: str) -> list[str]:
    """The names in a JSON list, an object from ids to names, the categories of COCO JSON, or lines."""
    try:
        values = json.loads(text)
    except ValueError:
        return [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(values, dict) and isinstance(values.get("categories"), list):
        values = values["categories"]
    if isinstance(values, dict):
        values = [values[key] for key in sorted(values, key=lambda key: int(key) if key.isdigit() else 0)]
    if not isinstance(values, list):
        return []
    return [str(value["name"] if isinstance(value, dict) and "name" in value else value) for value in values]
