// The keys of the canvas while it has the focus. Keys used here do not reach the page, which has its own.

export const HELP =
  "Point at the photo to look, click to pin, Shift-click to compare, Esc to let go. Wheel or pinch zooms, drag moves. " +
  "Keys: arrows go to the next query, Enter pins, Shift+Enter compares, comma and full stop walk the points, [ and ] " +
  "change the layer, Space plays, + and − zoom, F shows the query, 0 the whole photo."

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

export function listenToKeys(stage, canvas) {
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== stage) return
    if (!handle(event, canvas)) return
    event.preventDefault()
    event.stopPropagation()
  })
}

// Returns whether the key means something here.
function handle(event, canvas) {
  if (event.key in DIRECTIONS) return canvas.walk(...DIRECTIONS[event.key])
  switch (event.key) {
    case "Enter":
      return event.shiftKey ? canvas.compare() : canvas.pin()
    case "Escape":
      return canvas.release()
    case "[":
      return canvas.stepLayer(-1)
    case "]":
      return canvas.stepLayer(1)
    case ",":
      return canvas.stepPoint(-1)
    case ".":
      return canvas.stepPoint(1)
    case "+":
    case "=":
      return canvas.zoomBy(1.3)
    case "-":
      return canvas.zoomBy(1 / 1.3)
    case "0":
      return canvas.showAll()
    case "f":
    case "F":
      return canvas.showQuery()
    case " ":
      return canvas.play(!canvas.playing)
    default:
      return false
  }
}
