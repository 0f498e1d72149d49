// What follows the pointer: a query's reference box, its points with lines to the reference point, and the star that the
// points of an untrained network would form.

import { cellsRead, untrainedPlace } from "./geometry.js"
import { drawHeat } from "./heat.js"
import { boxPath, cross, drawLabel, haloed, marker, outline, placeLabel, radiusOf } from "./marks.js"
import { MOST_NAMED } from "./selection.js"

const LARGE_BOX = 170 // pixels of the stage; on smaller boxes points are drawn smaller, or they would hide each other
const SMALLEST_SCALE = 0.4

// Draws all that follows the pointer, and the names of the detections, which must not lie on other names. Returns the
// number of points drawn, their shapes, the number of detections named, and the greatest sum of weight in the heat map.
export function drawMarks(ctx, canvas) {
  const { trace, camera, state } = canvas
  const { selected, compared } = trace.colors
  const queries = [[canvas.query, selected]]
  if (state.compare !== null && state.compare !== canvas.query) queries.push([state.compare, compared])
  const drawn = { points: 0, most: null, named: 0, outlines: new Set() }
  if (state.heat && !state.all) {
    const heat = canvas.heatOf(...canvas.pointsOf(canvas.query))
    drawHeat(ctx, camera, heat, trace.colors.overlay)
    drawn.most = heat.most
  }
  const focus = canvas.focus
  const scale = Math.min(...queries.map(([query]) => scaleFor(canvas, query)))
  const other = queries.every(([query]) => query !== state.hover) ? state.hover : null
  const named = other === null ? queries : [...queries, [other, trace.colors.on_photo]]
  const taken = []
  const names = named.map(([query, color]) => placeName(ctx, canvas, query, color, taken))
  if (focus !== null) names.push(placePointName(ctx, canvas, focus, scale, taken))
  const unnamed = canvas.found.filter((found) => named.every(([query]) => query !== found))
  drawn.named = drawFound(ctx, canvas, unnamed, taken)
  if (focus !== null) drawCells(ctx, canvas, focus)
  for (const [query, color] of queries) {
    const edge = queries.length > 1 ? color : trace.colors.on_photo
    const points = drawQuery(ctx, canvas, query, color, edge, scale)
    drawn.points += points.length
    points.forEach((i) => drawn.outlines.add(canvas.outlineOf(i)))
  }
  if (other !== null) drawBox(ctx, canvas, other, trace.colors.on_photo, [5, 4])
  if (focus !== null) drawFocus(ctx, canvas, focus, scale)
  for (const name of names) if (name) drawLabel(ctx, trace.colors, name)
  return drawn
}

function scaleFor({ trace, camera, referenceBox }, query) {
  const [, , w, h] = referenceBox(query)
  const side = Math.sqrt(w * trace.width * h * trace.height) * camera.scale
  return Math.min(Math.max(side / LARGE_BOX, SMALLEST_SCALE), 1)
}

function drawQuery(ctx, canvas, query, color, edge, scale) {
  const { trace, camera, state, shown } = canvas
  drawBox(ctx, canvas, query, color, [])
  const [cx, cy] = canvas.referenceBox(query)
  const [x, y] = [camera.stageX(cx), camera.stageY(cy)]
  const [first, last] = canvas.pointsOf(query)
  const points = []
  if (!state.heat) {
    for (let i = first; i < last; i++) if (shown(i)) points.push(i)
    points.sort((a, b) => trace.weights[b] - trace.weights[a]) // small points on top of large ones
    const focus = canvas.focus
    const lit = focus !== null && canvas.queryOf(focus) === query ? canvas.headOf(focus) : null
    if (state.ghost) drawUntrained(ctx, canvas, query, lit)
    drawLines(ctx, canvas, points, x, y, color, lit)
    for (const i of points) {
      const level = trace.levels[trace.levelOf[i % trace.perHead]]
      const radius = radiusOf(trace.weights[i], scale)
      ctx.globalAlpha = lit === null || canvas.headOf(i) === lit ? 0.92 : 0.25
      marker(ctx, canvas.outlineOf(i), ...canvas.onStage(i), radius, level.color, edge, trace.colors.halo)
    }
    ctx.globalAlpha = 1
  }
  cross(ctx, x, y, 6, color, trace.colors.halo)
  return points
}

function drawBox(ctx, { trace, camera, referenceBox }, query, color, dashes) {
  ctx.setLineDash(dashes)
  boxPath(ctx, camera, referenceBox(query))
  haloed(ctx, color, dashes.length ? 1.3 : 2.2, trace.colors.halo)
  ctx.setLineDash([])
}

function placeName(ctx, canvas, query, color, taken) {
  const { camera } = canvas
  const [cx, cy, w, h] = canvas.referenceBox(query)
  const [x, y] = [camera.stageX(cx - w / 2), camera.stageY(cy - h / 2)]
  return placeLabel(ctx, canvas.font(12, 600), `query ${query} · ${canvas.nameOf(query)}`, x, y, color, camera, taken)
}

function placePointName(ctx, canvas, i, scale, taken) {
  const { trace, camera } = canvas
  const [x, y] = canvas.onStage(i)
  const radius = radiusOf(trace.weights[i], scale)
  const { color } = trace.levels[trace.levelOf[i % trace.perHead]]
  const words = `${canvas.pointName(i)} · weight ${trace.weights[i].toFixed(4)}`
  return placeLabel(ctx, canvas.font(12, 600), words, x + radius + 8, y - radius, color, camera, taken)
}

// Names the best detections where there is room; returns how many.
function drawFound(ctx, canvas, found, taken) {
  const { trace, camera } = canvas
  const names = found.slice(0, MOST_NAMED).map((query) => {
    const [cx, cy, w, h] = trace.boxes.subarray(4 * query, 4 * query + 4)
    const [x, y] = [camera.stageX(cx - w / 2), camera.stageY(cy - h / 2)]
    return placeLabel(ctx, canvas.font(12), canvas.nameOf(query), x, y, trace.colors.on_photo, camera, taken)
  })
  const placed = names.filter(Boolean)
  for (const name of placed) drawLabel(ctx, trace.colors, name)
  return placed.length
}

// One path for all faint lines and one for those of the lit head.
function drawLines(ctx, { onStage, headOf }, points, x, y, color, lit) {
  for (const bright of lit === null ? [false] : [false, true]) {
    ctx.beginPath()
    for (const i of points) {
      if (lit !== null && (headOf(i) === lit) !== bright) continue
      ctx.moveTo(x, y)
      ctx.lineTo(...onStage(i))
    }
    ctx.globalAlpha = bright ? 0.95 : lit === null ? 0.5 : 0.12
    ctx.strokeStyle = color
    ctx.lineWidth = bright ? 1.5 : 1
    ctx.stroke()
  }
  ctx.globalAlpha = 1
}

// Rings at the untrained places, each once: the levels share them where they have as many points.
function drawUntrained(ctx, { trace, camera, referenceBox, headShown }, query, lit) {
  const places = new Map()
  for (let n = 0; n < trace.perQuery; n++) {
    const head = Math.floor(n / trace.perHead)
    if (!headShown(head) || (lit !== null && head !== lit)) continue
    const [x, y] = untrainedPlace(trace, referenceBox(query), n)
    places.set(`${x.toFixed(5)} ${y.toFixed(5)}`, [camera.stageX(x), camera.stageY(y)])
  }
  ctx.beginPath()
  for (const [x, y] of places.values()) {
    ctx.moveTo(x + 3.2, y)
    ctx.arc(x, y, 3.2, 0, 2 * Math.PI)
  }
  ctx.globalAlpha = lit === null ? 0.6 : 0.95
  ctx.setLineDash([2, 1.6])
  haloed(ctx, trace.colors.on_photo, 1, trace.colors.halo)
  ctx.setLineDash([])
  ctx.globalAlpha = 1
}

// The cells that the point reads, on the grid of its level.
function drawCells(ctx, { trace, camera }, i) {
  const { rows, columns, color } = trace.levels[trace.levelOf[i % trace.perHead]]
  for (const { row, column, weight } of cellsRead(trace, i)) {
    const [left, top] = [camera.stageX(column / columns), camera.stageY(row / rows)]
    const [width, height] = [camera.stageX((column + 1) / columns) - left, camera.stageY((row + 1) / rows) - top]
    ctx.globalAlpha = 0.65 * weight
    ctx.fillStyle = color
    ctx.fillRect(left, top, width, height)
    ctx.globalAlpha = 0.8
    ctx.strokeStyle = trace.colors.on_photo
    ctx.lineWidth = 0.8
    ctx.strokeRect(left, top, width, height)
  }
  ctx.globalAlpha = 1
}

// The point under the pointer: a ring around it, and the way it was moved by training.
function drawFocus(ctx, canvas, i, scale) {
  const { trace, camera, state } = canvas
  const { colors } = trace
  const [x, y] = canvas.onStage(i)
  if (state.ghost && !state.heat) {
    const [gx, gy] = untrainedPlace(trace, canvas.referenceBox(canvas.queryOf(i)), i % trace.perQuery)
    ctx.beginPath()
    ctx.moveTo(camera.stageX(gx), camera.stageY(gy))
    ctx.lineTo(x, y)
    ctx.setLineDash([3, 3])
    haloed(ctx, colors.on_photo, 1.2, colors.halo)
    ctx.setLineDash([])
  }
  const { color } = trace.levels[trace.levelOf[i % trace.perHead]]
  const [shape, radius] = [canvas.outlineOf(i), radiusOf(trace.weights[i], scale)]
  marker(ctx, shape, x, y, radius, color, colors.on_photo, colors.halo)
  ctx.beginPath()
  outline(ctx, shape, x, y, radius + 4)
  haloed(ctx, colors.on_photo, 1.8, colors.halo)
}
