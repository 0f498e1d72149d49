"""What every page has around it: the side bar, the map, the way back and forth, and the sentences of the stage."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module

import streamlit as st
from plotly.graph_objects import Figure, Scatter

from app import sidebar
from app.components import keys as keyboard
from app.components import pipeline_map as pipeline
from app.session import images, state, traces, weights
from app.session.view import OF_ONE_TRACE, ViewState, embedded_model, model_of, to_params
from app.widgets.text import plain
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.stages import STAGES
from rtdetr_explained.model.class_names import SHAPE_CLASSES, VOC_CLASSES
from rtdetr_explained.tracing.trace import Trace
from rtdetr_explained.weights import zoo

# The figures need the width that Streamlit's wide layout leaves empty; below 1000 px the inspector goes under them.
# Narrower than 520 px they are scrolled.
CSS = """
[data-testid=stMainBlockContainer] { padding-left: 2.25rem; padding-right: 2.25rem; }
@media (max-width: 1000px) {
  [data-testid=stMainBlockContainer] { padding-left: 0.75rem; padding-right: 0.75rem; }
  [data-testid=stMain] [data-testid=stHorizontalBlock]:has(> [data-testid=stColumn]) { flex-wrap: wrap; }
  [data-testid=stMain] [data-testid=stHorizontalBlock] > [data-testid=stColumn] { min-width: 100%; }
  [data-testid=stMain] h2 .stMarkdownColoredText { display: none; }
  [data-testid=stSidebar][data-collapsed=false] { width: 236px !important; min-width: 236px !important; }
}
[class*="st-key-frame_"] { overflow-x: auto; }
[class*="st-key-frame_"] > div { min-width: 520px; }
"""
FEW: dict[str | None, int] = {"photo": 0, "upload": 1}
"""So many detections, and no more, are few in a photograph."""
EMBEDDED_CSS = """
[data-testid=stHeader] { display: none; }
[data-testid=stMainBlockContainer] { padding-top: 0.75rem; padding-bottom: 1rem; }
"""


def run(page: st.Page, pages: Mapping[str, st.Page]) -> None:
    """Draw one page; `pages` maps every slug to its page."""
    slug = page.url_path or next(iter(STAGES))

    def go(to: str) -> None:
        st.switch_page(pages[to], query_params=to_params(state.current()))

    embedded = bool(state.embedded())
    st.html(f"<style>{CSS}{EMBEDDED_CSS if embedded else ''}</style>")
    first_run = "view" not in st.session_state
    view = _settle(state.begin())
    if not embedded:
        sidebar.show(view)
    strip = st.empty()
    first_chart = st.empty()
    if first_run:  # something to look at while the model is loaded; later the last page stays until the next is there
        with strip:
            pipeline.show(slug, None, go)
        # With its first chart the browser fetches the code for all of them, 5 MB: now, while it has to wait anyway.
        first_chart.plotly_chart(Figure(Scatter()), height=10, key="first_chart", alt="Loading")
    try:
        with nullcontext() if embedded else st.sidebar, st.spinner("Loading the model and tracing the image …"):
            trace = traces.trace_of(view)
        first_chart.empty()
        view = state.settle(traces.offered(view, trace))
        with strip:
            pipeline.show(slug, trace, go)
        _head(slug, trace, go, embedded)
        _notes(view, trace)
        page.run()
    except traces.Busy as busy:
        first_chart.empty()
        st.info(plain(busy), icon=":material/hourglass_top:")
        st.button("Try again", key="try_again")
    except InputError as error:
        st.error(plain(error))
    state.write_url()


def prepare() -> None:
    """Do the slow part of the first visit beforehand: import what pages share, load nano and trace the first image."""
    import_module("app.depths")
    import_module("app.widgets.figures")
    traces.trace_of(ViewState())
    # Streamlit collects garbage after each run; without this it would look through all of torch, a sixth of a second.
    gc.collect()
    gc.freeze()


def _settle(view: ViewState) -> ViewState:
    """Replace what a link names but this session does not have, with a note."""
    if not images.is_here(view.image):
        state.note(
            f"The link shows an uploaded image ({view.image}), and a link cannot carry it. Upload the same file in the "
            "side bar to see it as the link has it; until then this is a sample."
        )
        st.session_state.awaited = view
        st.session_state.source = "Upload"
        view = replace(view, image=images.DEFAULT, **dict.fromkeys(OF_ONE_TRACE))
    if weights.is_own(model_of(view)) and not weights.is_ready(model_of(view)):
        stands_in = embedded_model(view.image)
        state.note(f"The link was made with a weights file that is not open here now; this is {stands_in}.")
        view = replace(view, model=None)
    state.put(view)
    return view


def _head(slug: str, trace: Trace, go: Callable[[str], None], embedded: bool) -> None:
    """Title and sentence of the stage, with buttons to its neighbours and the list of keys on the right."""
    slugs, stage = list(STAGES), STAGES[slug]
    place = slugs.index(slug)
    row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
    row.markdown(f"## {place + 1} {stage.title} :gray[– {stage.subtitle}]", width="content")
    with row.container(horizontal=True, width="content"):
        neighbours = (("Previous", place - 1, ":material/arrow_back:"), ("Next", place + 1, ":material/arrow_forward:"))
        for label, to, icon in () if embedded else neighbours:
            there = 0 <= to < len(slugs)
            st.button(
                label,
                key=f"go_{label.lower()}",
                icon=icon,
                icon_position="left" if to < place else "right",
                disabled=not there,
                on_click=go,
                args=(slugs[to] if there else slug,),
                help=f"{STAGES[slugs[to]].title} (key {'←' if to < place else '→'})" if there else None,
            )
        keyboard.show(slug, trace, go)
    st.markdown(stage.sentence)
    st.caption(f"**Often misread:** {stage.misread}")


def _notes(view: ViewState, trace: Trace) -> None:
    """What a reader must know before believing the picture."""
    if st.session_state.notes:
        st.warning("  \n".join(map(plain, st.session_state.notes)), icon=":material/link_off:")
    model, photograph = model_of(view), images.is_photograph(view.image)
    if not weights.is_ready(model):
        title, stands_in = plain(weights.title(model)), embedded_model(view.image)
        st.info(f"{title} is not on this computer yet: download it in the side bar. This is {stands_in} meanwhile.")
    for remark in weights.remarks(model, view.image):
        st.caption(plain(remark))
    knows_shapes = trace.class_names == SHAPE_CLASSES
    if knows_shapes and photograph:
        st.warning(
            f"**{plain(trace.meta['model'])} knows generated shapes only.** What it finds in a photograph means "
            "nothing: for photographs, choose nano-photo or a model with COCO weights in the side bar.",
            icon=":material/category:",
        )
    elif not knows_shapes and not photograph:
        st.info(
            "This model does not know shapes. Choose a photograph, or nano for this scene.", icon=":material/category:"
        )
    elif trace.class_names == VOC_CLASSES and len(trace.detections(view.threshold)) <= FEW.get(
        images.kind(view.image), -1
    ):
        _what_it_knows()


def _what_it_knows() -> None:
    """Why little may have been found in a photograph, and the way to a model that knows more."""
    larger = zoo.find("rtdetrv2_r18vd")
    with st.container(border=True):
        st.markdown(
            f"**nano-photo knows these 20 classes alone:** {', '.join(VOC_CLASSES)}. Small objects and crowds it often "
            f"misses. For the 80 COCO classes take {larger.title}."
        )
        st.button(
            f"Get {larger.title}, {larger.megabytes} MB",
            key="get_larger",
            icon=":material/download:",
            on_click=sidebar.get,
            args=(larger.name,),
        )
