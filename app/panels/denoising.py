"""The same training with and without denoising: the curves of two real runs that come with the package."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.widgets import figures
from app.widgets.text import plain
from rtdetr_explained.experiments import figure, result

QUESTION = "In a training: one run with denoising and one without, from the same seed"


def show() -> None:
    """The three charts, what was measured, and the curves as a table; a closed section does no work."""
    section = st.expander(QUESTION, key="experiment_denoising", on_change="rerun")
    if not section.open:
        return
    found = result.read_result()
    charts = zip(figure.charts(found), figure.plotly_figures(found, figures.theme()), strict=True)
    with section:
        for column, (chart, drawn) in zip(st.columns(3, gap="medium"), charts, strict=True):
            column.plotly_chart(
                drawn,
                theme=None,
                key=f"experiment_{chart.slug}",
                alt=f"{chart.title}, with and without denoising, over the training images. {result.caption(found)}",
                config={"displaylogo": False, "displayModeBar": False, "scrollZoom": False},
            )
        st.caption(plain(result.caption(found)))
        st.caption("Repeat it with `rtdetr-explained experiment denoising --out FOLDER`.")
        st.dataframe(pd.DataFrame(result.table(found)), hide_index=True, alt="The curves at the end of each epoch")
