"""The keys of the whole path through the stages, and the overlay that lists them. It tells of a change of theme, too.

The browser works out where a key leads and sends the goal, not the key, so that keys in quick succession add up. In
fields, lists and sliders the keys keep their own meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

from streamlit.components.v2 import component

from app.session import state
from app.session.state import ViewState
from rtdetr_explained.illustrations.stages import STAGES
from rtdetr_explained.tracing.trace import Trace

KEY = "keyboard"
STAGES_WITH_LAYERS = ("decoder", "deformable_attention", "denoising")
RELEASED_IN_TURN = (("compare",), ("place", "point", "cell"), ("query",))

KEYS = {
    "On every page": {
        "← →": "previous and next stage",
        "1–8": "go to that stage",
        "↑ ↓": "later and earlier decoder layer, where a page shows one",
        "Esc": "let go: first of the compared query, then of a place, point or cell, then of the selected query",
        "? H": "this list",
    },
    "In the canvas of sampling points": {
        "← → ↑ ↓": "next query in that direction",
        "Enter": "pin the query; with Shift, compare it",
        ", .": "previous and next sampling point",
        "[ ]": "earlier and later decoder layer",
        "Space": "play through the layers",
        "+ − F 0": "zoom in and out, to the query, to the whole photo",
        "Esc": "let go",
    },
    "In the score maps": {
        "← → ↑ ↓": "next cell; with Shift, the fifth",
        "Enter": "ask about the place",
    },
}
REMARK = (
    "Canvas and maps take their keys once they have the focus: click them, or go there with Tab. In sliders, tabs, "
    "lists and text fields the keys do what they always do. Page Down scrolls."
)


def _table(title: str, keys: dict[str, str]) -> str:
    rows = "".join(
        f"<dt>{' '.join(f'<kbd>{escape(key)}</kbd>' for key in names.split(' '))}</dt><dd>{escape(what)}</dd>"
        for names, what in keys.items()
    )
    return f"<h3>{escape(title)}</h3><dl>{rows}</dl>"


HTML = f"""
<button type="button" title="Keyboard shortcuts (?)" aria-haspopup="dialog">Keys <kbd>?</kbd></button>
<dialog aria-labelledby="keys-title">
  <h2 id="keys-title">Keys</h2>
  {"".join(_table(title, keys) for title, keys in KEYS.items())}
  <p>{REMARK}</p>
  <button type="button" class="close" autofocus>Close</button>
</dialog>
"""

CSS = """
:host { display: block; }
* { font-family: var(--st-font); }
button {
  height: 2.5rem; padding: 0 0.75rem; border: 1px solid var(--st-border-color); border-radius: 4px;
  background: var(--st-background-color); color: var(--st-text-color); font-size: 0.93rem; cursor: pointer;
  white-space: nowrap;
}
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
kbd {
  display: inline-block; min-width: 1.1em; padding: 0 5px; border: 1px solid var(--st-border-color);
  border-bottom-width: 2px; border-radius: 4px; background: var(--st-secondary-background-color); font-size: 0.85em;
  line-height: 1.5; text-align: center;
}
dialog {
  width: min(560px, calc(100vw - 48px)); max-height: calc(100vh - 48px); box-sizing: border-box; padding: 20px 24px;
  border: 1px solid var(--st-border-color); border-radius: 6px; background: var(--st-background-color);
  color: var(--st-text-color); font-size: 14px; line-height: 1.5;
}
dialog::backdrop { background: rgb(0 0 0 / 40%); }
h2 { margin: 0; font-size: 1.25rem; }
h3 { margin: 14px 0 6px; font-size: 0.95rem; }
dl { display: grid; grid-template-columns: 132px 1fr; gap: 4px 14px; margin: 0; }
dd { margin: 0; }
p { margin: 14px 0; font-size: 13px; opacity: 0.85; }
"""

JS = """
const LISTENER = Symbol.for("rtdetr_explained.keys")
const WISHES = Symbol.for("rtdetr_explained.wishes")
const THEME = Symbol.for("rtdetr_explained.theme")
const PATIENCE_MS = 3000
const TYPING = `input:not([type=radio]):not([type=checkbox]):not([type=range]), textarea, select, [contenteditable],
  [role=combobox], [role=listbox], [role=menu], [role=grid], [role=dialog], [data-testid=stDataFrame]`
const OWN_ARROWS = `input, canvas, [role=slider], [role=radiogroup], [role=radio], [role=tablist], [role=toolbar],
  [role=spinbutton], [data-testid=stButtonGroup], .js-plotly-plot`

// Brings a value to Python by a trigger. Python cannot tell the order of triggers that reach it together, so one at a
// time is on its way, until `current` is no longer what it was; then the last value asked for meanwhile follows.
function channel(name, current, send) {
  const wish = ((document[WISHES] ??= {})[name] ??= { value: null, sent: null, from: null, since: -Infinity })
  const isFresh = () => performance.now() - wish.since < PATIENCE_MS
  const deliver = () => {
    Object.assign(wish, { sent: wish.value, from: current })
    send(wish.value)
  }
  if (wish.sent !== null && (wish.from !== current || !isFresh())) {
    if (wish.value === wish.sent) wish.value = null
    wish.sent = null
  }
  if (wish.sent === null && (wish.value === current || !isFresh())) wish.value = null
  if (wish.sent === null && wish.value !== null) deliver()
  return {
    get goal() {
      return wish.value !== null && isFresh() ? wish.value : current
    },
    ask(value) {
      const waits = wish.sent !== null && isFresh()
      Object.assign(wish, { value, since: performance.now() })
      if (!waits) deliver()
    },
  }
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const dialog = parentElement.querySelector("dialog")
  const list = () => (dialog.open ? dialog.close() : dialog.showModal())
  parentElement.querySelector("button").onclick = list
  parentElement.querySelector(".close").onclick = list
  dialog.onclick = (event) => event.target === dialog && list()  // beside it

  // Keys in quick succession count from where those pressed so far lead, not from where the page still is.
  const page = channel("page", data.current, (slug) => setTriggerValue(slug, true))
  const stage = () => data.slugs.indexOf(page.goal)
  const go = (to) => to !== stage() && to in data.slugs && page.ask(data.slugs[to])
  const arrows = { ArrowLeft: () => go(stage() - 1), ArrowRight: () => go(stage() + 1) }
  if (data.layers) {
    const layer = channel("layer", data.layer, (to) => setTriggerValue(`layer_${to}`, true))
    const show = (to) => to >= 0 && to < data.layers && layer.ask(to)
    arrows.ArrowUp = () => show(layer.goal + 1)
    arrows.ArrowDown = () => show(layer.goal - 1)
  }
  // Figures are drawn for one theme: when another is chosen in the browser, Python has to draw them anew.
  const theme = getComputedStyle(dialog).getPropertyValue("--st-background-color")
  if (document[THEME] && document[THEME] !== theme) setTriggerValue("theme", theme)
  document[THEME] = theme

  const within = (event, selector) => event.composedPath().some((node) => node.matches?.(selector))

  const press = (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return
    if (dialog.open ? !["?", "h", "H", "Escape"].includes(event.key) : within(event, TYPING)) return
    let act = { "?": list, h: list, H: list }[event.key]
    if (/^[1-8]$/.test(event.key)) act = () => go(Number(event.key) - 1)
    if (dialog.open) act = list
    else if (event.key === "Escape" && data.held) act = () => setTriggerValue("release", true)
    if (!event.shiftKey && !within(event, OWN_ARROWS)) act ??= arrows[event.key]
    if (!act) return
    event.preventDefault()
    act()
  }

  // Whatever becomes of earlier listeners, only one is ever at work.
  document[LISTENER]?.abort()
  const listener = new AbortController()
  document[LISTENER] = listener
  document.addEventListener("keydown", press, { signal: listener.signal })
  return () => listener.abort()
}
"""

_keys = component("rtdetr_keyboard", html=HTML, css=CSS, js=JS)


def show(slug: str, trace: Trace, go: Callable[[str], None]) -> None:
    """Listen to the keys, and draw the button that lists them. `go` is called with the slug a key leads to."""
    view = state.current()
    layers = trace.num_layers if slug in STAGES_WITH_LAYERS else 0
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
