// The loupe: the cells of the point's map with the part of the photo they stand for, and what each of them counts.

import { cellsRead, hundredths } from "./geometry.js"
import { marker } from "./marks.js"

const AROUND = 1 // cells shown on each side of those that are read
const RULER = 22 // pixels for the numbers of rows and columns

// Draws the loupe of point i, or an empty one for null, on a canvas of `side` pixels; returns the numbers it shows.
export function drawLoupe(ctx, side, canvas, i) {
  const { trace } = canvas
  ctx.clearRect(0, 0, side, side)
  if (i === null) return []
  const level = trace.levels[trace.levelOf[i % trace.perHead]]
  const cells = cellsRead(trace, i)
  const numbers = hundredths(cells.map(({ weight }) => weight))
  const first = { row: cells[0].row - AROUND, column: cells[0].column - AROUND }
  const count = cells.at(-1).row - cells[0].row + 1 + 2 * AROUND
  const size = (side - RULER - 1) / count
  const at = (row, column) => [RULER + (column - first.column) * size, RULER + (row - first.row) * size]

  drawGround(ctx, canvas, level, first, count, size)
  cells.forEach(({ row, column, weight }) => {
    ctx.globalAlpha = 0.75 * weight
    ctx.fillStyle = level.color
    ctx.fillRect(...at(row, column), size, size)
    ctx.globalAlpha = 1
    ctx.strokeStyle = trace.colors.on_photo
    ctx.lineWidth = 1.5
    ctx.strokeRect(...at(row, column), size, size)
  })
  const [x, y] = at(trace.y[i] * level.rows, trace.x[i] * level.columns)
  marker(ctx, level.marker, x, y, 4, level.color, trace.colors.on_photo, trace.colors.halo)
  cells.forEach(({ row, column, inside }, k) => {
    const [left, top] = at(row, column)
    // Each number stands in the outer part of its cell, away from the point.
    const across = cells.length === 1 ? 0.5 : column === cells[0].column ? 0.42 : 0.58
    const down = cells.length === 1 || row === cells[0].row ? 0.24 : 0.78
    writeNumber(ctx, canvas, numbers[k].toFixed(2) + (inside ? "" : "×0"), left + across * size, top + down * size)
  })
  drawRuler(ctx, canvas, first, count, size)
  return numbers
}

// The photo under the cells, their grid, and hatching where there is no map.
function drawGround(ctx, { trace, ink }, { rows, columns }, first, count, size) {
  const whole = count * size
  ctx.save()
  ctx.beginPath()
  ctx.rect(RULER, RULER, whole, whole)
  ctx.clip()
  ctx.strokeStyle = ink.line
  ctx.lineWidth = 1
  ctx.beginPath()
  for (let offset = -whole; offset < whole; offset += 7) {
    ctx.moveTo(RULER + offset, RULER + whole)
    ctx.lineTo(RULER + offset + whole, RULER)
  }
  ctx.stroke()
  const [left, top] = [RULER - first.column * size, RULER - first.row * size]
  ctx.imageSmoothingEnabled = true
  ctx.drawImage(trace.photo, left, top, columns * size, rows * size)
  ctx.beginPath()
  for (let k = 0; k <= count; k++) {
    ctx.moveTo(RULER + k * size, RULER)
    ctx.lineTo(RULER + k * size, RULER + whole)
    ctx.moveTo(RULER, RULER + k * size)
    ctx.lineTo(RULER + whole, RULER + k * size)
  }
  ctx.globalAlpha = 0.35
  ctx.strokeStyle = trace.colors.on_photo
  ctx.stroke()
  ctx.restore()
}

function drawRuler(ctx, { font, ink }, first, count, size) {
  ctx.font = font(11)
  ctx.fillStyle = ink.muted
  ctx.textBaseline = "middle"
  for (let k = 0; k < count; k++) {
    ctx.textAlign = "center"
    ctx.fillText(first.column + k, RULER + (k + 0.5) * size, RULER - 9)
    ctx.textAlign = "right"
    ctx.fillText(first.row + k, RULER - 5, RULER + (k + 0.5) * size)
  }
}

function writeNumber(ctx, { trace, font }, text, x, y) {
  ctx.font = font(12, 600)
  ctx.textAlign = "center"
  ctx.textBaseline = "middle"
  ctx.strokeStyle = trace.colors.halo
  ctx.lineWidth = 3
  ctx.lineJoin = "round"
  ctx.strokeText(text, x, y)
  ctx.fillStyle = trace.colors.on_photo
  ctx.fillText(text, x, y)
}
