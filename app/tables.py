"""The tables of a page: this stage's tensors with named axes, the figure's data, and the detections."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.state import Selected
from app.text import plain
from rtdetr_explained.illustrations.drawing import number
from rtdetr_explained.tracing.sites import SiteInfo
from rtdetr_explained.tracing.trace import Trace

ROW_PX = 32


def show_tensors(slug: str, trace: Trace, layer: int) -> None:
    """Every site of the stage in the order of the pass; of the decoder's equal layers, the one in view."""
    sites = [site for site in trace.sites() if site.stage == slug or (slug == "overview" and site.name in _ENDS)]
    layered = [site for site in sites if site.name.startswith("decoder.layers.")]
    other_layers = {site.name for site in layered if not site.name.startswith(f"decoder.layers.{layer}.")}
    sites = [site for site in sites if site.name not in other_layers]
    rows = [_row(site, trace) for site in sites]
    st.table(
        pd.DataFrame(rows),
        border="horizontal",
        hide_index=True,
        alt=f"{len(rows)} tensors with their axes, type, unit and range",
    )
    remarks = []
    if other_layers:
        remarks.append(f"Shown is decoder layer {layer + 1} of {trace.num_layers}; every layer has the same tensors.")
    if any(not site.captured for site in sites):
        remarks.append("Tensors without a range were computed, but their values are not kept in this trace.")
    st.caption(" ".join(remarks))


def show_detections(trace: Trace, view: Selected, slug: str) -> None:
    """The detections above the threshold; a click on a row selects its query on every page."""
    found = trace.detections(view.threshold)
    if not found:
        best = trace.detections(0.0)[0]
        st.caption(f"Nothing scores above {view.threshold:.2f}; the best is {plain(best.name)} with {best.score:.2f}.")
        return
    queries = [d.query for d in found]
    rows = {
        "class": [d.name for d in found],
        "score": [d.score for d in found],
        "query": queries,
        "box": ["{:.0f}, {:.0f} – {:.0f}, {:.0f}".format(*d.box_px) for d in found],
    }
    selected = [queries.index(view.query)] if view.query in queries else []
    # The key holds the selection, so that a query selected elsewhere is also the row that is lit.
    key = f"detections_{slug}_{view.query}"

    def select() -> None:
        picked = st.session_state[key]["selection"]["rows"]
        state.change(query=queries[picked[0]] if picked and picked[0] < len(queries) else None)

    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        row_height=ROW_PX,
        height=min(ROW_PX * (len(rows["query"]) + 1) + 4, 330),
        key=key,
        on_select=select,
        selection_mode="single-row",
        selection_default={"selection": {"rows": selected}},
        alt=f"{len(found)} detections; selecting a row selects its query",
        column_config={
            "class": st.column_config.TextColumn("Class", width=80),
            "score": st.column_config.NumberColumn("Score", format="%.2f", width=54),
            "query": st.column_config.NumberColumn("Query", width=56),
            "box": st.column_config.TextColumn("Box (px)", help="x, y of two corners in pixels of the image"),
        },
    )


_ENDS = ("decoder.logits", "decoder.boxes")


def _row(site: SiteInfo, trace: Trace) -> dict[str, str]:
    axes = " × ".join(f"{plain(axis)} **{size:,}**" for axis, size in zip(site.axes, site.shape, strict=True))
    row = {"Name": f"`{site.name}`", "Axes": axes, "Type": site.dtype, "Unit": plain(site.unit)}
    return row | _statistics(trace.values.get(site.name)) | {"What it is": plain(site.doc)}


def _statistics(array: np.ndarray | None) -> dict[str, str]:
    """Least, mean and greatest of the finite values, as text; nothing where there are none."""
    values = np.empty(0) if array is None else array.astype(np.float32)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {"Min": "", "Mean": "", "Max": ""}
    numbers = {"Min": finite.min(), "Mean": finite.mean(dtype=np.float64), "Max": finite.max()}
    return {name: number(float(value)) for name, value in numbers.items()}
