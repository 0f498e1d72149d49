// What the marks mean, and the colour bar with the cut-off.

import { cross, hatch, marker, near, symbol } from "./marks.js"
import { GAINED, INVALID, LOST, clamp } from "./payload.js"

export function drawLegend(parent, look, state, list, selectedLevel) {
  const items = []
  const add = (text, ...draws) => {
    const item = document.createElement("span")
    for (const draw of draws) {
      const canvas = document.createElement("canvas")
      symbol(canvas, (pen, x, y) => {
        pen.fillStyle = "#4a4d50" // the grey of the darkened photo, on which the marks lie
        pen.fillRect(0, 0, 16, 16)
        draw(pen, x, y)
      })
      item.append(canvas)
    }
    item.append(text)
    items.push(item)
  }
  const some = (bit) => state.some((bits) => bits & bit)
  add("chosen", ...list.map((level) => (pen, x, y) =>
    marker(look, pen, level, x, y, 4.5, look.colors[level], look.light)))
  add("near miss", ...list.map((level) => (pen, x, y) => near(look, pen, level, x, y, 4.5)))
  add("no mark: discarded")
  add("selected query", (pen, x, y) =>
    marker(look, pen, selectedLevel, x, y, 5, look.selectedColor, look.light, 1.5))
  if (some(INVALID)) add("anchor not valid", (pen, x, y) => hatch(look, pen, x, y, 14, 14))
  if (some(GAINED)) {
    add("gained in the re-run", ...list.map((level) => (pen, x, y) =>
      marker(look, pen, level, x, y, 5, look.comparedColor, look.dark)))
  }
  if (some(LOST)) add("lost in the re-run", (pen, x, y) => cross(look, pen, x, y, 4.5))
  parent.replaceChildren(...items, scale(look))
}

function scale(look) {
  const [low, high] = look.range, [from, to] = [look.dark, look.overlay[1].slice(0, 7)]
  const at = (value) => `${100 * clamp((value - low) / (high - low), 0, 1)}%`
  const scale = document.createElement("span")
  scale.className = "scale"
  const bar = document.createElement("span")
  bar.className = "bar"
  bar.style.background = `linear-gradient(to right, ${from}, ${to})`
  const cut = document.createElement("i")
  cut.style.left = at(Math.log10(look.cutoff))
  cut.style.background = look.selectedColor
  bar.append(cut)
  for (const [value, text] of look.ticks) {
    const tick = document.createElement("small")
    tick.textContent = text
    tick.style.left = at(value)
    bar.append(tick)
  }
  scale.append("score", bar, `cut-off ${look.cutoff.toPrecision(2)}`)
  return scale
}
