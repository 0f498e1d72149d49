"""Decoder: how a query's box and score change from layer to layer, and which queries it listens to."""

import streamlit as st

from app import controls, depths, figures, inspector, models, tables
from rtdetr_explained.illustrations import decoder

view, trace = models.current()


def see() -> None:
    """Figure and inspector."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True):
            controls.layer(view, trace)
            controls.head(view, trace)
        data = decoder.view(trace, query=view.query, layer=view.layer, head=view.head, threshold=view.threshold)
        figures.show("decoder", decoder, data, selects="query")
    with right:
        controls.threshold(view)
        tables.show_detections(trace, view, "decoder")
        inspector.show(view, trace)


depths.show("decoder", view, trace, see)
