"""The moving figure of the decoder: queries listen and correct their boxes, layer after layer, in the browser.

It gets the boxes of all steps at once and then answers play, scrubbing and the pointer alone. Only what is selected,
and the layer it comes to rest on, go back to the view state.
"""

from __future__ import annotations

from pathlib import Path

from app.components import bundle
from app.components.refinement import payload
from app.session import said, state
from rtdetr_explained.tracing.choice import Choice

KEY = "refinement"
FIELDS = ("query", "compare", "layer")

_mount = bundle.mount("rtdetr_explained_refinement", Path(__file__).parent / "refinement.js")


def show(choice: Choice) -> None:
    """The figure with its controls; clicks and the layer it rests on change the view."""
    _mount(key=KEY, data=payload.pack(choice), on_pick_change=picked)


def picked() -> None:
    """Take over what was chosen in the browser: a query, a layer, or a query to compare with, None for none."""
    choice = {name: value for name, value in said.message(KEY, "pick").items() if name in FIELDS}
    state.change(**{name: value for name, value in choice.items() if value is not None or name == "compare"})
