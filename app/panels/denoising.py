"""The same training with and without denoising: the curves of two real runs that come with the package."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.widgets import figures
from app.widgets.text import plain
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.experiments import figure, result

QUESTION = "In a training: one run with denoising and one without, from the same seed"


def show() -> None:
    """The charts, what was measured, and the curves as a table; a closed section does no work."""
    section = st.expander(QUESTION, key="experiment_denoising", on_change="rerun")
    if not section.open:
        return
    picture = figure.picture(result.read_result())
    with section:
        drawn = to_plotly(picture.drawing, figures.theme())
        st.plotly_chart(drawn, theme=None, key="experiment", alt=picture.alt_text, config=figures.CHART)
        st.caption(plain(picture.caption))
        st.caption("Repeat it with `rtdetr-explained experiment denoising --out FOLDER`.")
        st.dataframe(pd.DataFrame(picture.table), hide_index=True, alt="The curves at the end of each epoch")
