"""The score maps of query selection: pointed at and asked in the browser, with pointer, touch or keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from app.components.score_maps import payload as query_selection_payload
from app.session import state
from app.session.state import Selected
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView
from rtdetr_explained.tracing.trace import Trace

KEY = "score_maps"
FOLDER = Path(__file__).parent
SCRIPTS = ("payload.js", "marks.js", "legend.js", "score_maps.js")  # one module, put together here
HTML = """
<div class="root">
  <div class="maps" tabindex="0" role="application"
    aria-label="Score maps. Arrow keys move from cell to cell, Enter asks about the place."></div>
  <div class="legend"></div>
  <ul class="lines" aria-label="The cells under the pointer"></ul>
  <p class="hint"></p>
  <p class="answer" role="status"></p>
</div>
"""

_maps = component(
    "rtdetr_score_maps",
    html=HTML,
    css=(FOLDER / "score_maps.css").read_text(encoding="utf-8"),
    js="\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS),
)


def show(view: Selected, trace: Trace, data: QuerySelectionView) -> None:
    """Draw the maps; a click asks about its place and, on a chosen cell, selects the cell's query."""
    _maps(
        key=KEY,
        data=query_selection_payload.pack(data, trace),
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
