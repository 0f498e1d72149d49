"""The view of this browser session: begun from the URL, changed by callbacks, written back to the URL.

Widgets never hold the truth: each shows a field of the view and its callback writes that field. The URL is written at
the end of a run, and read when it changed without a callback, as it does for a pasted link and for the back button.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import parse_qs, urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.session.view import OF_ONE_TRACE, Offered, ViewState, accepted, fit, from_params, to_params


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


def settle(offered: Offered) -> ViewState:
    """Bring the view in line with what there is to choose from in its trace; what is left out is told."""
    view, notes = fit(current(), offered)
    put(view)
    st.session_state.offered = offered
    for sentence in notes:
        note(sentence)
    return view


def change(**said: Any) -> None:
    """Change fields, from a callback: the one way by which what a browser sends enters the view.

    What was not offered is left alone. A new image or model lets go of what was selected in the old one, and a query
    is not compared with itself.
    """
    view = current()
    fields = accepted(said, None)
    if any(field in fields and fields[field] != getattr(view, field) for field in ("image", "model")):
        fields = {**dict.fromkeys(OF_ONE_TRACE), **fields}
    else:
        fields = accepted(fields, st.session_state.get("offered"))
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
