"""The panel of queries that end on one object: who wins, and what the others do without the winner."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.session import said, state, traces
from app.session.view import Selected
from app.widgets import figures
from app.widgets.tables import ROW_PX
from app.widgets.text import plain
from rtdetr_explained.illustrations.decoder import duplicates, duplicates_figure
from rtdetr_explained.illustrations.decoder.duplicates import Duplicates
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.trace import Trace


def of(choice: Choice) -> Duplicates:
    """The queries that end where the selected one ends."""
    return duplicates.view(choice)


def show_figure(group: Duplicates) -> None:
    """Their boxes, their scores and whom they listen to."""
    st.markdown("#### Queries that end on the same object")
    st.caption(duplicates.SENTENCE)
    figures.show("decoder_duplicates", duplicates_figure.picture(group), selects="query")


def show_members(group: Duplicates, view: Selected, trace: Trace) -> None:
    """A row for each of them, where a click compares it with the selected one; below, what the winner does to them."""
    if len(group.members) == 1:
        return
    queries = group.members.tolist()
    key = f"duplicates_{group.query}_{group.compare}"
    shown = queries.index(group.compare) if group.compare in queries else None

    def choose() -> None:
        row = said.picked_row(key, len(queries))
        if row != shown:
            chosen = None if row is None else queries[row]
            state.change(compare=None if chosen == group.query else chosen)

    st.markdown(f"**{len(queries)} queries on this {plain(group.name)}** – click a row to compare")
    st.dataframe(
        pd.DataFrame(
            {
                "query": queries,
                "role": ["winner", *["duplicate"] * (len(queries) - 1)],
                "iou": group.iou,
                "score": group.scores[-1],
                "gives": group.to_winner[group.layer] * 100,
            }
        ),
        hide_index=True,
        row_height=ROW_PX,
        height=min(ROW_PX * (len(queries) + 1) + 4, 260),
        key=key,
        on_select=choose,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [] if shown is None else [shown]}},
        alt=f"{len(queries)} queries that end on the same object; selecting a row compares its query",
        column_config={
            "query": st.column_config.NumberColumn("Query", width=50),
            "role": st.column_config.TextColumn("Role", width=70),
            "iou": st.column_config.NumberColumn("IoU", format="%.2f", width=48, help="With the selected query's box"),
            "score": st.column_config.NumberColumn("Score", format="%.2f", width=52),
            "gives": st.column_config.NumberColumn(
                "To winner", format="%.1f%%", help=f"Share of its self-attention in layer {group.layer + 1}"
            ),
        },
    )
    _without_winner(view, trace, group)


def _without_winner(view: Selected, trace: Trace, group: Duplicates) -> None:
    """Attention alone proves nothing: the decoder is run again without the winner, and the scores are compared."""
    wanted = st.toggle(
        f"Take query {group.winner} out and run the decoder again",
        key="without_winner",
        help="Attention shows who listens to whom, not what it does. This measures it: the same image, the same "
        "queries, without this one.",
    )
    if not wanted:
        st.caption("Attention tells who listens to whom, not what it does. Taking the winner out measures that.")
        return
    without = traces.rerun_of(view, trace, (edits.drop_query(query=group.winner),))
    removal = duplicates.removal(group, trace, without)
    before, after, change = duplicates.thousandths(removal)
    st.dataframe(
        pd.DataFrame({"query": removal.members, "before": before, "after": after, "change": change}),
        hide_index=True,
        row_height=ROW_PX,
        height=min(ROW_PX * (len(removal.members) + 1) + 4, 228),
        key="removal",
        alt=f"Scores of the duplicates with and without query {removal.dropped}",
        column_config={
            "query": st.column_config.NumberColumn("Query", width=50),
            "before": st.column_config.NumberColumn("Score", format="%.3f"),
            "after": st.column_config.NumberColumn(f"Without {removal.dropped}", format="%.3f"),
            "change": st.column_config.NumberColumn("Change", format="%+.3f"),
        },
    )
    st.caption(plain(duplicates.removal_words(removal)))
