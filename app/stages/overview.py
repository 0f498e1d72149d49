"""Overview: the whole way from pixels to boxes, and the detections at its end."""

import streamlit as st

from app import depths
from app.session import traces
from app.session.choice import choice_of
from app.widgets import controls, figures, inspector, tables
from rtdetr_explained.illustrations import overview

view, trace = traces.current()


def see() -> None:
    """Figure and inspector."""
    picture = overview.picture(overview.view(choice_of(view, trace)))
    left, right = st.columns([2, 1], gap="medium")
    with left:
        figures.show("overview", picture, selects="query")
        st.caption(overview.COUNTING)
    with right:
        controls.threshold(view)
        tables.show_detections(trace, view, "overview")
        inspector.show(view, trace)


depths.show("overview", view, trace, see)
