"""One sampling point in numbers, beside the canvas: from the reference box to its part in the head's sum."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.session import models, state
from app.session.choice import choice_of
from app.session.state import Selected
from app.widgets import figures
from app.widgets.text import plain
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.illustrations.deformable_attention import cells, points
from rtdetr_explained.tracing.trace import Trace


def show(view: Selected, trace: Trace) -> None:
    """The point in view, or the heaviest where that is not shown, with buttons to the next heavier and lighter one."""
    reading, _ = models.reading_of(view, trace, view.layer)
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
