"""What the page of query selection shows beside its maps: the re-run with other settings, and a place that is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from app.session import said, state, traces
from app.session.choice import choice_of
from app.session.view import METHODS, Selected
from app.widgets import units
from app.widgets.text import plain
from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.query_selection.change import (
    METHOD_WORDS,
    SelectionChange,
    selection_change,
    summary,
    table,
)
from rtdetr_explained.illustrations.query_selection.place import (
    PlaceReport,
    answer,
    around,
    place_report,
    queries_table,
    with_other_cut,
)
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView, levels_table, marks_table
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.trace import Trace

BOTH_RUNS = {"score": ".2f", "query": ".0f"}
RELEASE = {"queries": None, "selection": None}


def controls(view: Selected, trace: Trace) -> None:
    """Which level is shown; number of queries and method, which run again from here on."""
    own, offered = len(trace.logits), traces.offered(view, trace)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Level",
            ["all", *range(len(LEVEL_NAMES))],
            required=True,
            format_func=lambda level: level if level == "all" else LEVEL_NAMES[level],
            help="One level alone is drawn larger.",
            **state.bind("level", "all" if view.level is None else view.level),
        )
        st.slider(
            "Queries to choose",
            1,
            offered.most_queries,
            step=1,
            width=220,
            help=f"The model was trained with {own}. Another number runs query selection and decoder again; backbone "
            "and encoder are kept.",
            **state.bind("queries", view.queries or own),
        )
        st.segmented_control(
            "Chosen by",
            list(METHODS),
            required=True,
            format_func=METHOD_WORDS.__getitem__,
            help="Best class: every cell counts with its best class, once (default). Cell and class: all pairs are "
            "ranked, so that one cell can give several queries (one2many).",
            **state.bind("selection", view.selection or offered.method),
        )
        st.button(
            "Model's own",
            key="release_selection",
            icon=":material/undo:",
            disabled=view.queries is None and view.selection is None,
            on_click=state.change,
            kwargs=RELEASE,
            help=f"Back to {own} queries",
        )


def compare(view: Selected, trace: Trace) -> SelectionChange | None:
    """Run again with the settings of the view and compare; None where they are the model's own."""
    changes: list[edits.Edit] = []
    if view.queries is not None:
        changes.append(edits.SetQueries(view.queries))
    if view.selection is not None:
        changes.append(edits.SetSelection(view.selection))
    if not changes:
        return None
    try:
        return selection_change(choice_of(view, trace), traces.rerun_of(view, trace, tuple(changes)))
    except InputError as error:
        st.error(plain(error))
        return None


def say(change: SelectionChange | None, trace: Trace) -> None:
    """What the re-run changed and what it cost; without one, what the controls do."""
    if change is None:
        st.caption(
            f"These are the model's own {len(trace.logits)} queries. Other settings run query selection and decoder "
            "again and are compared with them; everything else in the app keeps showing the untouched pass."
        )
        return
    st.markdown(
        plain(summary(change))
        + f" The re-run took **{change.rerun_ms:.0f} ms**; backbone and encoder, {change.spared_ms:.0f} of the "
        f"{change.whole_ms:.0f} ms of the whole pass, were spared."
    )


def show_change(change: SelectionChange) -> None:
    """The detections of both runs."""
    st.markdown("#### Detections after the re-run")
    if change.detections:
        rows = pd.DataFrame(table(change))
        rows["moved"] = rows["box moved (px)"].map(_number(".1f"))
        for what, form in BOTH_RUNS.items():
            before, after = (rows[f"{what} {when}"].map(_number(form)) for when in ("before", "after"))
            rows[what] = before + " → " + after
        st.dataframe(
            rows,
            hide_index=True,
            row_height=32,
            height=min(32 * (len(rows) + 1) + 4, 250),
            alt=f"{len(rows)} detections of both runs, those that differ first",
            column_order=["change", "class", "score", "moved", "query", "cell"],
            column_config={
                "change": st.column_config.TextColumn("Change", width=126),
                "class": st.column_config.TextColumn("Class", width=84),
                "score": st.column_config.TextColumn("Score", width=92, help="Before, and in the re-run"),
                "moved": st.column_config.TextColumn("Moved (px)", width=80),
                "query": st.column_config.TextColumn("Query", width=76, help="Its number before, and in the re-run"),
                "cell": st.column_config.TextColumn("Cell", width=84, help="Level, row and column"),
            },
        )
    else:
        st.caption(f"Neither run has a detection above {change.threshold:.2f}.")
    st.caption(
        "Matched by cell and class, not by the number of the query. “Object kept” means that another cell still gives "
        "it. Only this comparison, the maps and the curve show the re-run; everything else is the untouched pass."
    )


def _number(form: str) -> Callable[[Any], str]:
    return lambda value: "–" if pd.isna(value) else format(value, form)


def report_of(view: Selected, trace: Trace) -> PlaceReport | None:
    """The report of the place in view, if there is one."""
    return None if view.place is None else place_report(choice_of(view, trace), *view.place)


def show_place(view: Selected, data: QuerySelectionView) -> None:
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
    row = said.picked_row(_table_key(view), len(queries))
    if row is not None:
        state.change(query=queries[row])


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
