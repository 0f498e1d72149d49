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
