// Where things lie: the part of the image on the stage, the cells a point reads, what is nearest to the pointer.

const MARGIN = 0.06 // of the stage around the whole photo, for points that lie outside it
const MAX_ZOOM = 40

export class Camera {
  width = 1 // of the stage, in CSS pixels
  height = 1
  imageWidth = 1
  imageHeight = 1
  zoom = 1
  x = 0.5 // the place in the image that is in the middle of the stage
  y = 0.5

  get scale() {
    const fit = Math.min(this.width / this.imageWidth, this.height / this.imageHeight) * (1 - MARGIN)
    return fit * this.zoom
  }

  stageX = (x) => this.width / 2 + (x - this.x) * this.imageWidth * this.scale
  stageY = (y) => this.height / 2 + (y - this.y) * this.imageHeight * this.scale
  imageX = (sx) => this.x + (sx - this.width / 2) / (this.imageWidth * this.scale)
  imageY = (sy) => this.y + (sy - this.height / 2) / (this.imageHeight * this.scale)

  // Whether any part of a box cxcywh lies on the stage.
  sees([cx, cy, w, h]) {
    const across = this.stageX(cx + w / 2) > 0 && this.stageX(cx - w / 2) < this.width
    return across && this.stageY(cy + h / 2) > 0 && this.stageY(cy - h / 2) < this.height
  }

  // Zoom so that the place under (sx, sy) stays there.
  zoomAt(sx, sy, factor) {
    const x = this.imageX(sx)
    const y = this.imageY(sy)
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MAX_ZOOM)
    if (this.zoom === 1) return this.reset()
    this.pan(this.stageX(x) - sx, this.stageY(y) - sy)
  }

  pan(dx, dy) {
    const inside = (value) => Math.min(Math.max(value, 0), 1)
    this.x = inside(this.x + dx / (this.imageWidth * this.scale))
    this.y = inside(this.y + dy / (this.imageHeight * this.scale))
  }

  // Show the part of the image from (x0, y0) to (x1, y1), with room around it.
  frame(x0, y0, x1, y1) {
    this.zoom = 1
    const width = (x1 - x0) * this.imageWidth * this.scale
    const height = (y1 - y0) * this.imageHeight * this.scale
    this.zoom = Math.min(Math.max(0.85 * Math.min(this.width / width, this.height / height), 1), MAX_ZOOM)
    this.x = (x0 + x1) / 2
    this.y = (y0 + y1) / 2
  }

  // The part of the image that is seen, as links have it: null for all of it.
  get place() {
    const inside = (value) => Math.min(Math.max(value, 0), 1)
    return this.zoom > 1 ? [this.zoom, inside(this.x), inside(this.y)] : null
  }

  // Shows that part; links are rounded, and what is as good as seen is left alone. Returns whether it moved.
  goTo(place) {
    const [zoom, x, y] = place ?? [1, 0.5, 0.5]
    if (Math.abs(zoom - this.zoom) < 0.001 && Math.abs(x - this.x) < 1e-4 && Math.abs(y - this.y) < 1e-4) return false
    Object.assign(this, { zoom, x, y })
    return true
  }

  reset() {
    this.zoom = 1
    this.x = this.y = 0.5
  }
}

// The four cells that a point reads on the map of its level, with their weights, which add up to one; with discrete
// sampling the one cell. Cells outside the map count as zero: `inside` tells.
export function cellsRead(trace, i) {
  const { rows, columns } = trace.levels[trace.levelOf[i % trace.perHead]]
  const inside = (row, column) => row >= 0 && row < rows && column >= 0 && column < columns
  if (trace.discrete) {
    const clamp = (value, size) => Math.min(Math.max(Math.trunc(value), 0), size - 1)
    const row = clamp(trace.y[i] * rows + 0.5, rows)
    const column = clamp(trace.x[i] * columns + 0.5, columns)
    return [{ row, column, weight: 1, inside: true }]
  }
  const u = trace.x[i] * columns - 0.5
  const v = trace.y[i] * rows - 0.5
  const left = Math.floor(u)
  const top = Math.floor(v)
  const cells = []
  for (const [row, down] of [[top, 1 - (v - top)], [top + 1, v - top]]) {
    for (const [column, across] of [[left, 1 - (u - left)], [left + 1, u - left]]) {
      cells.push({ row, column, weight: down * across, inside: inside(row, column) })
    }
  }
  return cells
}

// Numbers that add up to one, rounded to hundredths that still do: the largest remainders are rounded up.
export function hundredths(weights) {
  const exact = weights.map((weight) => weight * 100)
  const rounded = exact.map(Math.floor)
  let missing = 100 - rounded.reduce((sum, value) => sum + value, 0)
  const order = exact.map((value, i) => [value - rounded[i], i]).sort((a, b) => b[0] - a[0])
  for (const [, i] of order) if (missing-- > 0) rounded[i]++
  return rounded.map((value) => value / 100)
}

// Where the untrained network would read: head h looks in direction h of the star, the k-th point of a level k steps out.
export function untrainedPlace(trace, [cx, cy, w, h], n) {
  const p = n % trace.perHead
  const [dx, dy] = trace.directions[Math.floor(n / trace.perHead)]
  const reach = (trace.pointOf[p] + 1) * trace.scaleOf[p] * trace.offsetScale
  return [cx + dx * reach * w, cy + dy * reach * h]
}

// The nearest of the points first ≤ i < last that `shown` lets through, or null; (x, y) in 0..1 of the image, `radius`
// in pixels of the stage. A plain scan: for 28,800 points it takes a twentieth of a millisecond.
export function nearestPoint(trace, camera, x, y, first, last, shown, radius) {
  const sx = camera.imageWidth * camera.scale
  const sy = camera.imageHeight * camera.scale
  let best = null
  let least = radius * radius
  for (let i = first; i < last; i++) {
    const dx = (trace.x[i] - x) * sx
    const dy = (trace.y[i] - y) * sy
    const distance = dx * dx + dy * dy
    if (distance < least && shown(i)) {
      least = distance
      best = i
    }
  }
  return best === null ? null : { i: best, distance: Math.sqrt(least) }
}

const SAME_PLACE = 9 // pixels of the stage

// The query whose reference point is nearest to (x, y). Many queries end up on one object; of those that lie at the same
// place the one with the best score is meant. Zooming in parts them.
export function nearestQuery(trace, camera, layer, x, y) {
  const sx = camera.imageWidth * camera.scale
  const sy = camera.imageHeight * camera.scale
  const boxes = trace.referenceBoxes.subarray(4 * layer * trace.queries)
  const distance = (query, x, y) => Math.hypot((boxes[4 * query] - x) * sx, (boxes[4 * query + 1] - y) * sy)
  let nearest = 0
  for (let query = 1; query < trace.queries; query++) {
    if (distance(query, x, y) < distance(nearest, x, y)) nearest = query
  }
  let best = nearest
  for (let query = 0; query < trace.queries; query++) {
    const together = distance(query, boxes[4 * nearest], boxes[4 * nearest + 1]) < SAME_PLACE
    if (together && trace.scores[query] > trace.scores[best]) best = query
  }
  return { query: best, distance: distance(nearest, x, y) }
}

// The next query in a direction (dx, dy), for the arrow keys: near, and not far off the direction.
export function nextQuery(trace, layer, from, dx, dy) {
  const at = (query) => {
    const box = 4 * (layer * trace.queries + query)
    return [trace.referenceBoxes[box] * trace.width, trace.referenceBoxes[box + 1] * trace.height]
  }
  const [x, y] = at(from)
  let best = from
  let least = Infinity
  for (let query = 0; query < trace.queries; query++) {
    const [qx, qy] = at(query)
    const distance = Math.hypot(qx - x, qy - y)
    const along = ((qx - x) * dx + (qy - y) * dy) / distance // cosine of the angle
    const cost = distance * (1 + 3 * (1 - along))
    if (distance > 0 && along > 0.6 && cost < least) [best, least] = [query, cost]
  }
  return best
}
