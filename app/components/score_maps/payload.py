"""The score maps for the browser: photo, tokens and what is marked, as one piece of bytes."""

from __future__ import annotations

import io

from PIL import Image

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
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.illustrations.query_selection.place import answer
from rtdetr_explained.illustrations.query_selection.tokens import CLEAR, log_ticks, score_range
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView
from rtdetr_explained.tracing.trace import Trace

PHOTO_PX, PHOTO_QUALITY = 800, 75  # of the grey photo below the maps
CHOSEN, NEAR, GAINED, LOST, INVALID = 1, 2, 4, 8, 16  # bits of a token's state


def pack(view: QuerySelectionView, trace: Trace) -> bytes:
    """The maps with what is marked in them.

    Sections, each as long as there are tokens: `scores` float32, `ranks` uint32, `labels` int16, `state` uint8 (bits:
    chosen, near miss, gained and lost in a re-run, anchor not valid), `queries` int32 (-1: none), `times` uint16; and
    `photo`, a grey JPEG.
    """
    every = view.tokens
    state = CHOSEN * every.chosen + NEAR * every.near + INVALID * ~every.valid
    if view.change is not None:
        state[view.change.gained] |= GAINED
        state[view.change.lost] |= LOST
    sections = {
        "scores": every.scores.astype("<f4"),
        "ranks": every.ranks.astype("<u4"),
        "queries": every.queries.astype("<i4"),
        "labels": every.labels.astype("<i2"),
        "times": every.times.astype("<u2"),
        "state": state.astype("u1"),
    }
    low, high = score_range(every.scores, CLEAR)
    ticks = log_ticks(low, high)
    header = {
        "sizes": every.map_sizes,
        "image": view.image_size,
        "unit": view.unit,
        "levels": LEVEL_NAMES,
        "colors": LEVEL_COLORS,
        "markers": LEVEL_MARKERS,
        "selectedColor": SELECTED,
        "comparedColor": COMPARED,
        "light": ON_PHOTO,
        "dark": PHOTO_HALO,
        "overlay": OVERLAY,
        "classes": every.class_names,
        "range": [low, high],
        "ticks": [[tick, f"{10**tick:.2g}"] for tick in ticks],
        "cutoff": view.cutoff,
        "kept": view.kept,
        "near": int(every.near.sum()),
        "selected": int(trace.token_indices[view.query]),
        "query": view.query,
        "only": view.only,
        "place": None if view.place is None else view.place.place,
        "answer": "" if view.place is None else answer(view.place),
    }
    pieces = {name: array.tobytes() for name, array in sections.items()}
    return payload.pack(header, pieces | {"photo": grey_jpeg(view.photo)})


def grey_jpeg(photo: Image.Image) -> bytes:
    """The photo in grey and darkened, the ground of the overlay."""
    small = photo.copy()
    small.thumbnail((PHOTO_PX, PHOTO_PX))
    buffer = io.BytesIO()
    soft_photo(small, 0.85).convert("L").save(buffer, "JPEG", quality=PHOTO_QUALITY)
    return buffer.getvalue()
