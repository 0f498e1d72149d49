"""The code of a stage: the lines of the model that made the numbers on the other tabs."""

from __future__ import annotations

import streamlit as st

from app.widgets.text import plain
from rtdetr_explained.illustrations import source
from rtdetr_explained.tracing.trace import Trace


def show(slug: str, trace: Trace) -> None:
    """Every listing of the stage, with the tensors that can be seen where it names a tap."""
    st.caption(
        "The model's own source as it runs here, read when this tab is opened. A call such as `self.output(x)` of a "
        "tap changes nothing: it names a tensor, so that it can be seen, kept or edited."
    )
    for listing in source.listings(slug, trace.meta["config"].get("backbone", "resnet_vd")):
        lines = f"{plain(listing.path)}, lines {listing.first_line}–{listing.last_line}"
        st.markdown(f"**{plain(listing.title)}** :gray[{lines}]")
        if sites := listing.sites(trace):
            st.caption("Tensors named here: " + ", ".join(f"`{site.name}`" for site in sites))
        st.code(listing.code, language="python", line_numbers=True)
