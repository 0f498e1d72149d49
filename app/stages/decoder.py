"""Decoder: how a query's box and score change from layer to layer, and which queries it listens to."""

import pandas as pd
import streamlit as st

from app import depths
from app.components import refinement
from app.panels import decoder as duplicates
from app.session import traces
from app.session.choice import choice_of
from app.widgets import controls, figures, inspector, tables
from rtdetr_explained.illustrations.decoder import figure, updates
from rtdetr_explained.illustrations.decoder.view import view as way_of_one_query

view, trace = traces.current()
choice = choice_of(view, trace)


def see() -> None:
    """The moving figure and the duplicates, with the inspector beside them; below: updates, and one figure to keep."""
    group = duplicates.of(choice)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True):
            controls.layer(view, trace)
            controls.head(view, trace)
            with st.container(width=200):
                controls.threshold(view)
        refinement.show(choice)
        st.caption(
            "A click on a reference point or a box selects its query on every page, a click with Shift compares it. "
            "Ringed points are queries that end on the same object. Between two layers the boxes only glide: the model "
            "computes them after each layer."
        )
        duplicates.show_figure(group)
    with right:
        tables.show_detections(trace, view, "decoder")
        inspector.show(view, trace)
        duplicates.show_members(group, view, trace)
    show_updates()
    show_summary()


def show_updates() -> None:
    """How far each layer moves the boxes of all queries."""
    data = updates.view(choice)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        st.markdown("#### How much each layer changes")
        st.caption(updates.SENTENCE)
        figures.show("decoder_updates", updates.picture(data), selects="query")
    with right:
        rows = pd.DataFrame(updates.summary(data))
        st.table(rows, border="horizontal", hide_index=True, alt="Median and 95th percentile of the updates, by layer")


def show_summary() -> None:
    """The selected query's way in one figure, with its numbers."""
    picture = figure.picture(way_of_one_query(choice))
    left, right = st.columns([2, 1], gap="medium")
    with left:
        st.markdown("#### The way of one query, to keep")
        figures.show("decoder", picture, selects="query")
    with right:
        rows = {
            "Step": picture.table["step"],
            "Score": [f"{score:.2f}" for score in picture.table["score"]],
            "Origin": picture.table["origin"],
        }
        st.table(
            pd.DataFrame(rows), border="horizontal", hide_index=True, alt=f"Score of query {view.query}, step by step"
        )


depths.show("decoder", view, trace, see)
