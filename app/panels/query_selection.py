"""Query selection run again with other settings: the controls, the comparison, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from app.session import models, state
from app.session.choice import choice_of
from app.session.state import Selected
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
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.trace import Trace

MOST = 2  # times the model's own number of queries; attention among queries grows with the square of it
BOTH_RUNS = {"score": ".2f", "query": ".0f"}
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
    """Which level is shown; number of queries and method, which run again from here on."""
    own, method = len(trace.logits), own_method(trace)
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
            most_queries(trace),
            step=1,
            width=220,
            help=f"The model was trained with {own}. Another number runs query selection and decoder again; backbone "
            "and encoder are kept.",
            **state.bind("queries", view.queries or own),
        )
        st.segmented_control(
            "Chosen by",
            list(state.METHODS),
            required=True,
            format_func=METHOD_WORDS.__getitem__,
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
        return selection_change(choice_of(view, trace), models.rerun_of(view, trace, tuple(changes)))
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


def show(change: SelectionChange) -> None:
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
