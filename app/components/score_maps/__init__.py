"""The score maps of query selection: pointed at and asked in the browser, with pointer, touch or keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from app.components import bundle
from app.components.score_maps import payload
from app.session import state
from app.session.state import Selected
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView
from rtdetr_explained.tracing.trace import Trace

KEY = "score_maps"

_maps = bundle.mount("rtdetr_score_maps", Path(__file__).parent / "score_maps.js")


def show(view: Selected, trace: Trace, data: QuerySelectionView) -> None:
    """Draw the maps; a click asks about its place and, on a chosen cell, selects the cell's query."""
    _maps(
        key=KEY,
        data=payload.pack(data, trace),
        on_ask_change=lambda: asked(st.session_state[KEY]["ask"], len(trace.logits)),
        height="content",
    )


def asked(value: Any, queries: int) -> None:
    """Take over a place, and the query that stands there, as the browser sent them; nonsense is left alone."""
    if not isinstance(value, dict):
        return
    query = value.get("query")
    place = [float(n) for n in (value.get("x"), value.get("y")) if isinstance(n, int | float)]
    if len(place) != 2 or not all(0 <= number <= 1 for number in place):
        return
    fields: dict[str, Any] = {"place": (round(place[0], 4), round(place[1], 4))}
    if isinstance(query, int) and 0 <= query < queries:
        fields["query"] = query
    state.change(**fields)
