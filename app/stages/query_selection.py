"""Query selection: which cells of the three maps become queries, and how a cell becomes a first box."""

import streamlit as st

from app import depths
from app.components import score_maps
from app.panels import query_selection as selection
from app.session import traces
from app.session.choice import choice_of
from app.widgets import controls, figures, inspector
from rtdetr_explained.illustrations.query_selection import figure
from rtdetr_explained.illustrations.query_selection import view as numbers

view, trace = traces.current()


def see() -> None:
    """Score maps with the place that was asked about; below them figure, re-run and the selected query."""
    selection.controls(view, trace)
    change = selection.compare(view, trace)
    selection.say(change, trace)
    data = numbers.view(choice_of(view, trace), change, selection.report_of(view, trace))
    left, right = st.columns([2, 1], gap="medium")
    with left:
        score_maps.show(view, trace, data)
        selection.show_marks(data)
    with right:
        selection.show_place(view, data)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        without_maps, whole = figure.picture_without_maps(data), figure.picture(data)
        figures.show("query_selection", without_maps, selects="query", export=whole)
        if change is not None:
            selection.show_change(change)
            controls.threshold(view)
    with right:
        inspector.show(view, trace)


depths.show("query_selection", view, trace, see)
