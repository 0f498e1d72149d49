"""A trace as one safetensors file with a JSON manifest in its header. Loading checks it and executes nothing."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from rtdetr_explained.data.images import open_image
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.edits import from_dict
from rtdetr_explained.tracing.sites import STAGES, SiteInfo
from rtdetr_explained.tracing.trace import StageProfile, Trace
from rtdetr_explained.writing import unfinished

SCHEMA = 1
DERIVED = "derived."
PHOTO = "photo"


def save_trace(trace: Trace, path: str | os.PathLike) -> None:
    """Write the trace; the file appears whole or not at all. Raises InputError when it cannot be written."""
    try:
        # Not safetensors' own save_file: it makes files that nobody else may read.
        with unfinished(Path(path)) as part:
            part.write_bytes(to_bytes(trace))
    except OSError as error:
        raise InputError(f"The trace could not be written to {path}: {error.strerror or error}.") from None


def to_bytes(trace: Trace) -> bytes:
    """The file that holds the trace."""
    arrays = dict(trace.values) | {DERIVED + name: array for name, array in trace.derived_values.items()}
    arrays[PHOTO] = np.frombuffer(trace.photo_jpeg, dtype=np.uint8)
    manifest = {
        "schema": SCHEMA,
        "meta": trace.meta,
        "sites": [asdict(info) for info in trace.site_infos.values()],
        "shapes": trace.shapes,
        "times_ms": trace.times_ms,
        "profile": {stage: asdict(profile) for stage, profile in trace.profile.items()},
    }
    text = json.dumps(manifest)
    return serialize(arrays, {"manifest": text, "sha256": digest(text, arrays)})


def load_trace(path: str | os.PathLike) -> Trace:
    """Read and check a trace; raises InputError with one sentence for anything that is not a whole, valid trace."""
    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
        if metadata["sha256"] != digest(metadata["manifest"], arrays):
            raise InputError("it is damaged, since its checksum is another.")
        return from_manifest(json.loads(metadata["manifest"]), arrays)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; give the path of a trace saved with trace.save().") from None
    except InputError as error:
        raise InputError(f"{path.name} is not a usable trace: {error}") from None
    except (SafetensorError, OSError):
        raise InputError(f"{path.name} is not a usable trace: it is cut short or no safetensors file.") from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path.name} is not a usable trace: its manifest is missing or malformed ({error})."
        ) from None


def digest(manifest: str, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the manifest and the names and values of all arrays, in hexadecimal."""
    sha256 = hashlib.sha256(manifest.encode())
    for name in sorted(arrays):
        sha256.update(name.encode())
        sha256.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()


def from_manifest(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> Trace:
    """Build the trace; raises InputError when manifest and arrays do not fit each other."""
    if manifest["schema"] != SCHEMA:
        raise InputError(f"its schema is version {manifest['schema']}, this program reads version {SCHEMA}.")
    infos = {}
    for site in manifest["sites"]:
        info = SiteInfo(**{**site, "axes": tuple(site["axes"]), "shape": tuple(site["shape"])})
        infos[info.name] = info
        if len(info.axes) != len(info.shape):
            raise InputError(f"{info.name} names {len(info.axes)} axes for {len(info.shape)} dimensions.")
        if info.captured:
            array = arrays.get(info.name)
            if array is None or array.shape != info.shape or str(array.dtype) != info.dtype:
                raise InputError(f"the values of {info.name} are missing or not of the stated shape and type.")
    photo = arrays.pop(PHOTO).tobytes()
    derived = {name.removeprefix(DERIVED): arrays.pop(name) for name in list(arrays) if name.startswith(DERIVED)}
    if strangers := [name for name in arrays if name not in infos or not infos[name].captured]:
        raise InputError(f"it holds values that its manifest does not name, such as {strangers[0]}.")
    for array in [*arrays.values(), *derived.values()]:
        array.setflags(write=False)
    trace = Trace(
        values={name: arrays[name] for name, info in infos.items() if info.captured},
        site_infos=infos,
        derived_values=derived,
        shapes={name: tuple(shape) for name, shape in manifest["shapes"].items()},
        times_ms=manifest["times_ms"],
        profile={stage: StageProfile(**profile) for stage, profile in manifest["profile"].items()},
        photo_jpeg=photo,
        meta=manifest["meta"],
    )
    check_contents(trace)
    return trace


def check_contents(trace: Trace) -> None:
    """Touch what every user of a trace relies on, so that a hole shows here and not later."""
    (Q, C), (L, R, layer_classes) = trace.logits.shape, trace.derived_values["layer_logits"].shape
    M = trace.meta["denoising"]["num_denoising"] if "denoising" in trace.meta else 0
    N = sum(h * w for h, w in trace.map_sizes)
    if not L or R != M + Q or not layer_classes == len(trace.class_names) == C:
        raise InputError("its layers, queries and class names do not fit together.")
    expected = {"query_selection.topk_indices": (Q,), "query_selection.anchors": (N, 4)}
    expected |= dict.fromkeys(("decoder.boxes", "query_selection.reference_boxes"), (Q, 4))
    expected |= {f"decoder.layers.{i}.boxes": (R, 4) for i in range(L)}
    for name, shape in expected.items():
        if trace.values[name].shape != shape:
            raise InputError(f"{name} has the shape {trace.values[name].shape}, but {shape} would fit the rest.")
    if not ((trace.token_indices >= 0) & (trace.token_indices < N)).all():
        raise InputError("its queries come from tokens that do not exist.")
    if not all(isinstance(side, int) and side > 0 for side in (*trace.image_size, *trace.input_size)):
        raise InputError("the size of its image or of the network's input is no number of pixels.")
    if trace.profile.keys() != set(STAGES) or not trace.times_ms.keys() <= set(STAGES):
        raise InputError("its times and costs are not those of the eight stages.")
    words = [trace.meta["model"], trace.meta["weights_hash"], *trace.class_names, *trace.meta["sites"]]
    if not all(isinstance(word, str) for word in words):
        raise InputError("its model, weights, classes and sites are not all named in words.")
    for data in trace.meta["edits"]:
        from_dict(data)
    open_image(trace.photo_jpeg)
