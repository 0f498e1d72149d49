"""Query selection: which cells of the three maps become queries, and how a cell becomes a first box."""

import streamlit as st

from app import controls, depths, figures, inspector, models, place, selection
from app.components import score_maps
from rtdetr_explained.illustrations import query_selection, query_selection_steps

view, trace = models.current()
view = selection.settle(view, trace)


def see() -> None:
    """Score maps and figure; on the right the place that was asked about, the re-run, and the selected query."""
    change = selection.compare(view, trace)
    report = place.report_of(view, trace)
    data = query_selection.view(trace, view.query, view.unit, view.level, change, report)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        selection.filters(view)
        selection.controls(view, trace)
        score_maps.show(view, trace, data)
        figures.show("query_selection", query_selection_steps, data, selects="query")
    with right:
        place.show(view, data)
        if change is not None:
            selection.show(change)
            controls.threshold(view)
        inspector.show(view, trace)


depths.show("query_selection", view, trace, see)
