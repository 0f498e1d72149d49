"""The formulas of a stage with this image's numbers: the equation, the numbers, and the trace's own value beside it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.session.view import Selected
from app.widgets import controls
from app.widgets import retrace as further
from app.widgets.text import plain
from rtdetr_explained.drawing.text import number
from rtdetr_explained.formulas import formulas
from rtdetr_explained.formulas.deformable_attention import value_sites
from rtdetr_explained.formulas.formula import Formula
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


def show(slug: str, view: Selected, trace: Trace) -> None:
    """What can be selected, then one formula below the other."""
    _controls(slug, view, trace)
    if slug == "deformable_attention":
        trace = further.obtain(view, trace, value_sites(view.layer), "Trace again with what the points read")
    choice = choose(
        trace,
        query=view.query,
        layer=view.layer,
        head=view.head,
        level=view.level,
        point=view.point,
        cell=view.cell,
        group=view.group,
    )
    for one in formulas(slug, choice):
        with st.container(border=True):
            _draw(one)


def _controls(slug: str, view: Selected, trace: Trace) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if slug == "denoising":
            controls.group(view, trace.meta["denoising"]["num_groups"])
            controls.seed(view)
            return
        with st.container(width=220):
            controls.query(view, trace)
        if slug in ("decoder", "deformable_attention"):
            controls.layer(view, trace)
        if slug in ("aifi", "decoder", "deformable_attention"):
            controls.head(view, trace)


def _draw(one: Formula) -> None:
    st.markdown(f"#### {plain(one.title)}")
    st.latex(one.latex)
    st.latex(one.numbers)
    left, right = st.columns([3, 2], gap="medium")
    left.markdown("\n".join(f"- ${symbol}$: {plain(meaning)}" for symbol, meaning in one.where))
    with right:
        icon, word = (":material/check:", "Agrees") if one.agrees else (":material/warning:", "Differs")
        against = "by definition" if one.defined else "traced"
        st.markdown(
            f"{icon} **{word}** with the trace  \n"
            f"recomputed **{_list(one.computed)}**  \n"
            f"{against} **{_list(one.traced)}** :gray[{plain(one.source)}]  \n"
            f"greatest difference {number(one.error)}, at most {number(one.tolerance)} is rounding"
        )
        if one.note:
            st.caption(plain(one.note))


def _list(values: np.ndarray) -> str:
    shown = [f"{value:,.6g}".replace("-", "−") for value in values[:4]]
    return ", ".join(shown) + (" …" if len(values) > 4 else "")
