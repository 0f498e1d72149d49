// What does not change with the pointer: the photo, all reference points, the detections, and all points of all queries.

import { drawHeat } from "./heat.js"
import { boxPath, haloed } from "./marks.js"
import { MOST_NAMED } from "./selection.js"

export function drawPhoto(ctx, camera, trace) {
  const [left, top] = [camera.stageX(0), camera.stageY(0)]
  const [width, height] = [camera.stageX(1) - left, camera.stageY(1) - top]
  ctx.imageSmoothingQuality = "high"
  ctx.imageSmoothingEnabled = width < 4 * trace.photo.width // far in, the pixels of the photo may be seen
  ctx.drawImage(trace.photo, left, top, width, height)
}

// Returns the greatest sum of weight where a heat map of all queries is drawn, and how many points were drawn.
export function drawBackdrop(ctx, canvas) {
  const { trace, camera, state } = canvas
  const drawn = { points: 0, most: null }
  if (state.all && state.heat) {
    const heat = canvas.heatOf(...canvas.pointsOfLayer())
    drawHeat(ctx, camera, heat, trace.colors.overlay)
    drawn.most = heat.most
  } else if (state.all) {
    drawn.points = drawAllPoints(ctx, canvas)
  }
  drawReferencePoints(ctx, canvas)
  drawDetections(ctx, canvas)
  return drawn
}

// Tens of thousands of points are painted pixel by pixel: as shapes they would take several frames.
function drawAllPoints(ctx, { trace, camera, shown, pointsOfLayer, ratio }) {
  const { width, height } = ctx.canvas
  const image = ctx.createImageData(width, height)
  const pixels = new Uint32Array(image.data.buffer)
  const colors = trace.levels.map(({ color }) => {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16))
    return (blue << 16) | (green << 8) | red // little-endian: alpha, blue, green, red
  })
  const side = Math.max(Math.round(2 * ratio), 2)
  const [first, last] = pointsOfLayer()
  let count = 0
  for (let i = first; i < last; i++) {
    if (!shown(i)) continue
    count++
    const x = Math.round(camera.stageX(trace.x[i]) * ratio - side / 2)
    const y = Math.round(camera.stageY(trace.y[i]) * ratio - side / 2)
    if (x < 0 || y < 0 || x + side > width || y + side > height) continue
    const alpha = Math.min(70 + 420 * Math.sqrt(trace.weights[i]), 255) | 0
    const color = colors[trace.levelOf[i % trace.perHead]] | (alpha << 24)
    for (let row = y; row < y + side; row++) {
      for (let at = row * width + x; at < row * width + x + side; at++) {
        if (pixels[at] >>> 24 < alpha) pixels[at] = color
      }
    }
  }
  ctx.putImageData(image, 0, 0)
  return count
}

function drawReferencePoints(ctx, { trace, camera, referenceBox }) {
  ctx.beginPath()
  for (let query = 0; query < trace.queries; query++) {
    const [cx, cy] = referenceBox(query)
    const [x, y] = [camera.stageX(cx), camera.stageY(cy)]
    ctx.moveTo(x + 2, y)
    ctx.arc(x, y, 2, 0, 2 * Math.PI)
  }
  ctx.globalAlpha = 0.75
  ctx.strokeStyle = trace.colors.halo
  ctx.lineWidth = 1.5
  ctx.stroke()
  ctx.fillStyle = trace.colors.on_photo
  ctx.fill()
  ctx.globalAlpha = 1
}

function drawDetections(ctx, canvas) {
  const { trace, camera, found } = canvas
  for (const query of found) {
    boxPath(ctx, camera, trace.boxes.subarray(4 * query, 4 * query + 4))
    if (found.length > MOST_NAMED) faint(ctx, trace.colors.on_photo)
    else haloed(ctx, trace.colors.on_photo, 1, trace.colors.halo)
  }
}

// Hundreds of outlines with dark edges would cover the photo.
function faint(ctx, color) {
  ctx.globalAlpha = 0.35
  ctx.strokeStyle = color
  ctx.lineWidth = 1
  ctx.stroke()
  ctx.globalAlpha = 1
}
