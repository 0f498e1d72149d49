"""The moving figure of the decoder: queries listen and correct their boxes, layer after layer, in the browser.

It gets the boxes of all steps at once and then answers play, scrubbing and the pointer alone. Only what is selected,
and the layer it comes to rest on, go back to the view state.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.components import bundle
from app.components.refinement import payload
from app.session import state
from rtdetr_explained.tracing.choice import Choice

KEY = "refinement"
FIELDS = ("query", "compare", "layer")

_mount = bundle.mount("rtdetr_explained_refinement", Path(__file__).parent / "refinement.js")


def show(choice: Choice) -> None:
    """The figure with its controls; clicks and the layer it rests on change the view."""
    _mount(key=KEY, data=payload.pack(choice), on_pick_change=_picked)


def _picked() -> None:
    pick(st.session_state[KEY]["pick"])


def pick(choice: object) -> None:
    """Take over what was chosen in the browser, {"query" | "compare" | "layer": number}; None ends a comparison."""
    fields = choice if isinstance(choice, dict) else {}
    wanted = {name: value for name, value in fields.items() if name in FIELDS and _usable(name, value)}
    if wanted:
        state.change(**wanted)


def _usable(name: str, value: object) -> bool:
    if value is None:
        return name == "compare"
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
