"""What a trace from a file must hold, so that a hole or a wrong type shows when it is loaded and not on a page later.

The checksum says that a file is as it was written, not that a trace was written.
"""

from dataclasses import fields
from math import isfinite
from typing import Any

import numpy as np
from PIL import Image

from rtdetr_explained.data.images import open_image
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.printable import printable
from rtdetr_explained.tracing.edits import from_dict
from rtdetr_explained.tracing.sites import STAGES, SiteInfo
from rtdetr_explained.tracing.trace import PHOTO_SIDE_PX, StageProfile, Trace


def clean(value: Any) -> Any:
    """JSON with every text of it printable: names in a file are those of strangers."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): clean(item) for key, item in value.items()}
    return value


def is_count(value: Any, least: int = 0) -> bool:
    """Whether this is a whole number of at least so much; True is none."""
    return type(value) is int and value >= least


def is_number(value: Any) -> bool:
    """Whether this is a finite number; True is none."""
    return type(value) in (int, float) and isfinite(value)


def sizes_of(value: Any) -> tuple[int, ...]:
    """The sizes of a tensor's axes."""
    if not (isinstance(value, list) and all(map(is_count, value))):
        raise InputError("it gives a tensor a shape that is no list of sizes.")
    return tuple(value)


def site_of(data: dict[str, Any]) -> SiteInfo:
    """A site of the manifest."""
    info = SiteInfo(**{**data, "axes": tuple(data["axes"]), "shape": sizes_of(data["shape"])})
    words = (info.name, info.unit, info.doc, info.dtype, *info.axes)
    if not (
        all(isinstance(word, str) for word in words) and isinstance(data["axes"], list) and info.captured in (0, 1)
    ):
        raise InputError("a site of it has names that are no words.")
    if len(info.axes) != len(info.shape):
        raise InputError(f"{info.name} names {len(info.axes)} axes for {len(info.shape)} dimensions.")
    return info


def profile_of(data: dict[str, dict[str, Any]]) -> dict[str, StageProfile]:
    """Size and cost of the stages."""
    profile = {stage: StageProfile(**costs) for stage, costs in data.items()}
    if profile.keys() != set(STAGES) or not all(
        is_count(getattr(p, f.name)) for p in profile.values() for f in fields(p)
    ):
        raise InputError("its times and costs are not those of the eight stages.")
    return profile


def check_contents(trace: Trace) -> None:
    """Raise InputError when facts, tensors and photo do not fit each other, KeyError when one is missing."""
    check_facts(trace)
    (Q, C), (L, R, layer_classes) = trace.logits.shape, trace.derived_values["layer_logits"].shape
    M = trace.meta["denoising"]["num_denoising"] if "denoising" in trace.meta else 0
    N = sum(h * w for h, w in trace.map_sizes)
    if not Q or not L or R != M + Q or not layer_classes == len(trace.class_names) == C:
        raise InputError("its layers, queries and class names do not fit together.")
    expected = {"query_selection.topk_indices": (Q,), "query_selection.anchors": (N, 4), "decoder.logits": (Q, C)}
    expected |= dict.fromkeys(("decoder.boxes", "query_selection.reference_boxes"), (Q, 4))
    expected |= {f"decoder.layers.{i}.boxes": (R, 4) for i in range(L)}
    for name, shape in expected.items():
        if trace.values[name].shape != shape:
            raise InputError(f"{name} has the shape {trace.values[name].shape}, but {shape} would fit the rest.")
    tokens = trace.token_indices
    if tokens.dtype.kind not in "iu" or not ((tokens >= 0) & (tokens < N)).all():
        raise InputError("its queries come from tokens that do not exist.")
    given = [
        trace.derived_values["layer_logits"],
        *(trace.values[n] for n in expected if n.endswith(("boxes", "logits"))),
    ]
    if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in given):
        raise InputError("its boxes or scores are not all numbers.")
    if "denoising" in trace.meta:
        check_denoising(trace.meta["denoising"], C)
    check_photo(trace)


def check_facts(trace: Trace) -> None:
    """Whether what a trace says of its model, image and making has the right types."""
    meta = trace.meta
    sites = [meta["sites"]] if isinstance(meta["sites"], str) else meta["sites"]
    words = [meta["model"], meta["weights_hash"], meta["image"]["sha256"], *meta["config"]["class_names"], *sites]
    if not all(isinstance(word, str) for word in words) or not isinstance(sites, list):
        raise InputError("its model, weights, classes and sites are not all named in words.")
    config: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in meta["config"].items()}
    try:
        ModelConfig(**config)
    except ValueError as error:
        raise InputError(f"its configuration is that of no model: {error}") from None
    except TypeError:
        raise InputError("its configuration is that of no model; it has other fields or types.") from None
    h, w = meta["input_size"]
    if not all(is_count(side, 1) for side in (*trace.image_size, h, w)):
        raise InputError("the size of its image or of the network's input is no number of pixels.")
    if not trace.times_ms.keys() <= set(STAGES) or not all(map(is_number, trace.times_ms.values())):
        raise InputError("its times and costs are not those of the eight stages.")
    if not (meta["seed"] is None or type(meta["seed"]) is int):
        raise InputError("its seed is no whole number.")
    for data in meta["edits"]:
        from_dict(data)


def check_denoising(facts: dict[str, Any], num_classes: int) -> None:
    """Whether the groups of denoising queries and the objects that they were made of are told in full."""
    counts = groups, size, count = facts["num_groups"], facts["group_size"], facts["num_denoising"]
    labels, boxes = facts["targets"]["labels"], facts["targets"]["boxes"]
    whole = all(is_count(n, 1) for n in counts) and count == 2 * groups * size == 2 * len(facts["positive"])
    named = len(labels) == len(boxes) == size and all(is_count(n) and n < num_classes for n in labels)
    if not (whole and named and all(len(box) == 4 and all(map(is_number, box)) for box in boxes)):
        raise InputError("its denoising queries do not fit the objects that they were made of.")
    if facts["positive"] != [2 * size * group + i for group in range(groups) for i in range(size)]:
        raise InputError("its positive denoising queries are not in their places.")


def check_photo(trace: Trace) -> None:
    """Whether the photo is a JPEG of the size that traces keep, and can be decoded."""
    photo: Image.Image = open_image(trace.photo_jpeg)
    if not trace.photo_jpeg.startswith(b"\xff\xd8") or max(photo.size) > PHOTO_SIDE_PX:
        raise InputError(f"its photo is no JPEG of at most {PHOTO_SIDE_PX} px.")
