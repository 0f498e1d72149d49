"""What lies below the canvas: the weights, the spread of all queries, and the two ways of reading."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.session import models
from app.session.choice import choice_of
from app.session.state import Selected
from app.widgets import figures
from rtdetr_explained.illustrations.deformable_attention import discrete, spread, weights
from rtdetr_explained.tracing.edits import SetSampling
from rtdetr_explained.tracing.trace import Trace


def show_weights(view: Selected, trace: Trace) -> None:
    """Weight by level and by head, beside the compared query's."""
    st.markdown("#### Where the weight lies")
    st.markdown("Each head shares out a weight of one among its points on all three maps.")
    figures.show("deformable_attention_weights", weights.picture(weights.view(choice_of(view, trace))))


def show_spread(view: Selected, trace: Trace) -> None:
    """Spread against box size, over all queries."""
    st.markdown("#### How widely each query reads")
    st.markdown("A large box is read widely and a small one closely, because offsets are measured in boxes.")
    shown = spread.picture(spread.view(choice_of(view, trace)))
    figures.show("deformable_attention_spread", shown, selects="query")


def show_sampling(view: Selected, trace: Trace) -> None:
    """Bilinear and discrete reads, and what a run with the other way changes."""
    st.markdown("#### Mixing four cells, or taking one")
    st.markdown(
        "Discrete sampling reads one cell for each point. RT-DETRv2 offers it in place of the `grid_sample` operator, "
        "which limits where a model can be deployed."
    )
    other = models.outcome_of(view, trace, (SetSampling(discrete.other_method(trace)),))
    compared = discrete.view(choice_of(view, trace), other)
    figures.show("deformable_attention_sampling", discrete.picture(compared))
    rows = discrete.rows(compared)
    table = pd.DataFrame(
        [(name, *values) for name, values in rows.items()], columns=["", *map(str.capitalize, discrete.METHODS)]
    )
    st.table(table, border="horizontal", hide_index=True, alt="Bilinear and discrete sampling compared")
