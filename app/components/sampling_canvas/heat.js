// The weights of many points added up where they are read: on the cells of the maps, not as blots around the points.

import { cellsRead } from "./geometry.js"

// Sum of weight per cell of the finest map, over the points first ≤ i < last that `shown` lets through. Each point gives
// its weight to the cells it reads; a cell of a coarser map shares what it has among the finest cells it covers.
export function heatMap(trace, first, last, shown) {
  const [finest] = trace.levels
  const sums = trace.levels.map(({ rows, columns }) => new Float32Array(rows * columns))
  for (let i = first; i < last; i++) {
    if (!shown(i)) continue
    const level = trace.levelOf[i % trace.perHead]
    for (const { row, column, weight, inside } of cellsRead(trace, i)) {
      if (inside) sums[level][row * trace.levels[level].columns + column] += trace.weights[i] * weight
    }
  }
  const heat = sums[0]
  for (let level = 1; level < sums.length; level++) {
    const { rows, columns } = trace.levels[level]
    const share = (rows * columns) / (finest.rows * finest.columns)
    for (let row = 0; row < finest.rows; row++) {
      const from = Math.floor((row * rows) / finest.rows) * columns
      for (let column = 0; column < finest.columns; column++) {
        const cell = from + Math.floor((column * columns) / finest.columns)
        heat[row * finest.columns + column] += sums[level][cell] * share
      }
    }
  }
  return { values: heat, rows: finest.rows, columns: finest.columns, most: heat.reduce((a, b) => Math.max(a, b), 0) }
}

// Draws the map over the photo, from transparent to the accent. Opacity follows the square root of the sum: a few cells
// hold most of it, and the rest would not be seen.
export function drawHeat(ctx, camera, heat, overlay) {
  const [red, green, blue, most] = [1, 3, 5, 7].map((at) => parseInt(overlay[1].slice(at, at + 2), 16))
  const image = new ImageData(heat.columns, heat.rows)
  for (let cell = 0; cell < heat.values.length; cell++) {
    image.data.set([red, green, blue, most * Math.sqrt(heat.values[cell] / (heat.most || 1))], 4 * cell)
  }
  const small = new OffscreenCanvas(heat.columns, heat.rows)
  small.getContext("2d").putImageData(image, 0, 0)
  const [left, top] = [camera.stageX(0), camera.stageY(0)]
  ctx.imageSmoothingEnabled = false
  ctx.drawImage(small, left, top, camera.stageX(1) - left, camera.stageY(1) - top)
}
