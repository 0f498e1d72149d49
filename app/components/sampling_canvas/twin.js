// The canvas for those who do not see it: a table of the points, and one sentence about what is selected.

import { element, number } from "../dom.js"

// Fills the table with the points shown of the selected query, the heaviest first.
export function writeTable(box, canvas) {
  const { trace, state } = canvas
  const unit = state.unit === "image" ? "0..1" : "px"
  const titles = ["Head", "Level", "Point", "Offset x", "Offset y", `x (${unit})`, `y (${unit})`, "Weight"]
  const caption = element("caption", {}, canvas.sentence())
  const head = element("thead", {}, element("tr", {}, ...titles.map((text) => element("th", { scope: "col" }, text))))
  const rows = canvas.pointsShown(canvas.selected).map((i) => {
    const p = i % trace.perHead
    const [x, y] = canvas.coordinates(i)
    const cells = [
      canvas.headOf(i),
      trace.levels[trace.levelOf[p]].name,
      trace.pointOf[p],
      number(trace.offsets[2 * i], 2),
      number(trace.offsets[2 * i + 1], 2),
      x,
      y,
      number(trace.weights[i], 4),
    ]
    return element("tr", {}, ...cells.map((text) => element("td", {}, `${text}`)))
  })
  box.replaceChildren(element("table", {}, caption, head, element("tbody", {}, ...rows)))
}
