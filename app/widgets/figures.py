"""The main figure of a page: shown with its caption and alt text, and exported from the same view data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from app.session import said, state
from app.widgets.text import plain
from rtdetr_explained.drawing import export as files
from rtdetr_explained.drawing.colors import Theme
from rtdetr_explained.drawing.marks import Picture
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly

MIME_TYPES = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}
CHART = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}


def theme() -> Theme:
    """ "light" or "dark", as the visitor's browser shows the page."""
    return "dark" if st.context.theme.type == "dark" else "light"


def show(slug: str, picture: Picture, *, selects: str | None = None, export: Picture | None = None) -> None:
    """Draw a picture, with its caption, the buttons that export it and its table.

    `selects` names the field of the view state that a click on a marker sets, to the marker's number. `export` is the
    picture that the buttons save where it is another one than the page shows.
    """
    key = f"figure_{slug}"
    figure = to_plotly(picture.drawing, theme())
    options: dict[str, Any] = {}
    if selects:
        options = {"on_select": _from_click(key, selects), "selection_mode": "points"}
        figure.update_layout(clickmode="event+select")
        # Plotly fades everything but the marker that was clicked; here the next figure shows what is selected.
        figure.for_each_trace(_keep_opacity, selector={"mode": "markers"})
    with st.container(key=f"frame_{slug}"):
        st.plotly_chart(figure, theme=None, key=key, alt=picture.alt_text, config=CHART, **options)
    show_twins(slug, picture, export=export)


def show_twins(slug: str, picture: Picture, *, export: Picture | None = None) -> None:
    """The caption, the buttons that export the figure, and its data as a table; also below what stands in for it."""
    st.caption(plain(picture.caption))
    if not state.embedded():
        _export(slug, export or picture)
    numbers = st.expander("Figure as a table", key=f"table_{slug}", on_change="rerun")
    if numbers.open:
        with numbers:
            st.dataframe(pd.DataFrame(picture.table), hide_index=True, alt=f"The data of the figure: {picture.caption}")


def _keep_opacity(trace: Any) -> None:
    opacity = trace.marker.opacity
    trace.unselected = {"marker": {"opacity": 1 if opacity is None else opacity}}


def _export(slug: str, picture: Picture) -> None:
    """Three buttons; the file is only made when one is pressed, and always for a white page."""

    def maker(kind: str) -> Callable[[], bytes]:
        return lambda: files.to_bytes(to_matplotlib(picture.drawing, "light"), kind)

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Export this figure", width="content")
        for kind, mime in MIME_TYPES.items():
            st.download_button(
                kind.upper(),
                data=maker(kind),
                file_name=files.file_name(slug, state.current().image, kind),
                mime=mime,
                key=f"export_{slug}_{kind}",
                on_click="ignore",
                help=f"Save this figure as {kind.upper()}, for a white page",
            )


def _from_click(key: str, field: str) -> Callable[[], None]:
    def select() -> None:
        value = said.picked_mark(key)
        if value is not None:
            state.change(**{field: value})

    return select
