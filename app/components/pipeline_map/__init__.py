"""The map of the whole model on every page: eight stages to click, with the shapes of this image's tensors.

It is one strip of links drawn by the browser from a few strings. A plain click goes to Python, which keeps the session;
opening a link in a new tab works too, because each address carries the view.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from streamlit.components.v2 import component

from app.session import state
from rtdetr_explained.illustrations.stages import STAGES
from rtdetr_explained.tracing.trace import Trace

KEY = "pipeline_map"

CSS = """
:host { display: block; }
nav { container-type: inline-size; }
ol {
  display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); column-gap: 18px; row-gap: 4px;
  list-style: none; margin: 0; padding: 2px;
  font-family: var(--st-font); color: var(--st-text-color);
}
li {
  position: relative; min-width: 0; display: grid; grid-template: "link link" "bar percent" 14px "note note" / 1fr auto;
  column-gap: 4px;
}
a {
  grid-area: link; display: flex; align-items: center; justify-content: center; gap: 5px; box-sizing: border-box;
  height: 40px; padding: 2px 5px; overflow: hidden; border: 1px solid var(--st-border-color); border-radius: 4px;
  background: var(--st-secondary-background-color); color: inherit; text-decoration: none;
  font-size: 12.5px; line-height: 1.15; text-align: center;
}
a:hover { border-color: var(--st-primary-color); }
a:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
a[aria-current] {
  background: var(--st-primary-color); border-color: var(--st-primary-color); color: var(--st-background-color);
  font-weight: 600;
}
.number { opacity: 0.65; font-variant-numeric: tabular-nums; }
.bar { grid-area: bar; align-self: center; height: 4px; background: var(--st-border-color); border-radius: 2px; }
.bar div { height: 100%; min-width: 2px; background: var(--st-primary-color); border-radius: 2px; }
.percent { grid-area: percent; font-size: 10.5px; line-height: 14px; font-variant-numeric: tabular-nums; }
small {
  grid-area: note; display: block; height: 30px; margin: 1px -8px 0; overflow: hidden; text-align: center;
  font-size: 11px; line-height: 14px; font-variant-numeric: tabular-nums; opacity: 0.85;
}
li[data-flow] small { margin: 1px -22px 0 0; text-align: right; }
li[data-flow]::after, li[data-zoom]::after {
  position: absolute; left: 100%; top: 10px; width: 18px; text-align: center; font-size: 14px; line-height: 20px;
  opacity: 0.7;
}
li[data-flow]::after { content: "→"; }
li[data-zoom]::after { content: "⊃"; }
li[data-aside] a { border-style: dashed; }
@container (max-width: 860px) {
  ol { grid-template-columns: 1.05fr 0.9fr 1.3fr 0.9fr; column-gap: 14px; }
  a { height: 25px; gap: 4px; padding: 2px; font-size: 11px; white-space: nowrap; }
  li { grid-template: "link link" "note percent" / 1fr auto; }
  .bar { grid-area: link; align-self: end; height: 3px; margin: 1px; background: none; }
  a[aria-current] + .bar div { background: var(--st-background-color); }
  small, li[data-flow] small { height: 14px; margin: 1px 0 0; font-size: 10.5px; text-align: left; }
  small { white-space: nowrap; }
  .percent { margin-top: 1px; }
  li[data-flow]:nth-child(4)::after { width: 8px; }
  .what { display: none; }
  li[data-flow]::after, li[data-zoom]::after { top: 2px; width: 14px; }
}
"""

JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const list = parentElement.querySelector("ol")
  const focused = parentElement.activeElement?.dataset?.slug ?? list.getRootNode().activeElement?.dataset?.slug
  list.replaceChildren(...data.stages.map((stage, index) => {
    const item = document.createElement("li")
    if (stage.link) item.dataset[stage.link] = ""
    const link = document.createElement("a")
    link.href = stage.href
    link.dataset.slug = stage.slug
    link.title = stage.hint
    if (stage.slug === data.current) link.setAttribute("aria-current", "page")
    const number = document.createElement("span")
    number.className = "number"
    number.textContent = index + 1
    const name = document.createElement("span")
    name.textContent = stage.title
    link.append(number, name)
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
      event.preventDefault()
      if (stage.slug !== data.current) setTriggerValue(stage.slug, true)
    }
    const bar = document.createElement("div")
    bar.className = "bar"
    bar.hidden = !stage.percent
    const fill = document.createElement("div")
    fill.style.width = `${100 * stage.share}%`
    bar.append(fill)
    const percent = document.createElement("span")
    percent.className = "percent"
    percent.textContent = stage.percent
    const note = document.createElement("small")
    const what = document.createElement("span")
    what.className = "what"
    what.textContent = stage.what
    note.append(stage.shape, what.textContent ? document.createElement("br") : "", what)
    item.append(link, bar, percent, note)
    return item
  }))
  if (focused) list.querySelector(`[data-slug="${focused}"]`)?.focus()
}
"""

_strip = component("rtdetr_pipeline_map", html='<nav aria-label="Stages"><ol></ol></nav>', css=CSS, js=JS)


def show(slug: str, trace: Trace | None, go: Callable[[str], None]) -> None:
    """Draw the map with `slug` lit; without a trace the shapes are left out. `go` is called with the slug clicked."""
    key = KEY if trace else f"{KEY}_loading"  # both are drawn in the first run of a session
    outputs = _outputs(trace) if trace else {}
    total = sum(trace.times_ms.values()) if trace else 1.0
    stages = []
    for name, stage in STAGES.items():
        shape, what = outputs.get(name, ("", ""))
        ms = trace.times_ms.get(name, 0.0) if trace else 0.0
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
