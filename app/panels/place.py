"""A place in the photo, asked on the page of query selection: what is said about it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.session import state
from app.session.choice import choice_of
from app.session.state import Selected
from app.widgets import units
from app.widgets.text import plain
from rtdetr_explained.illustrations.query_selection.place import (
    PlaceReport,
    answer,
    around,
    place_report,
    queries_table,
    with_other_cut,
)
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView, levels_table, marks_table
from rtdetr_explained.tracing.trace import Trace


def report_of(view: Selected, trace: Trace) -> PlaceReport | None:
    """The report of the place in view, if there is one."""
    return None if view.place is None else place_report(choice_of(view, trace), *view.place)


def show(view: Selected, data: QuerySelectionView) -> None:
    """The answer with its numbers, or how to ask."""
    st.markdown("#### Ask a place")
    report = data.place
    if report is None:
        st.caption(
            "Click anywhere in a score map: which query stands there, or why none does? The three cells under the "
            "place, one of each level, are compared with the cut-off."
        )
        _levels(data)
        return
    spot = report.place_px if view.unit == "px" else report.place
    unit = " px" if view.unit == "px" else ""
    st.markdown(f"**At {units.place(spot, view.unit)}{unit}.** {plain(answer(report))}")
    if data.change is not None:
        st.markdown(plain(with_other_cut(report, data.change.kept_after, data.change.cutoff_after)))
    st.markdown(plain(around(report)))
    listed = pd.DataFrame(queries_table(report))
    listed["away"] = listed["away"].map(lambda away: units.length(away, view.unit) + unit)
    st.dataframe(
        listed,
        hide_index=True,
        row_height=32,
        height=min(32 * (len(listed) + 1) + 4, 200),
        key=_table_key(view),
        on_select=lambda: _select(view, listed["query"].tolist()),
        selection_mode="single-row",
        alt="Queries at or near the place; selecting a row selects its query",
        column_config={
            "query": st.column_config.NumberColumn("Query", width=48),
            "ends as": st.column_config.TextColumn("Ends as", width=88, help="Its class and score after the decoder"),
            "away": st.column_config.TextColumn("Away", width=52, help="From its cell's centre"),
            "holds": st.column_config.CheckboxColumn("Holds", width=48, help="Whether its final box holds the place"),
            "cell": st.column_config.TextColumn("Cell", width=74, help="Level, row and column of where it comes from"),
        },
    )
    st.button(
        "Clear the place", key="release_place", icon=":material/close:", on_click=state.change, kwargs={"place": None}
    )


def _table_key(view: Selected) -> str:
    # With the query, so that a row can be chosen again after another query was selected elsewhere.
    return f"place_queries_{view.place}_{view.query}"


def _select(view: Selected, queries: list[int]) -> None:
    rows = st.session_state[_table_key(view)]["selection"]["rows"]
    if rows and rows[0] < len(queries):
        state.change(query=queries[rows[0]])


def show_marks(data: QuerySelectionView) -> None:
    """The marks on the score maps as a table, once it is asked for."""
    numbers = st.expander("Score maps as a table", key="table_score_maps", on_change="rerun")
    if numbers.open:
        with numbers:
            marks = pd.DataFrame(marks_table(data))
            st.dataframe(marks, hide_index=True, height=320, alt="Chosen cells and near misses, best score first")


def _levels(data: QuerySelectionView) -> None:
    """What each level has and gives."""
    levels = pd.DataFrame(levels_table(data))
    levels["share"] = levels["share"].map("{:.0%}".format)
    levels["best score"] = levels["best score"].map("{:.2g}".format)
    levels["cells"] = levels["cells"].map("{:,}".format)
    st.table(
        levels.rename(columns=str.capitalize),
        border="horizontal",
        hide_index=True,
        alt="Cells, chosen cells, near misses and best score of each level",
    )
