// What is on the stage, for tests and measurements.

export function report(canvas) {
  const { state, trace, drawn, camera, focus } = canvas
  const p = focus === null ? null : focus % trace.perHead
  const at =
    p === null
      ? null
      : { query: canvas.queryOf(focus), head: canvas.headOf(focus), level: trace.levelOf[p], point: trace.pointOf[p] }
  const place = (query, n = null) => {
    const box = 4 * (state.layer * trace.queries + query)
    const i = canvas.pointsOf(query)[0] + n
    const [x, y] = n === null ? trace.referenceBoxes.subarray(box) : [trace.x[i], trace.y[i]]
    return [camera.stageX(x), camera.stageY(y)]
  }
  return {
    ...state,
    query: canvas.query,
    focus: at,
    playing: canvas.playing,
    settled: canvas.settled,
    zoom: camera.zoom,
    center: [camera.x, camera.y],
    drawn: drawn.points,
    drawnOfAll: drawn.backdropPoints,
    named: drawn.named,
    outlines: drawn.outlines,
    frames: drawn.frames,
    loupe: drawn.loupe,
    place,
  }
}
