"""AIFI: plain self-attention among the cells of the coarsest map."""

import streamlit as st

from app import depths
from app.session import traces
from app.session.choice import choice_of
from app.widgets import controls, figures, inspector
from rtdetr_explained.illustrations import aifi

view, trace = traces.current()


def see() -> None:
    """Figure and inspector."""
    data = aifi.view(choice_of(view, trace))
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            controls.head(view, trace)
            controls.scale(view, data.scale)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            controls.cell(view, data.cell, trace)
        figures.show("aifi", aifi.picture(data), selects="cell")
    with right:
        inspector.show(view, trace)


depths.show("aifi", view, trace, see)
