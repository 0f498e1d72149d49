"""Weight is not importance: take points, heads or levels away, run the decoder again, and see what it does."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.session import models
from app.session.choice import choice_of
from app.session.state import Selected
from app.widgets import figures
from rtdetr_explained.illustrations.deformable_attention import effect
from rtdetr_explained.illustrations.deformable_attention.points import by_weight
from rtdetr_explained.tracing.edits import Edit, Mode
from rtdetr_explained.tracing.results import Outcome
from rtdetr_explained.tracing.trace import Trace

MODES: dict[Mode, str] = {"zero": "leave out", "renormalise": "share among the others"}
DEFAULT_POINTS = 8


def show_points(view: Selected, trace: Trace) -> None:
    """Drop the heaviest points of the query, and as many random and light ones to compare."""
    st.markdown("#### Weight is not importance")
    st.markdown("How heavy a point is says little about how much depends on it: take some away and see.")
    choice = choice_of(view, trace)
    most = len(by_weight(choice))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.session_state.setdefault("drop_points", DEFAULT_POINTS)
        st.session_state.drop_points = min(st.session_state.drop_points, most)
        k = st.number_input(f"Points (of {most} shown)", 1, most, step=1, width=160, key="drop_points")
        mode: Mode = st.segmented_control(
            "Their weight",
            list(MODES),
            default="zero",
            required=True,
            format_func=MODES.__getitem__,
            key="drop_mode",
            help="Left out, the head's weights sum to less than one; shared, they sum to one again.",
        )
        question = view.image, view.model, view.query, view.layer, view.head, view.level, k, mode
        if st.button("Take away the heaviest", key="drop_heaviest", type="primary", icon=":material/content_cut:"):
            st.session_state.dropped = question
    if st.session_state.get("dropped") != question:
        st.caption(
            f"Runs the decoder again without the {k} heaviest points of query {view.query} in layer {view.layer + 1}, "
            f"then without {k} random ones ({effect.RANDOM_DRAWS} draws) and without the {k} lightest."
        )
        return
    sets = effect.sets_of_points(choice, k)
    outcomes = _run(view, trace, {name: effect.drop(choice, points, mode) for name, points in sets.items()})
    effects = effect.effect_of_points(choice, mode, sets, outcomes)
    figures.show("deformable_attention_points", effect.picture(effects))


def show_parts(view: Selected, trace: Trace) -> None:
    """Take out every head and every level of the layer in turn, and sort them by what that does."""
    st.markdown("#### Which head, which level matters")
    st.markdown("Each head and each level is taken out of this layer in turn, for all queries.")
    choice = choice_of(view, trace)
    edits = effect.parts(choice)
    question = view.image, view.model, view.layer
    if st.button(f"Take out each of {len(edits)} in turn", key="drop_parts", icon=":material/content_cut:"):
        st.session_state.parts_dropped = question
    if st.session_state.get("parts_dropped") != question:
        st.caption(f"Runs the decoder again {len(edits)} times, and sorts by what it does to query {view.query}.")
        return
    outcomes = _run(view, trace, {name: (edit,) for name, edit in edits.items()})
    figures.show("deformable_attention_parts", effect.picture(effect.effect_of_parts(choice, outcomes)))


def _run(view: Selected, trace: Trace, edits: Mapping[str, tuple[Edit, ...]]) -> dict[str, Outcome]:
    """The outcome of each, with a bar that shows how far it is; at once for those that are known."""
    outcomes = {}
    bar = st.empty()
    for done, (name, edit) in enumerate(edits.items()):
        bar.progress(done / len(edits), f"Running again without: {name}")
        outcomes[name] = models.outcome_of(view, trace, edit)
    bar.empty()
    return outcomes
