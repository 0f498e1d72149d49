"""The badge below the canvas: does the picture give what the model computed?"""

from __future__ import annotations

import streamlit as st

from app.session import models
from app.session.state import Selected
from rtdetr_explained.illustrations.deformable_attention.proof import sentence
from rtdetr_explained.tracing.trace import Trace


def show(view: Selected, trace: Trace) -> None:
    """Green when the output rebuilt from the drawn points is the model's, red when it is not, with the error."""
    _, proof = models.reading_of(view, trace, view.layer)
    if proof.holds:
        st.badge("The picture is the computation", icon=":material/verified:", color="green")
    else:
        st.badge("The picture is not the computation", icon=":material/gpp_bad:", color="red")
    st.caption(sentence(proof))
