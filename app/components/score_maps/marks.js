// Marks on the darkened photo; `look` is the header of the payload, which has the colours. Sizes are in CSS pixels.

function outline(look, pen, level, x, y, size) {
  pen.beginPath()
  const kind = look.markers[level]
  if (kind === "circle") pen.arc(x, y, size, 0, 2 * Math.PI)
  else if (kind === "square") pen.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8)
  else {
    const d = size * 1.25
    pen.moveTo(x, y - d); pen.lineTo(x + d, y); pen.lineTo(x, y + d); pen.lineTo(x - d, y); pen.closePath()
  }
}

export function marker(look, pen, level, x, y, size, fill, edge, width = size < 2.5 ? 0.7 : 1) {
  outline(look, pen, level, x, y, size)
  pen.fillStyle = fill
  pen.fill()
  pen.strokeStyle = edge
  pen.lineWidth = width
  pen.stroke()
}

export function near(look, pen, level, x, y, size) {
  const small = size < 2.5 // drawn smaller there, so that open and filled marks differ without colour, too
  outline(look, pen, level, x, y, small ? size * 0.7 : size)
  pen.strokeStyle = look.light
  pen.lineWidth = small ? 0.7 : 1.2
  pen.stroke()
}

export function cross(look, pen, x, y, size) {
  for (const [color, width] of [[look.dark, 3.4], [look.comparedColor, 1.7]]) {
    pen.beginPath()
    pen.moveTo(x - size, y - size); pen.lineTo(x + size, y + size)
    pen.moveTo(x - size, y + size); pen.lineTo(x + size, y - size)
    pen.strokeStyle = color
    pen.lineWidth = width
    pen.stroke()
  }
}

export function hatch(look, pen, x, y, dx, dy) {
  pen.beginPath()
  pen.moveTo(x - dx / 2, y + dy / 2)
  pen.lineTo(x + dx / 2, y - dy / 2)
  pen.strokeStyle = look.light
  pen.globalAlpha = 0.6
  pen.lineWidth = 0.7
  pen.stroke()
  pen.globalAlpha = 1
}

export function pin(look, pen, x, y) {
  for (const [color, width] of [[look.dark, 4], [look.light, 2]]) {
    pen.beginPath()
    pen.arc(x, y, 6, 0, 2 * Math.PI)
    pen.moveTo(x - 10, y); pen.lineTo(x - 3, y); pen.moveTo(x + 3, y); pen.lineTo(x + 10, y)
    pen.moveTo(x, y - 10); pen.lineTo(x, y - 3); pen.moveTo(x, y + 3); pen.lineTo(x, y + 10)
    pen.strokeStyle = color
    pen.lineWidth = width
    pen.stroke()
  }
}

export function symbol(canvas, draw) {
  const ratio = window.devicePixelRatio || 1
  canvas.className = "symbol"
  canvas.width = canvas.height = 16 * ratio
  const pen = canvas.getContext("2d")
  pen.scale(ratio, ratio)
  draw(pen, 8, 8)
}
