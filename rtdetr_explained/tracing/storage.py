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

from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.checking import check_contents, clean, profile_of, site_of, sizes_of
from rtdetr_explained.tracing.trace import Trace
from rtdetr_explained.writing import unfinished

SCHEMA = 2  # 1 did not cover types and shapes by the checksum
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
        manifest = json.loads(metadata["manifest"])
        if manifest["schema"] != SCHEMA:
            version = f"its schema is version {manifest['schema']!r}, this program reads version {SCHEMA}"
            raise InputError(f"{version}; trace the image again.")
        if metadata["sha256"] != digest(metadata["manifest"], arrays):
            raise InputError("it is damaged, since its checksum is another.")
        return from_manifest(clean(manifest), arrays)
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
    """SHA-256 over the manifest and the names, types, shapes and values of all arrays, in hexadecimal."""
    sha256 = hashlib.sha256(manifest.encode())
    for name in sorted(arrays):
        sha256.update(f"\0{name}\0{arrays[name].dtype}\0{arrays[name].shape}\0".encode())
        sha256.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()


def from_manifest(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> Trace:
    """Build the trace; raises InputError when manifest and arrays do not fit each other."""
    infos = {}
    for info in map(site_of, manifest["sites"]):
        infos[info.name] = info
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
        shapes={name: sizes_of(shape) for name, shape in manifest["shapes"].items()},
        times_ms=manifest["times_ms"],
        profile=profile_of(manifest["profile"]),
        photo_jpeg=photo,
        meta=manifest["meta"],
    )
    check_contents(trace)
    return trace
