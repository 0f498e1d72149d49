// Below the stage, in words and numbers: the queries that are drawn, the point in focus with its loupe, and the key.

import { element, number, symbol } from "../dom.js"
import { drawLoupe } from "./loupe.js"

const LOUPE_PX = 168

// Writes who is drawn: the selected query and the one it is compared with.
export function writeQueries(box, canvas) {
  const { trace, state } = canvas
  const rows = [queryFacts(canvas, canvas.query, trace.colors.selected, state.pinned === null ? "" : "pinned")]
  if (state.compare !== null) rows.push(queryFacts(canvas, state.compare, trace.colors.compared, "compared"))
  box.replaceChildren(...rows)
}

function queryFacts(canvas, query, color, role) {
  const { trace, state } = canvas
  const [, , w, h] = canvas.referenceBox(query)
  const name = element("b", {}, `Query ${query}`)
  const head = element("h4", { style: `--mark: ${color}` }, name, ` ${canvas.nameOf(query)}`)
  if (role) head.append(element("em", {}, role))
  const reference = `Reference box of layer ${state.layer + 1}: ${size(canvas, w, h)}`
  const shares = canvas.shares(query)
  const bar = element("div", { class: "shares", "aria-hidden": "true" })
  const text = element("p", { class: "levels" })
  trace.levels.forEach(({ name, color, marker }, level) => {
    if (state.level !== null && state.level !== level) return // hidden, which is not the same as without weight
    bar.append(element("i", { style: `flex-grow: ${shares[level]}; background: ${color}` }))
    text.append(element("span", {}, symbol(marker, color), `${name} ${number(shares[level], 2)}`))
  })
  return element("div", {}, head, element("p", {}, reference), bar, text)
}

function size({ trace, state }, w, h) {
  if (state.unit === "image") return `${number(w, 3)} × ${number(h, 3)} of the photo`
  return `${number(w * trace.width, 0)} × ${number(h * trace.height, 0)} px`
}

// Writes the point in focus, or the heaviest one shown as long as none is. Returns the numbers in the loupe.
export function writePoint(box, figure, canvas) {
  const { trace } = canvas
  const i = canvas.focus ?? canvas.heaviest
  const loupe = figure.querySelector("canvas")
  const caption = figure.querySelector("figcaption")
  const ctx = loupe.getContext("2d")
  if (loupe.width !== Math.round(LOUPE_PX * canvas.ratio)) {
    loupe.width = loupe.height = Math.round(LOUPE_PX * canvas.ratio)
    loupe.style.width = loupe.style.height = `${LOUPE_PX}px`
  }
  ctx.setTransform(canvas.ratio, 0, 0, canvas.ratio, 0, 0)
  const numbers = drawLoupe(ctx, LOUPE_PX, canvas, i)
  if (i === null) {
    box.replaceChildren(element("h4", {}, "No point is left by the filters"))
    caption.textContent = ""
    return numbers
  }
  const level = trace.levels[trace.levelOf[i % trace.perHead]]
  const title = element("h4", { style: `--mark: ${level.color}` }, symbol(level.marker, level.color), canvas.pointName(i))
  if (canvas.focus === null) title.append(element("em", {}, "heaviest"))
  const rows = [
    ["Raw offset", `${number(trace.offsets[2 * i], 2)}, ${number(trace.offsets[2 * i + 1], 2)}`],
    ["Lies at", canvas.placeOf(i)],
    ["Weight", number(trace.weights[i], 4)],
    ["Of query", `${canvas.queryOf(i)}, ${canvas.rankOf(i)}`],
  ]
  const list = element("dl", {})
  for (const [term, value] of rows) list.append(element("dt", {}, term), element("dd", {}, value))
  box.replaceChildren(title, list)
  caption.textContent = trace.discrete
    ? `Discrete: it reads one cell of ${level.name}.`
    : `It reads four cells of ${level.name}, mixed by these numbers.`
  return numbers
}

// What the marks on the stage mean, apart from the levels, which the controls name.
export function writeKey(list, { trace, state, headGroups }) {
  const { selected, compared } = trace.colors
  const line = { "stroke-width": 1.6, fill: "none" }
  const entries = [
    [symbol("M1.5 2.5h9v7h-9z", "none", selected, line), "reference box"],
    [symbol("M6 1v10M1 6h10", "none", selected, line), "reference point"],
    [symbol("M1 11 11 1", "none", selected, { "stroke-width": 1.2 }), "to a point; its area is its weight"],
    [symbol("circle", "none", "currentColor", { "stroke-dasharray": "2 1.6" }), "untrained grid"],
    [symbol("M6 4a2 2 0 1 0 .01 0Z", "currentColor"), "other queries"],
    [symbol("M1.5 2.5h9v7h-9z", "none", "currentColor", { "stroke-width": 1 }), "detection"],
    [symbol("M1.5 2.5h9v7h-9z", "none", compared, line), "compared query"],
  ]
  if (state.shapes === "head") {
    for (const { marker, first, last } of headGroups) {
      entries.push([symbol(marker, "currentColor"), first === last ? `head ${first}` : `heads ${first}–${last}`])
    }
  }
  list.replaceChildren(...entries.map(([mark, words]) => element("li", {}, mark, words)))
}
