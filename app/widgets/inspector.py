"""The column on the right: who the selected query is, in numbers, and the one it is compared with."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.session import state
from app.session.choice import choice_of
from app.session.view import Selected
from app.widgets import controls, units
from app.widgets.text import plain
from rtdetr_explained.drawing.colors import COMPARED, SELECTED
from rtdetr_explained.illustrations import query_facts
from rtdetr_explained.illustrations.query_facts import QueryFacts
from rtdetr_explained.tracing.trace import Trace

MARKS = ("●", "◆")  # of the selected and of the compared query; colour is never the only sign


def show(view: Selected, trace: Trace) -> None:
    """Class, score and box of the selected query, the place it came from, and its way through the layers."""
    with st.container(horizontal=True, gap="small"):
        controls.query(view, trace)
        controls.compare(view, trace)
    _jump(view, trace)
    queries = [view.query] if view.compare is None else [view.query, view.compare]
    shown = [query_facts.view(choice_of(view, trace, query=query)) for query in queries]
    if view.compare is not None:
        _pair(view)
    controls.unit(view, where="inspector")
    _who(shown, trace)
    _way(shown)
    last = trace.num_layers
    st.caption(
        f"Scores before layer {last} are derived: each layer's own class head is applied to its output, as the model "
        "itself only does in training."
        if last > 1
        else "One decoder layer ran."
    )


def _pair(view: Selected) -> None:
    """Which of the two is which, and buttons to swap them and to let go of the second."""
    signs = zip(MARKS, (SELECTED, COMPARED), (view.query, view.compare), ("selected", "compared"), strict=True)
    st.html(
        " &nbsp; ".join(
            f'<span style="white-space: nowrap"><span style="color: {color}">{mark}</span> query {query}, {what}</span>'
            for mark, color, query, what in signs
        )
    )
    with st.container(horizontal=True, gap="small"):
        swapped = {"query": view.compare, "compare": view.query}
        st.button("Swap", key="swap", icon=":material/swap_horiz:", on_click=state.change, kwargs=swapped)
        st.button(
            "Release",
            key="release_compare",
            icon=":material/close:",
            on_click=state.change,
            kwargs={"compare": None},
            help="Compare no longer (key Esc)",
        )


def _who(shown: list[QueryFacts], trace: Trace) -> None:
    """What each query is and where it comes from; a column for each."""
    tokens = sum(h * w for h, w in trace.map_sizes)
    columns = [
        {
            "Class": f"**{plain(facts.name)}**",
            "Score": f"**{facts.score:.2f}**",
            "Size": units.extent(facts.size, facts.unit),
            "Centre": units.place(facts.center, facts.unit),
            "Comes from": f"{facts.level} (stride {facts.stride}), row {facts.row}, column {facts.col}",
            "Token": f"{facts.token:,} of {tokens:,}",
        }
        for facts in shown
    ]
    alt = " and ".join(f"query {facts.index}: {facts.name}, score {facts.score:.2f}" for facts in shown)
    if len(shown) == 1:
        st.table(columns[0], border="horizontal", alt=f"The selected {alt}")
        return
    heads = [f"{mark} {facts.index}" for mark, facts in zip(MARKS, shown, strict=True)]
    table = pd.DataFrame(
        {"Query": list(columns[0])} | {h: list(c.values()) for h, c in zip(heads, columns, strict=True)}
    )
    st.table(table, border="horizontal", hide_index=True, alt=f"Two queries compared, {alt}")


def _way(shown: list[QueryFacts]) -> None:
    """Best class, score and movement after each decoder layer."""
    unit = units.TITLES[shown[0].unit]
    rows: dict[str, list[str]] = {"After layer": [str(layer.layer + 1) for layer in shown[0].layers]}
    for mark, facts in zip(MARKS, shown, strict=False):
        sign = f"{mark} " if len(shown) > 1 else ""
        rows[f"{sign}Best class"] = [f"{plain(layer.name)} {layer.score:.2f}" for layer in facts.layers]
        rows[f"{sign}Moved ({unit})"] = [units.length(layer.moved, facts.unit) for layer in facts.layers]
    which = " and ".join(str(facts.index) for facts in shown)
    st.table(
        pd.DataFrame(rows),
        border="horizontal",
        hide_index=True,
        alt=f"Class, score and movement of the box of query {which} after each decoder layer",
    )


def _jump(view: Selected, trace: Trace) -> None:
    """A list of the detections, to go to one of them."""
    found = trace.detections(view.threshold)
    labels = {d.query: f"{d.name} {d.score:.2f}" for d in reversed(found)}
    options = list(dict.fromkeys(d.query for d in found))
    if not options:
        return
    st.selectbox(
        "Go to a detection",
        options,
        index=None,
        format_func=lambda q: f"{labels[q]} · query {q}",
        placeholder=f"{len(options)} above {view.threshold:.2f}",
        **state.bind("query", view.query if view.query in labels else None, where="jump"),
    )
