"""A place in the photo, asked on the page of query selection: what is said about it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import state
from app.state import Selected
from app.text import plain
from rtdetr_explained.illustrations.query_selection import QuerySelectionView
from rtdetr_explained.illustrations.query_selection_place import (
    PlaceReport,
    answer,
    around,
    cells_table,
    place_report,
    queries_table,
    with_other_cut,
)
from rtdetr_explained.tracing.trace import Trace


def report_of(view: Selected, trace: Trace) -> PlaceReport | None:
    """The report of the place in view, if there is one."""
    return None if view.place is None else place_report(trace, *view.place)


def show(view: Selected, data: QuerySelectionView) -> None:
    """The answer with its numbers, or how to ask."""
    st.markdown("#### Ask a place")
    report = data.place
    if report is None:
        st.caption(
            "Click anywhere in a score map: which query stands there, or why none does? The three cells under the "
            "place, one of each level, are compared with the cut-off."
        )
        return
    if view.unit == "px":
        where = "({:.0f}, {:.0f}) px".format(*report.place_px)
    else:
        where = "({:.3f}, {:.3f}) of the image".format(*report.place)
    st.markdown(f"**At {where}.** {plain(answer(report))}")
    if data.change is not None:
        st.markdown(plain(with_other_cut(report, data.change.kept_after, data.change.cutoff_after)))
    st.markdown(plain(around(report)))
    cells = pd.DataFrame(cells_table(report, data.tokens))
    cells["score"] = cells["score"].map("{:.3g}".format)
    cells["rank"] = cells["rank"].map("{:,}".format)
    cells = cells.map(plain)
    st.table(cells, border="horizontal", hide_index=True, alt="The cells of the three levels under the place")
    listed = pd.DataFrame(queries_table(report))
    st.dataframe(
        listed,
        hide_index=True,
        row_height=32,
        key=f"place_queries_{view.place}",
        on_select=lambda: _select(view, listed["query"].tolist()),
        selection_mode="single-row",
        alt="Queries at or near the place; selecting a row selects its query",
        column_config={
            "query": st.column_config.NumberColumn("Query", width=56),
            "comes from": st.column_config.TextColumn("Comes from", width=150),
            "found": st.column_config.TextColumn("Found in the end", width=130),
            "away": st.column_config.NumberColumn("Away (px)", format="%.0f", width=70),
            "holds the place": st.column_config.CheckboxColumn("Box holds it", width=80),
        },
    )
    st.button(
        "Clear the place", key="release_place", icon=":material/close:", on_click=state.change, kwargs={"place": None}
    )


def _select(view: Selected, queries: list[int]) -> None:
    rows = st.session_state[f"place_queries_{view.place}"]["selection"]["rows"]
    if rows and rows[0] < len(queries):
        state.change(query=queries[rows[0]])
