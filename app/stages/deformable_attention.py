"""Deformable attention: the few points a query reads on the three maps, and how they come to lie there."""

import streamlit as st

from app import controls, depths, figures, inspector, models
from rtdetr_explained.illustrations import deformable_attention

view, trace = models.current()


def see() -> None:
    """Figure and inspector."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True):
            controls.layer(view, trace)
            controls.head(view, trace)
        data = deformable_attention.view(trace, query=view.query, layer=view.layer, head=view.head)
        figures.show("deformable_attention", deformable_attention, data)
    with right:
        inspector.show(view, trace)


depths.show("deformable_attention", view, trace, see)
