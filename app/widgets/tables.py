"""The table of detections, which selects a query."""

from __future__ import annotations

import re

import pandas as pd
import streamlit as st

from app.session import said, state
from app.session.view import Selected
from app.widgets import units
from app.widgets.text import plain
from rtdetr_explained.tracing.trace import Trace

ROW_PX = 32


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
        "box": ["{}, {} – {}, {}".format(*_corners(d.box_px, view.unit, trace.image_size)) for d in found],
    }
    selected = queries.index(view.query) if view.query in queries else None
    # The key holds the selection, so that a query selected elsewhere is also the row that is lit.
    key = f"detections_{slug}_{view.query}"

    def select() -> None:
        row = said.picked_row(key, len(queries))
        if row != selected:  # Streamlit also calls back for a table that is left before it is drawn
            state.change(query=None if row is None else queries[row])

    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        row_height=ROW_PX,
        height=min(ROW_PX * (len(rows["query"]) + 1) + 4, 330),
        key=key,
        on_select=select,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [] if selected is None else [selected]}},
        alt=f"{len(found)} detections; selecting a row selects its query",
        column_config={
            "class": st.column_config.TextColumn("Class", width=76),
            "score": st.column_config.NumberColumn("Score", format="%.2f", width=50),
            "query": st.column_config.NumberColumn("Query", width=52),
            "box": st.column_config.TextColumn(
                "Box (px)" if view.unit == "px" else "Box (0..1)",
                help="x, y of two corners, in " + ("pixels of the photo" if view.unit == "px" else "0..1 of the photo"),
            ),
        },
    )


def _corners(box_px: tuple[float, ...], unit: str, image_size: tuple[int, int]) -> list[str]:
    """The four numbers of a box x0 y0 x1 y1 as text, in the unit of the view; short, for a narrow column: .125."""
    if unit == "px":
        return [units.length(value, unit) for value in box_px]
    texts = (units.length(value / side, unit) for value, side in zip(box_px, image_size * 2, strict=True))
    return [re.sub(r"^(−?)0\.", r"\1.", text) for text in texts]
