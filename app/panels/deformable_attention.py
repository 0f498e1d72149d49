"""What the page of deformable attention shows beside its canvas: a point, the proof, what takes effect, all queries."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from app.session import state, traces
from app.session.choice import choice_of
from app.session.view import Selected
from app.widgets import figures
from app.widgets.text import plain
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.illustrations.deformable_attention import cells, discrete, effect, points, spread, weights
from rtdetr_explained.illustrations.deformable_attention.proof import sentence
from rtdetr_explained.tracing.edits import Edit, Mode, SetSampling
from rtdetr_explained.tracing.results import Outcome
from rtdetr_explained.tracing.trace import Trace

MODES: dict[Mode, str] = {"zero": "leave out", "renormalise": "share among the others"}
DEFAULT_POINTS = 8


def show_proof(view: Selected, trace: Trace) -> None:
    """Green when the output rebuilt from the drawn points is the model's, red when it is not, with the error."""
    _, proof = traces.reading_of(view, trace, view.layer)
    if proof.holds:
        st.badge("The picture is the computation", icon=":material/verified:", color="green")
    else:
        st.badge("The picture is not the computation", icon=":material/gpp_bad:", color="red")
    st.caption(sentence(proof))


def show_point(view: Selected, trace: Trace) -> None:
    """The point in view, or the heaviest where that is not shown, with buttons to the next heavier and lighter one."""
    reading, _ = traces.reading_of(view, trace, view.layer)
    read = points.point_read(choice_of(view, trace), reading)
    name = points.name_of(read.chain)
    st.markdown(f"#### {plain(name[0].upper() + name[1:])}")
    _steps(read)
    rows = [
        (f"**{name}**" if name.startswith("location") else name, x, y) for name, x, y in points.way(read, view.unit)
    ]
    numbers = pd.DataFrame(rows, columns=["Why it lies there", "x", "y"])
    st.table(numbers, border="horizontal", hide_index=True, alt="How the point comes to lie where it does, x and y")
    shown = cells.picture(read)
    figure = to_plotly(shown.drawing, figures.theme())
    st.plotly_chart(figure, theme=None, key="figure_cells", alt=shown.alt_text, config=figures.CHART)
    st.caption(plain(shown.caption))
    rest = pd.DataFrame(points.rest(read), columns=["What becomes of it", ""])
    st.table(rest, border="horizontal", hide_index=True, alt="From the value that is read to the head's sum")
    st.caption(
        "The part in the sum is derived: A v·s / s·s, where s is the head's sum. The parts of all its points add up to "
        "100%; a point against the sum has a negative one."
    )


def _steps(read: points.PointRead) -> None:
    """Which of the points this is, and the way to its neighbours by weight."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for label, icon, to in (
            ("Heavier", ":material/arrow_upward:", read.heavier),
            ("Lighter", ":material/arrow_downward:", read.lighter),
        ):
            st.button(
                label,
                key=f"point_{label.lower()}",
                icon=icon,
                on_click=state.change,
                kwargs={"point": to},
                disabled=to is None,
                help=f"The next {label.lower()} point of those shown",
            )
        st.caption(f"{read.rank + 1} of {len(read.order)} by weight", width="content")


def show_points(view: Selected, trace: Trace) -> None:
    """Drop the heaviest points of the query, and as many random and light ones to compare."""
    st.markdown("#### Weight is not importance")
    st.markdown("How heavy a point is says little about how much depends on it: take some away and see.")
    choice = choice_of(view, trace)
    most = len(points.by_weight(choice))
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
        outcomes[name] = traces.outcome_of(view, trace, edit)
    bar.empty()
    return outcomes


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
    st.markdown("Discrete sampling reads one cell for each point, without the operator `grid_sample`.")
    other = traces.outcome_of(view, trace, (SetSampling(discrete.other_method(trace)),))
    compared = discrete.view(choice_of(view, trace), other)
    figures.show("deformable_attention_sampling", discrete.picture(compared))
    rows = discrete.rows(compared)
    table = pd.DataFrame(
        [(name, *values) for name, values in rows.items()], columns=["", *map(str.capitalize, discrete.METHODS)]
    )
    st.table(table, border="horizontal", hide_index=True, alt="Bilinear and discrete sampling compared")
