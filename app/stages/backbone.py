"""Backbone: the three maps of the image that leave it, and what its blocks do."""

import streamlit as st

from app import depths
from app.session import traces
from app.session.choice import choice_of
from app.widgets import controls, figures, inspector
from rtdetr_explained.illustrations import backbone

view, trace = traces.current()


def see() -> None:
    """Figure and inspector."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True):
            channel = controls.channel(view, len(trace["backbone.s3"].array))
            scale = controls.scale(view, "map")
        data = backbone.view(choice_of(view, trace, channel=channel, scale=scale))
        figures.show("backbone", backbone.picture(data))
        st.markdown(f"**This model's backbone is {data.network}.** {backbone.BLOCKS[data.backbone]}")
    with right:
        inspector.show(view, trace)


depths.show("backbone", view, trace, see)
