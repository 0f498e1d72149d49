"""The map of the whole model on every page: eight stages to click, with the shapes of this image's tensors.

It is one strip of links drawn by the browser from a few strings. A plain click goes to Python, which keeps the session;
opening a link in a new tab works too, because each address carries the view.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from app.components import bundle
from app.session import state
from rtdetr_explained.illustrations import overview
from rtdetr_explained.illustrations.stages import STAGES
from rtdetr_explained.tracing.trace import Trace

KEY = "pipeline_map"

_strip = bundle.mount("rtdetr_pipeline_map", Path(__file__).parent / "pipeline_map.js")


def show(slug: str, trace: Trace | None, go: Callable[[str], None]) -> None:
    """Draw the map with `slug` lit; without a trace the shapes are left out. `go` is called with the slug clicked."""
    key = KEY if trace else f"{KEY}_loading"  # both are drawn in the first run of a session
    outputs = _outputs(trace) if trace else {}
    times = overview.times_ms(trace) if trace else {"overview": 1.0}
    total = times.pop("overview")
    stages = []
    for name, stage in STAGES.items():
        shape, what = outputs.get(name, ("", ""))
        ms = times.get(name, 0.0)
        stages.append(
            {
                "slug": name,
                "title": stage.title,
                "href": state.link(name),
                "shape": shape,
                "what": what,
                "share": ms / total,
                "percent": f"{100 * ms / total:.0f}%" if ms else "",
                "hint": _hint(shape, what, ms, total),
                "link": _LINKS.get(name, "flow"),
            }
        )
    # A trigger for each stage: its value could not be read if the page is changed meanwhile, as by a double click.
    on_click: dict[str, Any] = {f"on_{to}_change": partial(go, to) for to in STAGES}
    _strip(key=key, data={"current": slug, "stages": stages}, **on_click, height="content")


def _hint(shape: str, what: str, ms: float, total: float) -> str:
    """What leaves the stage and the time it took, read by screen readers with the link and shown under the pointer."""
    time = f"{ms:.1f} ms, {100 * ms / total:.0f}% of the pass over this image" if ms else ""
    return "; ".join(filter(None, (f"Out: {shape} {what}".strip() if what else shape, time)))


# How a stage is joined to the next one: its output flows on, the next one is a part of it, or it stands aside.
_LINKS = {"decoder": "zoom", "deformable_attention": "", "denoising": "aside"}


def _outputs(trace: Trace) -> dict[str, tuple[str, str]]:
    """What leaves each stage: shape and name."""
    shapes = {site.name: site.shape for site in trace.sites()}
    return {
        "overview": (_times((3, *trace.input_size)), "image"),
        "backbone": (_times(shapes["backbone.s5"]), "S5, with S3 and S4"),
        "aifi": (_times(shapes["hybrid_encoder.aifi.output"]), "F5"),
        "ccff": (_times(shapes["query_selection.memory"]), "tokens of N3–N5"),
        "query_selection": (_times(shapes["query_selection.content"]), "queries, and boxes"),
        "decoder": (_times(shapes["decoder.boxes"]), "boxes, and scores"),
        "deformable_attention": (_times(shapes["decoder.layers.0.cross_attn.sampling_locations"]), "points per layer"),
        "denoising": ("training only", ""),
    }


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(f"{n:,}" for n in shape)
