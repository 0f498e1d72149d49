"""Values a trace does not hold: of a small network the image is traced again at once, of a large one on request."""

from __future__ import annotations

import streamlit as st

from app.session import traces
from app.session.view import ViewState
from rtdetr_explained.tracing.trace import Trace

QUICK_FLOPS = 1e10
"""Up to here a pass takes a fraction of a second on two cores."""


def obtain(view: ViewState, trace: Trace, sites: tuple[str, ...], label: str) -> Trace:
    """The trace with these sites, or the trace as it is below a button that brings them. Raises `InputError`."""
    if all(site in trace for site in sites) or "denoising" in trace.meta:
        return trace
    asked = st.session_state.setdefault("further_sites", set())
    request = (view.image, view.model, sites)
    if trace.profile["overview"].flops > QUICK_FLOPS and request not in asked:
        st.button(
            label,
            key=f"further_{sites[0]}",
            icon=":material/refresh:",
            on_click=asked.add,
            args=(request,),
            help="Not every tensor of a large network is kept. The image runs through it once more, with "
            + ", ".join(f"`{site}`" for site in sites),
        )
        return trace
    with st.spinner("Tracing the image again …"):
        return traces.with_sites(view, trace, sites)
