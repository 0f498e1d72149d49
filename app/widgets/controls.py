"""The controls that stand close to a figure, each tied to one field of the view state."""

from __future__ import annotations

import streamlit as st

from app.session import state
from app.session.view import SCALES, UNITS, ViewState
from app.widgets import units
from rtdetr_explained.tracing.trace import Trace


def threshold(view: ViewState) -> None:
    """The score above which a query counts as a detection."""
    st.slider(
        "Score threshold",
        0.0,
        1.0,
        step=0.01,
        format="%.2f",
        help="Only detections with a greater score are shown. Nothing is computed again: the model has no such number.",
        **state.bind("threshold", view.threshold),
    )


def layer(view: ViewState, trace: Trace) -> None:
    """The decoder layer that is shown, counted from 1 on the page."""
    st.segmented_control(
        "Decoder layer",
        list(range(trace.num_layers)),
        required=True,
        format_func=lambda i: str(i + 1),
        **state.bind("layer", view.layer),
    )


def head(view: ViewState, trace: Trace) -> None:
    """One attention head, or all of them."""
    st.segmented_control(
        "Head",
        ["all", *range(trace.meta["config"]["num_heads"])],
        required=True,
        **state.bind("head", "all" if view.head is None else view.head),
    )


def cell(view: ViewState, shown: int, trace: Trace) -> None:
    """A cell of the stride-32 map; until one is chosen it is the one from which the selected query looks."""
    h, w = trace.map_sizes[-1]
    st.number_input(
        f"Cell of S5 ({h} rows of {w})",
        0,
        h * w - 1,
        step=1,
        width=220,
        help="Counted row by row from the top left. A click on a cell in the figure selects it, too.",
        **state.bind("cell", shown),
    )
    st.button(
        "Follow the query",
        key="release_cell",
        on_click=state.change,
        kwargs={"cell": None},
        disabled=view.cell is None,
        help="Go back to the cell under the selected query's first reference point",
    )


def channel(view: ViewState, count: int) -> int | None:
    """One channel of the maps, or None for all together; also when the stage has no channel of that number."""
    shown = view.channel if view.channel is not None and view.channel < count else None
    st.selectbox(
        "Channel",
        ["all", *range(count)],
        format_func=lambda i: "all together" if i == "all" else f"channel {i}",
        width=220,
        help="All together is the root mean square over the channels of each cell.",
        **state.bind("channel", "all" if shown is None else shown),
    )
    return shown


def scale(view: ViewState, default: str) -> str:
    """Whose range the colours span; each stage has a choice of its own until one is made."""
    shown = view.scale or default
    st.segmented_control(
        "Colours span",
        list(SCALES),
        required=True,
        format_func={"map": "each map", "stage": "all maps"}.__getitem__,
        help="Each map in its own range shows its pattern; one range for all lets you compare their strength.",
        **state.bind("scale", shown),
    )
    return shown


def group(view: ViewState, count: int) -> None:
    """One of the groups of denoising queries; each holds every object twice, as a positive and as a negative."""
    st.selectbox(
        f"Group (of {count})",
        list(range(count)),
        format_func=lambda i: str(i + 1),
        help="Every group holds each object twice: slightly noised (positive) and strongly noised (negative).",
        **state.bind("group", view.group),
    )


def seed(view: ViewState) -> None:
    """The seed of the noise on the denoising page."""
    st.number_input(
        "Seed of the noise",
        0,
        999_999,
        step=1,
        help="The same seed always draws the same noise.",
        **state.bind("seed", view.seed),
    )


def query(view: ViewState, trace: Trace) -> None:
    """The selected query, shared by all pages."""
    st.number_input(
        "Selected query",
        0,
        len(trace.logits) - 1,
        step=1,
        help="All pages follow this query. Queries are numbered by the score of the place they come from, best first.",
        **state.bind("query", view.query),
    )


def compare(view: ViewState, trace: Trace) -> None:
    """A second query beside the selected one, on all pages; none while the field is empty."""
    st.number_input(
        "Compare with",
        0,
        len(trace.logits) - 1,
        value=None,
        step=1,
        placeholder="no query",
        help="A second query that the pages show beside the selected one. Empty: no comparison.",
        **state.bind("compare", view.compare),
    )


def unit(view: ViewState, where: str = "control") -> None:
    """Whether positions are in pixels of the photo or in 0..1; `where` tells several on a page apart."""
    st.segmented_control(
        "Positions in",
        list(UNITS),
        required=True,
        format_func=units.TITLES.__getitem__,
        help="Pixels of the photo, or parts of its width and height, as the model computes them.",
        **state.bind("unit", view.unit, where),
    )
