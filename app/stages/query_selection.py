"""Query selection: which cells of the three maps become queries, and how a cell becomes a first box."""

import streamlit as st

from app import depths, figures, inspector, models
from rtdetr_explained.illustrations import query_selection

view, trace = models.current()


def see() -> None:
    """Figure and inspector."""
    data = query_selection.view(trace, query=view.query)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        figures.show("query_selection", query_selection, data, selects="query")
    with right:
        inspector.show(view, trace)


depths.show("query_selection", view, trace, see)
