"""CCFF: the three maps exchange what they know, downwards and upwards, by convolutions."""

import streamlit as st

from app import depths
from app.session import traces
from app.session.choice import choice_of
from app.widgets import controls, figures, inspector
from app.widgets import retrace as further
from rtdetr_explained.illustrations import ccff

view, trace = traces.current()


def see() -> None:
    """Figure and inspector."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True):
            channel = controls.channel(view, len(trace["hybrid_encoder.ccff.n3"].array))
            scale = controls.scale(view, "stage")
        whole = further.obtain(view, trace, (ccff.SITES["P3"], ccff.SITES["P4"]), "Trace again with P3 and P4")
        data = ccff.view(choice_of(view, whole, channel=channel, scale=scale))
        figures.show("ccff", ccff.picture(data))
    with right:
        inspector.show(view, trace)


depths.show("ccff", view, trace, see)
