// The controls above the stage: layer with play, level, head, least weight, and what is shown of them.

import { element, symbol } from "../dom.js"

const BEAT_MS = 1000 // one layer while playing

// Builds the controls of a trace; returns a function that brings them in line with the canvas's state.
export function buildControls(bar, canvas) {
  const { trace } = canvas
  const parts = [
    layers(canvas),
    choice(canvas, "Level", "level", [
      [null, ["all"]],
      ...trace.levels.map(({ name, color, marker }, level) => [level, [symbol(marker, color), name]]),
    ]),
    choice(canvas, "Head", "head", [[null, ["all"]], ...Array.from({ length: trace.heads }, (_, h) => [h, [`${h}`]])]),
    leastWeight(canvas),
    choice(canvas, "Shown", "heat", [[false, ["points"]], [true, ["heat map"]]], false),
    choice(canvas, "Shown of", "all", [[false, ["this query"]], [true, ["all queries"]]], false),
    choice(canvas, "Shape tells", "shapes", [["level", ["level"]], ["head", ["head"]]]),
    untrained(canvas),
  ]
  bar.replaceChildren(...parts.map(({ group }) => group), zoom(canvas))
  return () => parts.forEach(({ refresh }) => refresh())
}

function button(content, label, onclick) {
  return element("button", { type: "button", "aria-label": label, title: label, onclick }, content)
}

// One of several values of a field, as a row of buttons; the title is left out where their words say enough.
function choice(canvas, title, field, options, titled = true) {
  const buttons = options.map(([value, content]) =>
    element("button", { type: "button", onclick: () => canvas.choose({ [field]: value }) }, ...content),
  )
  const group = element("div", { class: "group", role: "group", "aria-label": title })
  if (titled) group.append(element("span", { class: "title" }, title))
  group.append(element("span", { class: "buttons" }, ...buttons))
  const refresh = () =>
    buttons.forEach((one, k) => one.setAttribute("aria-pressed", canvas.state[field] === options[k][0]))
  return { group, refresh }
}

function layers(canvas) {
  const { trace } = canvas
  const made = choice(canvas, "Layer", "layer", Array.from({ length: trace.layers }, (_, l) => [l, [`${l + 1}`]]))
  const play = button("", "", () => canvas.play(!canvas.playing))
  play.className = "play"
  made.group.append(play)
  play.hidden = trace.layers < 2
  const refresh = () => {
    made.refresh()
    const label = canvas.playing ? "Stop at this layer" : "Play through the layers"
    play.replaceChildren(symbol(canvas.playing ? "M2 1.5h3v9H2zM7 1.5h3v9H7z" : "M2.5 1 10.5 6 2.5 11Z", "currentColor"))
    play.title = label
    play.setAttribute("aria-label", label)
  }
  return { group: made.group, refresh }
}

function leastWeight(canvas) {
  const slider = element("input", { type: "range", min: 0, max: 0.5, step: 0.01, "aria-label": "Least weight" })
  const value = element("output", {})
  slider.addEventListener("input", () => canvas.choose({ minWeight: Number(slider.value) }))
  const group = element("label", { class: "group" }, element("span", { class: "title" }, "Weight ≥"), slider, value)
  const refresh = () => {
    slider.value = canvas.state.minWeight
    value.textContent = canvas.state.minWeight.toFixed(2)
  }
  return { group, refresh }
}

function untrained(canvas) {
  const box = element("input", { type: "checkbox" })
  box.addEventListener("change", () => canvas.choose({ ghost: box.checked }))
  const group = element("label", { class: "group" }, box, "untrained grid")
  const refresh = () => {
    box.checked = canvas.state.ghost
    box.disabled = canvas.state.heat
  }
  return { group, refresh }
}

const CORNERS = "M1 4V1h3M8 1h3v3M11 8v3H8M4 11H1V8"

function zoom(canvas) {
  const corners = (path) => symbol(path, "none", "currentColor", { "stroke-width": 1.3 })
  const buttons = [
    button("+", "Zoom in (+)", () => canvas.zoomBy(1.5)),
    button("−", "Zoom out (−)", () => canvas.zoomBy(1 / 1.5)),
    button(corners(`${CORNERS}M4.5 6h3M6 4.5v3`), "Zoom to the query (F)", () => canvas.showQuery()),
    button(corners(CORNERS), "Show the whole photo (0)", () => canvas.showAll()),
  ]
  return element("div", { class: "group zoom", role: "group", "aria-label": "Zoom" },
    element("span", { class: "buttons" }, ...buttons))
}

// Moves to the next layer on every beat, and to the first after the last. Returns a function that stops it.
export function startPlaying(canvas) {
  const next = () => canvas.set({ layer: (canvas.state.layer + 1) % canvas.trace.layers })
  next()
  const timer = setInterval(next, BEAT_MS)
  return () => clearInterval(timer)
}
