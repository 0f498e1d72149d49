"""Decoder: how a query's box and score change from layer to layer, and which queries it listens to."""

import pandas as pd
import streamlit as st

from app import controls, depths, duplicates, figures, inspector, models, refinement, state, tables
from rtdetr_explained.illustrations import decoder, decoder_updates

view, trace = models.current()
COMPARE = "decoder_compare"


def see() -> None:
    """The moving figure with the inspector beside it; below: duplicates, updates, and one figure to keep."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True):
            controls.layer(view, trace)
            controls.head(view, trace)
            compare()
        refinement.show(view, trace)
        st.caption(
            "A click on a reference point or a box selects its query on every page, a click with Shift compares it. "
            "Ringed points are queries that end on the same object. Between two layers the boxes only glide: the model "
            "computes them after each layer."
        )
    with right:
        controls.threshold(view)
        tables.show_detections(trace, view, "decoder")
        inspector.show(view, trace)
    duplicates.show(view, trace)
    updates()
    summary()


def updates() -> None:
    """How far each layer moves the boxes of all queries."""
    data = decoder_updates.view(trace, query=view.query, compare=view.compare, threshold=view.threshold)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        st.markdown("#### How much each layer changes")
        st.caption(decoder_updates.SENTENCE)
        figures.show("decoder_updates", decoder_updates, data, selects="query")
    with right:
        rows = pd.DataFrame(decoder_updates.summary(data))
        st.table(rows, border="horizontal", hide_index=True, alt="Median and 95th percentile of the updates, by layer")


def summary() -> None:
    """The selected query's way in one figure, with its numbers."""
    data = decoder.view(
        trace, view.query, layer=view.layer, head=view.head, threshold=view.threshold, compare=view.compare
    )
    left, right = st.columns([2, 1], gap="medium")
    with left:
        st.markdown("#### The way of one query, to keep")
        figures.show("decoder", decoder, data, selects="query")
    with right:
        rows = pd.DataFrame(decoder.table(data))[["step", "score", "origin"]]
        rows["score"] = rows["score"].map("{:.2f}".format)
        st.table(rows, border="horizontal", hide_index=True, alt=f"Score of query {view.query}, step by step")


def compare() -> None:
    """A second query beside the selected one; empty for none."""
    st.session_state[COMPARE] = view.compare
    st.number_input(
        "Compare with query",
        0,
        len(trace.logits) - 1,
        step=1,
        placeholder="none",
        width=150,
        key=COMPARE,
        on_change=lambda: state.change(compare=st.session_state[COMPARE]),
        help="A second query, drawn in sky blue. A click with Shift in the figure sets it, too.",
    )


depths.show("decoder", view, trace, see)
