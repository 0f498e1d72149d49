"""The keys of the whole path through the stages, and the overlay that lists them. It tells of a change of theme, too.

The browser works out where a key leads and sends the goal, not the key, so that keys in quick succession add up. In
fields, lists and sliders the keys keep their own meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from app.components import bundle
from app.session import state
from app.session.view import ViewState
from rtdetr_explained.illustrations.stages import STAGES
from rtdetr_explained.tracing.trace import Trace

KEY = "keyboard"
WITH_LAYERS = {
    "overview": ("tensors",),
    "decoder": ("see", "tensors", "formula"),
    "deformable_attention": ("see", "tensors", "formula"),
}
"""The stages that show a decoder layer, with the depths at which they do."""
RELEASED_IN_TURN = (("compare",), ("place", "point", "cell"), ("query",))

_keys = bundle.mount("rtdetr_keyboard", Path(__file__).parent / "keys.js")


def show(slug: str, trace: Trace, go: Callable[[str], None]) -> None:
    """Listen to the keys, and draw the button that lists them. `go` is called with the slug a key leads to."""
    view = state.current()
    layers = trace.num_layers if view.depth in WITH_LAYERS.get(slug, ()) else 0
    # A trigger for each goal: its value could not be read if the page is changed meanwhile.
    on_goal: dict[str, Any] = {f"on_{to}_change": partial(go, to) for to in STAGES}
    on_goal |= {f"on_layer_{layer}_change": partial(state.change, layer=layer) for layer in range(layers)}
    _keys(
        key=KEY,
        data={
            "current": slug,
            "slugs": list(STAGES),
            "layers": layers,
            "layer": trace.num_layers - 1 if view.layer is None else view.layer,
            "held": bool(next_release(view)),
        },
        **on_goal,
        on_release_change=lambda: state.change(**next_release(state.current())),
        on_theme_change=lambda: None,  # the run that follows is all that is wanted
        width="content",
        height="content",
    )


def next_release(view: ViewState) -> dict[str, None]:
    """What Escape lets go of: the comparison, then a place, point or cell, then the selected query."""
    held = ([field for field in fields if getattr(view, field) is not None] for fields in RELEASED_IN_TURN)
    return dict.fromkeys(next(filter(None, held), []))
