"""The score maps of query selection: pointed at and asked in the browser, with pointer, touch or keys."""

from __future__ import annotations

from pathlib import Path

from app.components import bundle
from app.components.score_maps import payload
from app.session import said, state
from app.session.view import Selected
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView
from rtdetr_explained.tracing.trace import Trace

KEY = "score_maps"

_maps = bundle.mount("rtdetr_score_maps", Path(__file__).parent / "score_maps.js")


def show(view: Selected, trace: Trace, data: QuerySelectionView) -> None:
    """Draw the maps; a click asks about its place and, on a chosen cell, selects the cell's query."""
    _maps(
        key=KEY,
        data=payload.pack(data, trace),
        on_ask_change=asked,
        height="content",
    )


def asked() -> None:
    """Take over a place, and the query that stands there, as the browser sent them."""
    ask = said.message(KEY, "ask")
    query = {} if ask.get("query") is None else {"query": ask["query"]}
    state.change(place=[ask.get("x"), ask.get("y")], **query)
