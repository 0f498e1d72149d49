"""A stage at four depths: its figure, its tensors, its formulas and its code. A hidden tab does no work."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.depths import code, formula, tensors
from app.session import state
from app.session.view import Selected
from rtdetr_explained.tracing.trace import Trace

TITLES = {"see": "See", "tensors": "Tensors", "formula": "Formula", "code": "Code"}


def show(slug: str, view: Selected, trace: Trace, see: Callable[[], None]) -> None:
    """Draw the tabs of a stage; `see` draws the first one, with its own layout. `trace` is the one whose numbers count.

    The tab that is open follows `view.depth`, and only its contents are made.
    """
    key = f"depth_{slug}"
    state.put_value(key, TITLES[view.depth])
    depths = {title: depth for depth, title in TITLES.items()}
    tabs = st.tabs(
        list(depths), key=key, on_change=lambda: state.change(depth=depths.get(st.session_state[key], "see"))
    )
    contents: dict[str, Callable[[], None]] = {
        "see": see,
        "tensors": lambda: tensors.show(slug, view, trace),
        "formula": lambda: formula.show(slug, view, trace),
        "code": lambda: code.show(slug, trace),
    }
    for tab, draw in zip(tabs, contents.values(), strict=True):
        if tab.open:
            with tab:
                draw()
