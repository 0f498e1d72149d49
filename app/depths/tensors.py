"""The tensors of a stage: named axes, type, range, distribution and values, to be looked through and downloaded."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.depths import tensor_charts
from app.session import said, state
from app.session.view import Selected, any_layer
from app.widgets import controls, figures
from app.widgets import retrace as further
from app.widgets.text import plain
from rtdetr_explained.drawing import export
from rtdetr_explained.drawing.text import number
from rtdetr_explained.illustrations import tensors
from rtdetr_explained.printable import as_cell
from rtdetr_explained.tracing import storage
from rtdetr_explained.tracing.sites import SiteInfo
from rtdetr_explained.tracing.trace import Trace

ROW_PX = 32


def show(slug: str, view: Selected, trace: Trace) -> None:
    """One tensor of the stage in detail, and below it the list of all; of the decoder's equal layers, one."""
    sites = sites_of(slug, trace, view.layer)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        site = _choose(slug, view, sites)
        if any(site.name.startswith("decoder.layers.") for site in sites) and "denoising" not in trace.meta:
            controls.layer(view, trace)
    st.markdown(f"`{site.name}` – {plain(site.doc)}")
    if site.name not in trace:
        st.caption("The values of this tensor are not kept in the usual trace.")
    fuller = further.obtain(view, trace, (site.name,), "Trace again with this tensor")
    if site.name in fuller:
        _values(slug, view, fuller, site.name)
    else:
        st.table({"Axes": _axes(site), "Type": site.dtype, "Unit": plain(site.unit)}, border="horizontal")
    _list(slug, sites, trace, site)
    _download_all(trace)


def sites_of(slug: str, trace: Trace, layer: int) -> list[SiteInfo]:
    """The sites of a stage in the order of the pass, of one decoder layer; on the overview those of the whole pass."""
    sites = [site for site in trace.sites() if slug in ("overview", site.stage)]
    in_layer = f"decoder.layers.{layer}."
    return [site for site in sites if not site.name.startswith("decoder.layers.") or site.name.startswith(in_layer)]


def _choose(slug: str, view: Selected, sites: list[SiteInfo]) -> SiteInfo:
    """The tensor to be shown: the one in the view where the stage has it, else the first whose values are kept."""
    names = [any_layer(site.name) for site in sites]
    kept = [name for name, site in zip(names, sites, strict=True) if site.captured]
    shown = view.tensor if view.tensor in names else (kept or names)[0]
    titles = {name: f"{name}   ·   {' × '.join(site.axes)}" for name, site in zip(names, sites, strict=True)}
    of = "the whole pass" if slug == "overview" else "this stage"
    st.selectbox(
        f"Tensor ({len(sites)} in {of})",
        names,
        format_func=lambda name: titles[name],
        help="Type to search. The order is that of the pass.",
        width=560,
        **state.bind("tensor", shown, where=f"choice_{slug}"),
    )
    return sites[names.index(shown)]


def _values(slug: str, view: Selected, trace: Trace, name: str) -> None:
    """Facts and histogram on the left, values on the right."""
    captured = trace[name]
    array = captured.array
    found = tensors.statistics(array)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        facts = {
            "Axes": _axes(captured.info),
            "Type": _type(captured.info),
            "Unit": plain(captured.unit),
            "Values": f"{array.size:,} ({_size(array.nbytes)})",
            "Min, mean, max": " · ".join(_number(v) for v in (found.least, found.mean, found.greatest)),
        }
        if found.remark:
            facts["Not finite"] = found.remark
        st.table(facts, border="horizontal", alt=f"Facts about {name}")
        st.plotly_chart(
            tensor_charts.histogram_figure(array, captured.unit, figures.theme()),
            theme=None,
            key=f"histogram_{slug}",
            alt=tensors.histogram_alt(found, captured.unit),
            config=figures.CHART,
        )
        st.caption("How often which values occur in the whole tensor.")
    with right:
        part = _slice(view, trace, name)
        _show_slice(slug, part, name, captured.unit)
        _downloads(name, array, part)


def _slice(view: Selected, trace: Trace, name: str) -> tensors.Slice:
    """What is seen of the values: a number for every axis but the last two, starting at what is selected."""
    captured = trace[name]
    array, axes = captured.array, captured.axes
    at = []
    leading = tensors.leading_axes(axes)
    selected = {"query": view.query, "head": view.head, "channel": view.channel}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for axis, size in zip(leading, array.shape, strict=False):
            start = min(selected.get(axis) or 0, size - 1)
            key = f"slice_{name}_{axis}_{start}"
            at.append(st.number_input(f"{axis} (of {size:,})", 0, size - 1, value=start, step=1, key=key, width=150))
        part = tensors.slice_of(array, axes, at, trace.class_names)
        if len(part.values) < part.all_rows:
            last = part.all_rows - len(part.values)
            first = st.number_input(
                f"first {part.row_axis} (of {part.all_rows:,})",
                0,
                last,
                step=len(part.values),
                key=f"slice_{name}_first",
                help=f"{len(part.values):,} are shown at a time.",
                width=170,
            )
            part = tensors.slice_of(array, axes, at, trace.class_names, int(first))
    return part


def _show_slice(slug: str, part: tensors.Slice, name: str, unit: str) -> None:
    """The slice as a table of numbers or as a heat map."""
    rows, columns = part.values.shape
    words = f"{plain(part.row_axis)} {part.row_names[0]} to {part.row_names[-1]}" if rows > 1 else plain(part.row_axis)
    if part.is_table:
        height = min(ROW_PX * (rows + 1) + 4, 430)
        st.dataframe(_frame(part), row_height=ROW_PX, height=height, alt=f"Values of {name}, {rows} × {columns}")
        st.caption(f"Values, {words}.")
        return
    st.plotly_chart(
        tensor_charts.slice_figure(part, unit, figures.theme()),
        theme=None,
        key=f"slice_{slug}",
        alt=f"Heat map of {name}: {rows} rows ({part.row_axis}) by {columns} columns ({part.column_axis})",
        config=figures.CHART,
    )
    st.caption(f"Values, {words}, by {plain(part.column_axis)}; hover for a number.")


def _frame(part: tensors.Slice, write: Callable[[str], str] = str) -> pd.DataFrame:
    """The slice as a table, the names of its rows and columns as `write` gives them."""
    index = pd.Index([write(name) for name in part.row_names], name=part.row_axis)
    return pd.DataFrame(part.values, index=index, columns=pd.Index([write(name) for name in part.column_names]))


def _downloads(name: str, array: np.ndarray, part: tensors.Slice) -> None:
    image = state.current().image

    def whole() -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return buffer.getvalue()

    with st.container(horizontal=True):
        _download("Tensor as NPY", whole, export.file_name(name, image, "npy"), f"All {array.size:,} values, for NumPy")
        _download(
            "What is seen as CSV",
            lambda: _frame(part, as_cell).to_csv().encode(),
            export.file_name(name, image, "csv"),
            "The rows and columns on the screen, for a spreadsheet",
        )


def _download_all(trace: Trace) -> None:
    _download(
        f"Whole trace as safetensors ({_size(trace.nbytes)})",
        lambda: storage.to_bytes(trace),
        export.file_name("trace", state.current().image, "safetensors"),
        "Every kept tensor with its axes and the photo in one file; `Trace.load` of this package reads it back",
    )


def _download(label: str, data: Any, file_name: str, help: str) -> None:
    if state.embedded():
        return
    key = f"download_{file_name.rsplit('.', 1)[1]}"
    st.download_button(
        label,
        data,
        file_name,
        "application/octet-stream",
        key=key,
        on_click="ignore",
        help=help,
        icon=":material/download:",
    )


def _list(slug: str, sites: list[SiteInfo], trace: Trace, chosen: SiteInfo) -> None:
    """All tensors of the stage; a click on a row shows that tensor."""
    place = sites.index(chosen)
    key = f"tensor_list_{slug}_{place}"

    def select() -> None:
        row = said.picked_row(key, len(sites))
        if row not in (None, place):
            state.change(tensor=any_layer(sites[row].name))

    st.markdown("#### All tensors of the whole pass" if slug == "overview" else "#### All tensors of this stage")
    st.dataframe(
        pd.DataFrame([_row(site, trace) for site in sites]),
        hide_index=True,
        row_height=ROW_PX,
        height=min(ROW_PX * (len(sites) + 1) + 4, 420),
        key=key,
        on_select=select,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [place]}},
        alt=f"{len(sites)} tensors with their axes, type, unit and range",
    )
    remarks = []
    if any(site.name not in trace for site in sites):
        remarks.append("Tensors without a range were computed, but their values are not kept in this trace.")
    if any(site.name.startswith("decoder.layers.") for site in sites):
        remarks.append("Every decoder layer has the same tensors.")
    if remarks:
        st.caption(" ".join(remarks))


def _row(site: SiteInfo, trace: Trace) -> dict[str, Any]:
    axes = " × ".join(f"{axis} {size:,}" for axis, size in zip(site.axes, site.shape, strict=True))
    row = {"Name": site.name, "Axes": axes, "Type": site.dtype, "Unit": site.unit}
    found = tensors.statistics(trace.values[site.name]) if site.name in trace else None
    numbers = (found.least, found.mean, found.greatest) if found else (None, None, None)
    return row | dict(zip(("Min", "Mean", "Max"), map(_number, numbers), strict=True)) | {"What it is": site.doc}


def _axes(site: SiteInfo) -> str:
    return " × ".join(f"{plain(axis)} **{size:,}**" for axis, size in zip(site.axes, site.shape, strict=True))


def _type(site: SiteInfo) -> str:
    return f"{site.dtype}, rounded to half precision when kept" if site.dtype == "float16" else site.dtype


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _size(nbytes: int) -> str:
    return f"{nbytes / 1e6:.1f} MB" if nbytes >= 1e5 else f"{nbytes / 1e3:.1f} kB"
