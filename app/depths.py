"""A stage at several depths: the figure, its tensors, its formula and its code. A hidden tab does no work."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import tables
from app.state import Selected
from rtdetr_explained.tracing.trace import Trace


def show(slug: str, view: Selected, trace: Trace, see: Callable[[], None]) -> None:
    """Draw the tabs of a stage; `see` draws the first one, with its own layout. `trace` is the one whose tensors count.

    The tab that is open follows `view.depth`.
    """
    figure, tensors = st.tabs(["See", "Tensors"], key=f"depth_{slug}", on_change="rerun")
    if figure.open:
        with figure:
            see()
    if tensors.open:
        with tensors:
            tables.show_tensors(slug, trace, view.layer)
