"""The sampling canvas: where queries look, answered by the browser alone.

Python sends the photo and all points once and is told what was pinned; see `canvas.js` for the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import streamlit as st

from app.components import bundle
from app.components.payload import read_header
from app.components.sampling_canvas import payload as sampling_payload
from app.session import models, state
from app.session.state import Selected
from rtdetr_explained.tracing.trace import Trace

HERE = Path(__file__).parent
FIELDS = ("query", "compare", "layer", "head", "level", "point")
"""What the canvas selects; the names are those of the view state."""

_PACKED: WeakKeyDictionary[Trace, bytes] = WeakKeyDictionary()  # a payload lives as long as the trace it was made of


_canvas = bundle.mount("rtdetr_sampling_canvas", HERE / "canvas.js")
_view = bundle.mount("rtdetr_sampling_view", HERE / "view.js")


def show(view: Selected, trace: Trace, *, key: str = "sampling_canvas", height: int = 540) -> None:
    """Draw the canvas of a trace, its stage at most `height` pixels high.

    What is pinned, compared or chosen there is written to the view state. What the pointer does between, and zoom and
    least weight, stay in the browser and are not touched by a run of the script.
    """
    payload = _payload(trace)
    limits = models.limits(trace)
    known: dict[str, Any] = {
        "pinned": _fits(state.current().query, limits.query),
        "layer": min(view.layer, trace.num_layers - 1),
        **{name: _fits(getattr(view, name), getattr(limits, name)) for name in ("compare", "head", "level", "point")},
        "threshold": view.threshold,
        "unit": view.unit,
        "height": height,
        "seq": st.session_state.get(_seq(key), 0),
    }
    with st.container(gap=None):
        _canvas(key=key, data=payload, on_select_change=lambda: _selected(key, trace), height="content")
        _view(key=f"{key}_view", data={"id": read_header(payload)["id"], "view": known}, height="content")


def _payload(trace: Trace) -> bytes:
    packed = _PACKED.get(trace)
    if packed is None:
        packed = _PACKED[trace] = sampling_payload.pack(trace)
    return packed


def _selected(key: str, trace: Trace) -> None:
    """Write what the canvas says to the view state; it comes from a browser, so it is checked."""
    said = st.session_state[key]["select"]
    limits = models.limits(trace)
    state.change(**{name: _fits(said.get(name), getattr(limits, name)) for name in FIELDS})
    st.session_state[_seq(key)] = _fits(said.get("seq"), 2**31) or 0


def _fits(value: Any, count: int) -> int | None:
    return value if isinstance(value, int) and 0 <= value < count else None


def _seq(key: str) -> str:
    return f"{key}_seq"
