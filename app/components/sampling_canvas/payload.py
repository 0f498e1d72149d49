"""All sampling points of a trace as one object of bytes: what a browser needs to answer the pointer by itself.

Section "photo" is a JPEG; "arrays" is one zlib stream, in which `header["arrays"]` gives the place, type and shape of
each array. Whole numbers of 16 bits lie in two planes, all low bytes and then all high bytes, which compress better.
"""

from __future__ import annotations

import hashlib
import json
import zlib

import numpy as np

from app.components import payload
from rtdetr_explained.drawing.colors import (
    COMPARED,
    LEVEL_COLORS,
    LEVEL_MARKERS,
    LEVEL_NAMES,
    ON_PHOTO,
    OVERLAY,
    PHOTO_HALO,
    SELECTED,
)
from rtdetr_explained.drawing.photo import photo_jpeg
from rtdetr_explained.illustrations.deformable_attention.points import WEIGHT_STEPS, weight_steps
from rtdetr_explained.illustrations.deformable_attention.sampling import is_discrete, level_of_points, of_layer, star
from rtdetr_explained.model.config import OFFSET_SCALE
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace

FINEST_OFFSET_STEP = 1 / 512  # half of it moves a point of a box as wide as the photo by an 8,000th of the photo
SMALLEST_REACH = 1e-4  # of the image; below it a location no longer tells its offset
COMPRESSION = 4  # of 9: the last percent would take most of the time


def pack(trace: Trace) -> bytes:
    """Photo, boxes, and the points of all layers and queries with their weights.

    Offsets are rounded to steps of 1/512 (coarser when one is beyond 64) and weights to four decimals; boxes stay
    float32. The receiver gets a location as the model does: reference + offset × scale × box size × 0.5. Where an edit
    moved a point, the offset is the one that leads to its new place. `id` in the header is one and the same for
    payloads with the same content.
    """
    boxes, offsets, weights = _points(trace)
    step = FINEST_OFFSET_STEP
    while np.abs(offsets).max(initial=0) / step > np.iinfo(np.int16).max:
        step *= 2
    arrays = {
        "reference_boxes": boxes.astype("<f4"),  # L Q 4
        "boxes": trace.boxes.astype("<f4"),  # Q 4
        "scores": trace.scores.astype("<f4"),  # Q
        "labels": trace.labels.astype("<f4"),  # Q
        "offsets": np.round(offsets / step).astype("<i2"),  # L Q H P 2
        "weights": weight_steps(weights).astype("<u2"),  # L Q H P
    }
    places, stream, start = {}, b"", 0
    for name, array in arrays.items():
        places[name] = {"start": start, "type": array.dtype.str[1:], "shape": array.shape}
        stream += _planes(array) if array.itemsize == 2 else array.tobytes()
        start += array.nbytes
    photo, packed = photo_jpeg(trace.photo), zlib.compress(stream, COMPRESSION)
    header = _described(trace) | {
        "id": hashlib.sha256(photo + packed + json.dumps(_described(trace)).encode()).hexdigest()[:16],
        "arrays": places,
        "offset_step": step,
        "weight_step": 1 / WEIGHT_STEPS,
    }
    return payload.pack(header, {"photo": photo, "arrays": packed})


def _points(trace: Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference boxes (L Q 4, cxcywh in 0..1), offsets (L Q H P 2) and weights (L Q H P), in float32."""
    layers = [choose(trace, layer=layer) for layer in range(trace.num_layers)]
    boxes = np.stack([choice.rows(f"decoder.layers.{choice.layer}.reference_boxes") for choice in layers])
    raw, weights, locations = (
        np.stack([of_layer(choice, name) for choice in layers]).astype(np.float32)
        for name in ("offsets", "weights", "sampling_locations")
    )
    num_points = np.array(trace.meta["config"]["num_points"], np.float32)
    scale = (1 / num_points)[level_of_points(trace)][:, None]  # P 1
    center, size = boxes[:, :, None, None, :2], boxes[:, :, None, None, 2:]  # L Q 1 1 2
    reach = scale * size * OFFSET_SCALE  # L Q 1 P 2
    # A trace keeps raw offsets in half precision and locations in full, so the locations know the offsets better.
    exact = (locations - center) / np.maximum(reach, SMALLEST_REACH)
    return boxes, np.where(reach > SMALLEST_REACH, exact, raw), weights


def _described(trace: Trace) -> dict:
    """What the numbers are about."""
    config = trace.meta["config"]
    return {
        "image_size": trace.image_size,
        "class_names": trace.class_names,
        "num_points": config["num_points"],
        "levels": [
            {"name": name, "color": color, "marker": marker, "rows": rows, "columns": columns}
            for name, color, marker, (rows, columns) in zip(
                LEVEL_NAMES, LEVEL_COLORS, LEVEL_MARKERS, trace.map_sizes, strict=True
            )
        ],
        "discrete": is_discrete(trace),
        "offset_scale": OFFSET_SCALE,
        "untrained_directions": star(config["num_heads"]).tolist(),
        "colors": {
            "selected": SELECTED,
            "compared": COMPARED,
            "on_photo": ON_PHOTO,
            "halo": PHOTO_HALO,
            "overlay": OVERLAY,
        },
    }


def _planes(array: np.ndarray) -> bytes:
    """An array of 16-bit numbers with all low bytes first."""
    return np.frombuffer(array.tobytes(), np.uint8).reshape(-1, 2).T.tobytes()
