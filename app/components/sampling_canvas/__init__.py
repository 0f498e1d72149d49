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
from app.session import said, state
from app.session.view import Selected
from rtdetr_explained.tracing.trace import Trace

HERE = Path(__file__).parent
FIELDS = {
    "query": "pinned",
    "all_queries": "all",
    "shape": "shapes",
    "weight": "minWeight",
    "grid": "ghost",
    **{name: name for name in ("compare", "layer", "head", "level", "point", "heat", "zoom")},
}
"""What is chosen in the canvas: fields of the view state, with their names there."""

_PACKED: WeakKeyDictionary[Trace, bytes] = WeakKeyDictionary()  # a payload lives as long as the trace it was made of


_canvas = bundle.mount("rtdetr_sampling_canvas", HERE / "canvas.js")
_view = bundle.mount("rtdetr_sampling_view", HERE / "view.js")


def show(view: Selected, trace: Trace, *, key: str = "sampling_canvas", height: int = 540) -> None:
    """Draw the canvas of a trace, its stage at most `height` pixels high.

    What is pinned, compared or chosen there is written to the view state, and so is the part of the photo that is seen.
    What the pointer does between stays in the browser.
    """
    payload = _payload(trace)
    known: dict[str, Any] = {
        **{there: getattr(view, here) for here, there in FIELDS.items()},
        "pinned": state.current().query,
        "threshold": view.threshold,
        "unit": view.unit,
        "height": height,
        "seq": st.session_state.get(_seq(key), 0),
    }
    with st.container(gap=None):
        _canvas(key=key, data=payload, on_select_change=lambda: _selected(key), height="content")
        _view(key=f"{key}_view", data={"id": read_header(payload)["id"], "view": known}, height="content")


def _payload(trace: Trace) -> bytes:
    packed = _PACKED.get(trace)
    if packed is None:
        packed = _PACKED[trace] = sampling_payload.pack(trace)
    return packed


def _selected(key: str) -> None:
    """Write what the canvas says to the view state."""
    message = said.message(key, "select")
    state.change(**{here: message[there] for here, there in FIELDS.items() if there in message})
    if type(message.get("seq")) is int:
        st.session_state[_seq(key)] = message["seq"]


def _seq(key: str) -> str:
    return f"{key}_seq"
