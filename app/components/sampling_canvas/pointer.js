// Mouse, pen and touch: hover and click, drag and wheel, tap, long press and pinch.

const CLICK_SLACK = 5 // pixels a click may move
const LONG_PRESS_MS = 500
const NEW_GESTURE_MS = 350 // a pause this long ends a turn of the wheel
const LEVEL_WHEEL = 0.0016 // how much of a zoom is in one unit of the wheel

export function listenToPointer(stage, canvas) {
  const down = new Map() // pointers that touch the stage, with where they are
  let start = null // of a click, or null once it has become a drag or a pinch
  let longPress = null
  let lastWheel = 0
  let lastMove = -Infinity
  let touched = false // by a finger, whose second tap pins and must not zoom

  const place = (event) => {
    const { left, top } = stage.getBoundingClientRect()
    return { x: event.clientX - left, y: event.clientY - top }
  }
  const endPress = () => clearTimeout(longPress)

  stage.addEventListener("pointermove", (event) => {
    const at = place(event)
    lastMove = event.timeStamp
    if (!down.has(event.pointerId)) return canvas.pointTo(at.x, at.y)
    const before = down.get(event.pointerId)
    if (down.size === 2) {
      pinch(canvas, down, event.pointerId, at)
    } else if (start && Math.hypot(at.x - start.x, at.y - start.y) <= CLICK_SLACK) {
      return
    } else if (event.pointerType === "touch" && canvas.camera.zoom === 1) {
      canvas.pointTo(at.x, at.y) // a finger on the whole photo looks around
    } else {
      canvas.pan(before.x - at.x, before.y - at.y)
      stage.dataset.dragging = ""
    }
    start = null
    endPress()
    down.set(event.pointerId, at)
  })

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return
    const at = place(event)
    touched = event.pointerType === "touch"
    down.set(event.pointerId, at)
    stage.setPointerCapture(event.pointerId)
    start = down.size === 1 ? at : null
    endPress()
    if (!touched || !start) return
    longPress = setTimeout(() => {
      start = null
      canvas.pointTo(at.x, at.y)
      canvas.pin()
    }, LONG_PRESS_MS)
  })

  stage.addEventListener("pointerup", (event) => {
    const click = start !== null && down.has(event.pointerId)
    const at = place(event)
    release(event)
    if (!click) return
    const before = canvas.target
    canvas.pointTo(at.x, at.y)
    canvas.pick()
    // The first tap looks, as hovering does; the second one on the same query pins it.
    if (event.pointerType === "touch" && canvas.target !== before) return
    if (event.shiftKey) canvas.compare()
    else canvas.pin()
  })

  const release = (event) => {
    down.delete(event.pointerId)
    endPress()
    start = null
    delete stage.dataset.dragging
  }
  stage.addEventListener("pointercancel", release)
  stage.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") canvas.pointTo(null)
  })

  stage.addEventListener("dblclick", () => {
    if (touched) return
    if (canvas.camera.zoom > 1) canvas.showAll()
    else canvas.showQuery()
  })

  stage.addEventListener(
    "wheel",
    (event) => {
      // Someone who scrolls the page and comes past the photo wants to go on scrolling; so does who zooms out no more.
      const scrolling = event.timeStamp - lastWheel < NEW_GESTURE_MS ? stage.dataset.wheel !== "zoom" : lastMove < lastWheel
      const still = event.deltaY > 0 && canvas.camera.zoom === 1
      stage.dataset.wheel = (scrolling || still) && !event.ctrlKey ? "scroll" : "zoom"
      lastWheel = event.timeStamp
      if (stage.dataset.wheel === "scroll") return
      event.preventDefault()
      const { x, y } = place(event)
      const pixels = event.deltaMode === 1 ? 30 * event.deltaY : event.deltaY
      canvas.zoomBy(Math.exp(-pixels * LEVEL_WHEEL * (event.ctrlKey ? 5 : 1)), x, y)
    },
    { passive: false },
  )
}

// Two fingers: the distance between them zooms, their middle pans.
function pinch(canvas, down, moved, at) {
  const [, other] = [...down].find(([id]) => id !== moved)
  const before = down.get(moved)
  const distance = (a) => Math.max(Math.hypot(a.x - other.x, a.y - other.y), 1)
  canvas.zoomBy(distance(at) / distance(before), (before.x + other.x) / 2, (before.y + other.y) / 2)
  canvas.pan((before.x - at.x) / 2, (before.y - at.y) / 2)
}
