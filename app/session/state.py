"""The one typed view state, shared by all pages, and its two-way translation to the URL.

Widgets never hold the truth: each shows a field of the state and its callback writes that field. The URL is written at
the end of a run, and read when it changed without a callback, as it does for a pasted link and for the back button.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.session import images
from rtdetr_explained.weights import zoo

OWN_WEIGHTS = "file"
"""The name of a model that was loaded from a path; the path itself stays out of links."""
SCALES = ("map", "stage")
UNITS = ("px", "image")
METHODS = ("default", "one2many")
DEPTHS = ("see", "tensors", "formula", "code")
OF_ONE_TRACE = ("query", "compare", "point", "cell", "channel", "queries", "selection", "place")
"""What is let go of with the image or the model it was chosen in."""


@dataclass(frozen=True)
class ViewState:
    """What is looked at. None means: what fits best (the best query, the last layer, its own cell, all heads, …).

    `query`, `layer`, `head`, `level` and `channel` count from 0; `compare` is a second query beside the selected one;
    `point` is a sampling point, counted over heads, then levels, then points; `cell` is a token of the stride-32 map,
    row by row. `scale` tells whose range the colours of a map span, its own ("map") or that of all maps of the stage
    ("stage"); `unit` is that of positions, pixels of the photo ("px") or 0..1 of the image ("image"); `depth` is what a
    page shows of its stage. `tensor` names a site of the trace, without the number of its decoder layer. `threshold` is
    a class probability. `queries` and `selection` are what query selection is run again with, and `place` is an (x, y)
    in 0..1 of the image that was asked about there. `group` is one of the groups of denoising queries and `seed` draws
    their noise.
    """

    image: str = images.DEFAULT
    model: str = "nano"
    query: int | None = None
    compare: int | None = None
    layer: int | None = None
    head: int | None = None
    level: int | None = None
    point: int | None = None
    cell: int | None = None
    channel: int | None = None
    scale: str | None = None
    unit: str = "px"
    depth: str = "see"
    tensor: str | None = None
    threshold: float = 0.5
    queries: int | None = None
    selection: str | None = None
    place: tuple[float, float] | None = None
    group: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Selected(ViewState):
    """A view in which query and layer are no longer open; what a page draws."""

    query: int = 0
    layer: int = 0


class Unusable(ValueError):
    """A value in a link that cannot be used; the message completes the sentence "<field> <value> ..."."""


def _index(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise Unusable("is not a whole number from 0 upwards")
    return int(text)


def _threshold(text: str) -> float:
    # Decimals only: float() would also take "nan", "1e3" and digits of other scripts.
    if not re.fullmatch(r"[01](\.[0-9]{1,6})?", text) or float(text) > 1:
        raise Unusable("is not a number from 0 to 1")
    return float(text)


def _image(text: str) -> str:
    if images.kind(text) is None:
        raise Unusable("names no sample, no scene and no uploaded image")
    return text


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise Unusable(f"is none of {', '.join(allowed)}")
        return text

    return parse


def _tensor(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_.]{1,80}", text):
        raise Unusable("is not the name of a tensor")
    return any_layer(text)


def any_layer(site: str) -> str:
    """The name of a site without the number of its decoder layer: all layers have the same tensors."""
    return re.sub(r"^decoder\.layers\.[0-9]+\.", "", site)


def _count(text: str) -> int:
    if not _index(text):
        raise Unusable("is not a number from 1 upwards")
    return int(text)


def _place(text: str) -> tuple[float, float]:
    x, _, y = text.partition(",")
    try:
        return round(_threshold(x), 4), round(_threshold(y), 4)
    except Unusable:
        raise Unusable("is not a place such as 0.25,0.6, in parts of the image") from None


def _model(text: str) -> str:
    if text not in zoo.ZOO and text != OWN_WEIGHTS:
        raise Unusable("is not the name of a model")
    return text


PARSERS: dict[str, Callable[[str], Any]] = {
    "image": _image,
    "model": _model,
    "scale": _one_of(*SCALES),
    "unit": _one_of(*UNITS),
    "depth": _one_of(*DEPTHS),
    "tensor": _tensor,
    "selection": _one_of(*METHODS),
    "threshold": _threshold,
    "place": _place,
    "queries": _count,
    **dict.fromkeys(
        ("query", "compare", "layer", "head", "level", "point", "cell", "channel", "group", "seed"), _index
    ),
}


def from_params(params: Mapping[str, str]) -> tuple[ViewState, list[str]]:
    """The state that a URL asks for, and one sentence for each value that cannot be used; other keys are ignored."""
    values, notes = {}, []
    for field, parse in PARSERS.items():
        text = params.get(field)
        if text is None:
            continue
        try:
            values[field] = parse(text)
        except Unusable as problem:
            notes.append(f"In the link, {field}{_quoted(text)} {problem}; it was left out.")
    return ViewState(**values), notes


def to_params(view: ViewState) -> dict[str, str]:
    """The shortest URL parameters that give this state: every field that differs from its default."""
    default = ViewState()
    return {
        field: _text(value)
        for field, value in dataclasses.asdict(view).items()
        if value is not None and value != getattr(default, field)
    }


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    # Never 1e-05, which is no decimal number to the parser.
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Limits:
    """How many of each there are in a trace; an index must be smaller."""

    query: int
    compare: int
    layer: int
    head: int
    level: int
    point: int
    cell: int
    channel: int


def fit(view: ViewState, limits: Limits, best: int, sites: Iterable[str]) -> tuple[ViewState, list[str]]:
    """Drop what the trace does not have, with one sentence each.

    `best` is the query shown while none is selected; `sites` are the names of all tensors.
    """
    dropped: dict[str, Any] = {}
    notes = []
    for field, count in dataclasses.asdict(limits).items():
        value = getattr(view, field)
        if value is not None and value >= count:
            dropped[field] = None
            notes.append(_beyond(field, value, count))
    if view.tensor is not None and view.tensor not in map(any_layer, sites):
        dropped["tensor"] = None
        notes.append(f"There is no tensor {view.tensor} in this model; it was left out.")
    view = dataclasses.replace(view, **dropped)
    if view.compare is not None and view.compare == (best if view.query is None else view.query):
        view = dataclasses.replace(view, compare=None)
        notes.append("The query to compare with is the selected one itself; it was left out.")
    return view, notes


def _beyond(field: str, value: int, count: int) -> str:
    if field == "layer":  # which pages count from 1
        return f"Links count layers from 0: layer={value} is layer {value + 1}, and there are {count}; it was left out."
    return f"There is no {field} {value} here, they go from 0 to {count - 1}; it was left out."


# --- the state of a browser session -----------------------------------------------------------------------------------


def begin() -> ViewState:
    """The state at the start of a run: the session's, unless the URL was changed from outside."""
    session = st.session_state
    by_callback = session.pop("view_changed", False)
    params = st.query_params.to_dict()
    if "view" not in session or (not by_callback and params != session.view_params):
        session.view, notes = from_params(params)
        session.view_params = params
        session.notes = notes
    return session.view


def current() -> ViewState:
    """The session's state, as it was left by `begin`, a callback or `put`."""
    return st.session_state.view


def put(view: ViewState) -> None:
    """Replace the state in the middle of a run."""
    st.session_state.view = view


def change(**fields: Any) -> None:
    """Change fields, from a widget's callback.

    A new image or model lets go of what was selected in the old one, and a query is not compared with itself.
    """
    view = st.session_state.view
    if any(field in fields and fields[field] != getattr(view, field) for field in ("image", "model")):
        fields = {**dict.fromkeys(OF_ONE_TRACE), **fields}
    view = dataclasses.replace(view, **fields)
    if view.compare == view.query:
        view = dataclasses.replace(view, compare=None)
    st.session_state.view = view
    st.session_state.view_changed = True
    st.session_state.notes = []


def write_url() -> None:
    """Bring the URL in line with the state, at the end of a run."""
    params = to_params(current())
    if params != st.query_params.to_dict():
        st.query_params.from_dict(params)
    st.session_state.view_params = params


def embedded() -> str:
    """What `?embed=` in the URL says when it asks for the page without its surroundings ("1" or "true"), else ""."""
    # Streamlit keeps this parameter in the address but out of st.query_params, and itself knows "true" only.
    context = get_script_run_ctx()
    asked = parse_qs(context.query_string).get("embed", [""])[-1] if context else ""
    return asked if asked.lower() in ("1", "true") else ""


def link(slug: str) -> str:
    """The address of a page in the view of this session."""
    asked = {"embed": embedded()} if embedded() else {}
    query = urlencode({**asked, **to_params(current())})
    return f"./{slug}?{query}" if query else f"./{slug}"


def note(sentence: str) -> None:
    """Show a sentence above the page, in this run and until something is changed."""
    notes = st.session_state.setdefault("notes", [])
    if sentence not in notes:
        notes.append(sentence)


def bind(field: str, value: Any, where: str = "control") -> dict[str, Any]:
    """Key and callback that make a widget show `value` and write `field`; the option "all" is written as None.

    `where` tells several widgets for one field on a page apart.
    """
    key = f"{where}_{field}"
    put_value(key, value)
    st.session_state[f"shown_{key}"] = value, getattr(current(), field)
    return {"key": key, "on_change": _from_widget, "args": (key, field)}


def put_value(key: str, value: Any) -> None:
    """Make a widget show `value`.

    Nothing is written where it already does: what is written is sent to the browser, where it would undo what was typed
    or moved there while this run was under way.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def _from_widget(key: str, field: str) -> None:
    value = st.session_state[key]
    # When a page is left before it is drawn, Streamlit calls back for widgets that nobody touched.
    if st.session_state[f"shown_{key}"] != (value, getattr(current(), field)):
        change(**{field: None if value == "all" else value})


def _quoted(text: str) -> str:
    """A value from a link, to be repeated in a note: only where it is short and cannot look like a link of its own."""
    return f" {text!r}" if re.fullmatch(r"[A-Za-z0-9_+-]{1,40}(\.[0-9]{1,6})?", text) else ""
