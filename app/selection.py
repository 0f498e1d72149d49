"""Query selection run again with other settings: the controls, the comparison, and what it says."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from app import models, state
from app.state import Selected
from app.text import plain
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.colors import LEVEL_NAMES
from rtdetr_explained.illustrations.query_selection_change import SelectionChange, selection_change, summary, table
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.trace import Trace

MOST = 2  # times the model's own number of queries; attention among queries grows with the square of it
RELEASE = {"queries": None, "selection": None}


def settle(view: Selected, trace: Trace) -> Selected:
    """The view with settings that can be run; what a link asks for beyond that is left out, with a sentence."""
    most = most_queries(trace)
    if view.queries is not None and view.queries > most:
        st.warning(
            f"The link asks for {view.queries:,} queries; with this image and model the page re-runs with 1 to {most}. "
            "It was left out.",
            icon=":material/link_off:",
        )
        view = replace(view, queries=None)
    if view.queries == len(trace.logits):
        view = replace(view, queries=None)
    if view.selection == own_method(trace):
        view = replace(view, selection=None)
    state.put(replace(state.current(), queries=view.queries, selection=view.selection))
    return view


def most_queries(trace: Trace) -> int:
    """As many queries as may be chosen: not more than there are cells."""
    return min(MOST * len(trace.logits), len(trace["query_selection.scores"].array))


def own_method(trace: Trace) -> str:
    """How the model itself chooses; without classes there is one way only."""
    return "one2many" if trace.meta["config"]["query_select_method"] == "one2many" else "default"


def controls(view: Selected, trace: Trace) -> None:
    """Number of queries and method; both run again from here on, and leave all other pages alone."""
    own, method = len(trace.logits), own_method(trace)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.slider(
            "Queries to choose",
            1,
            most_queries(trace),
            step=1,
            width=260,
            help=f"The model was trained with {own}. Another number runs query selection and decoder again; backbone "
            "and encoder are kept.",
            **state.bind("queries", view.queries or own),
        )
        st.segmented_control(
            "Chosen by",
            list(state.METHODS),
            required=True,
            format_func={"default": "best class", "one2many": "cell and class"}.__getitem__,
            help="Best class: every cell counts with its best class, once (default). Cell and class: all pairs are "
            "ranked, so that one cell can give several queries (one2many).",
            **state.bind("selection", view.selection or method),
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


def filters(view: Selected) -> None:
    """Which level is shown, and the unit of positions."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Level",
            ["all", *range(len(LEVEL_NAMES))],
            required=True,
            format_func=lambda level: level if level == "all" else LEVEL_NAMES[level],
            help="One level alone is drawn larger.",
            **state.bind("level", "all" if view.level is None else view.level),
        )
        st.segmented_control(
            "Positions in",
            list(state.UNITS),
            required=True,
            format_func={"px": "pixels", "image": "0..1"}.__getitem__,
            **state.bind("unit", view.unit),
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
        return selection_change(trace, models.rerun_of(view, trace, tuple(changes)), view.threshold)
    except InputError as error:
        st.error(plain(error))
        return None


def show(change: SelectionChange | None) -> None:
    """What the re-run changed, and what it cost."""
    if change is None:
        return
    st.markdown("#### The re-run")
    st.markdown(plain(summary(change)))
    share = change.rerun_ms / change.whole_ms
    st.markdown(
        f"Cut-off **{change.cutoff_after:.2g}** instead of {change.cutoff_before:.2g}. The re-run took "
        f"**{change.rerun_ms:.0f} ms**, {share:.0%} of the whole pass ({change.whole_ms:.0f} ms): backbone and encoder "
        "were kept."
    )
    if change.detections:
        rows = pd.DataFrame(table(change))
        st.dataframe(
            rows,
            hide_index=True,
            row_height=32,
            height=min(32 * (len(rows) + 1) + 4, 250),
            alt=f"{len(rows)} detections of both runs, those that differ first",
            column_config={
                "change": st.column_config.TextColumn("Change", width=90),
                "class": st.column_config.TextColumn("Class", width=80),
                "cell": st.column_config.TextColumn("Cell", width=140),
                "query before": st.column_config.NumberColumn("Query", width=56),
                "query after": st.column_config.NumberColumn("→", width=44, help="Its number in the re-run"),
                "score before": st.column_config.NumberColumn("Score", format="%.2f", width=54),
                "score after": st.column_config.NumberColumn("→", format="%.2f", width=54, help="Its score then"),
                "box moved (px)": st.column_config.NumberColumn("Moved (px)", format="%.1f", width=80),
            },
        )
    st.caption(
        "Detections are matched by their cell and class, not by the number of the query. Everything else in the app "
        "keeps showing the untouched pass."
    )
