// Small things that are drawn: markers, lines with a dark edge, labels. A mark must be seen on any photo.

const LARGEST_RADIUS = 15 // of a point with weight one on a large box, in pixels of the stage
const SMALLEST_RADIUS = 1.7

// The area of a point follows its weight; `scale` is the same for all points that are drawn at a time.
export function radiusOf(weight, scale) {
  return Math.max(LARGEST_RADIUS * Math.sqrt(weight) * scale, SMALLEST_RADIUS)
}

// Adds the outline of a marker to the path; all shapes have about the area of the circle.
export function outline(ctx, shape, x, y, radius) {
  if (shape === "circle") {
    ctx.moveTo(x + radius, y)
    ctx.arc(x, y, radius, 0, 2 * Math.PI)
  } else if (shape === "square") {
    const half = radius * 0.89
    ctx.rect(x - half, y - half, 2 * half, 2 * half)
  } else if (shape === "triangle") {
    ctx.moveTo(x, y - radius * 1.45)
    ctx.lineTo(x + radius * 1.3, y + radius * 0.85)
    ctx.lineTo(x - radius * 1.3, y + radius * 0.85)
    ctx.closePath()
  } else {
    const half = radius * 1.25
    ctx.moveTo(x, y - half)
    ctx.lineTo(x + half, y)
    ctx.lineTo(x, y + half)
    ctx.lineTo(x - half, y)
    ctx.closePath()
  }
}

export function marker(ctx, shape, x, y, radius, fill, edge, halo) {
  ctx.beginPath()
  outline(ctx, shape, x, y, radius)
  ctx.strokeStyle = halo
  const width = radius < 4 ? 0.8 : 1.2
  ctx.lineWidth = width + 1.6
  ctx.stroke()
  ctx.fillStyle = fill
  ctx.fill()
  ctx.strokeStyle = edge
  ctx.lineWidth = width
  ctx.stroke()
}

export function haloed(ctx, color, width, halo) {
  ctx.strokeStyle = halo
  ctx.lineWidth = width + 2
  ctx.stroke()
  ctx.strokeStyle = color
  ctx.lineWidth = width
  ctx.stroke()
}

export function cross(ctx, x, y, radius, color, halo) {
  ctx.beginPath()
  ctx.moveTo(x - radius, y)
  ctx.lineTo(x + radius, y)
  ctx.moveTo(x, y - radius)
  ctx.lineTo(x, y + radius)
  haloed(ctx, color, 2.2, halo)
}

const LABEL_HEIGHT = 18

// Finds room near (x, y) for a line of words, inside the stage and off the areas in `taken`, to which it is added; null
// where there is none.
export function placeLabel(ctx, font, text, x, y, color, camera, taken) {
  ctx.font = font
  const width = ctx.measureText(text).width + 13
  const inside = (value, most) => Math.min(Math.max(value, 2), Math.max(most - 2, 2))
  const free = ([left, top]) =>
    taken.every(([l, t, w, h]) => left >= l + w || left + width <= l || top >= t + h || top + LABEL_HEIGHT <= t)
  const choices = [y - LABEL_HEIGHT - 2, y + 2, y + LABEL_HEIGHT + 4].flatMap((top) =>
    [x, x - width].map((left) => [inside(left, camera.width - width), inside(top, camera.height - LABEL_HEIGHT)]),
  )
  const place = choices.find(free)
  if (!place) return null
  const [left, top] = place
  taken.push([left, top, width, LABEL_HEIGHT])
  return { font, text, color, left, top, width }
}

// Draws the words on a dark ground with a bar of colour. They may hold anything: a canvas knows no markup.
export function drawLabel(ctx, colors, { font, text, color, left, top, width }) {
  ctx.font = font
  ctx.globalAlpha = 0.86
  ctx.fillStyle = colors.halo
  ctx.fillRect(left, top, width, LABEL_HEIGHT)
  ctx.globalAlpha = 1
  ctx.fillStyle = color
  ctx.fillRect(left, top, 3, LABEL_HEIGHT)
  ctx.fillStyle = colors.on_photo
  ctx.textAlign = "left"
  ctx.textBaseline = "middle"
  ctx.fillText(text, left + 8, top + LABEL_HEIGHT / 2 + 0.5)
}

// A box cxcywh in 0..1 as a path on the stage; returns its top left corner.
export function boxPath(ctx, camera, [cx, cy, w, h]) {
  const left = camera.stageX(cx - w / 2)
  const top = camera.stageY(cy - h / 2)
  ctx.beginPath()
  ctx.rect(left, top, camera.stageX(cx + w / 2) - left, camera.stageY(cy + h / 2) - top)
  return [left, top]
}
