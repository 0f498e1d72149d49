// How the canvas is looked at, of which Python knows nothing: kept while the page shows another depth or another stage.

const FIELDS = ["minWeight", "heat", "all", "ghost", "shapes"]

export function keep({ trace, camera, state }) {
  if (!trace) return
  const { zoom, x, y } = camera
  const fields = Object.fromEntries(FIELDS.map((name) => [name, state[name]]))
  window.rtdetrSamplingKept = { id: trace.id, camera: { zoom, x, y }, fields }
}

// The place in the photo is taken up again only for the same photo with the same points.
export function recall(canvas) {
  const kept = window.rtdetrSamplingKept
  if (!kept) return
  Object.assign(canvas.state, kept.fields)
  if (kept.id === canvas.trace.id) Object.assign(canvas.camera, kept.camera)
}
