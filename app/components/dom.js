// Elements from plain values. Text only ever becomes a text node: names of classes come from whoever made the weights.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value)
    else if (name === "class") made.className = value
    else made.setAttribute(name, value)
  }
  made.append(...children)
  return made
}

const SHAPES = {
  circle: ["circle", { cx: 6, cy: 6, r: 4.4 }],
  square: ["rect", { x: 2, y: 2, width: 8, height: 8 }],
  diamond: ["path", { d: "M6 .6 11.4 6 6 11.4 .6 6Z" }],
  triangle: ["path", { d: "M6 .6 11.5 10 .5 10Z" }],
}

// A marker as a small picture in a line of text.
export function symbol(shape, fill, stroke = "none", extra = {}) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("viewBox", "0 0 12 12")
  svg.setAttribute("aria-hidden", "true")
  const [tag, attributes] = SHAPES[shape] ?? ["path", { d: shape }]
  const mark = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries({ ...attributes, fill, stroke, ...extra })) mark.setAttribute(name, value)
  svg.append(mark)
  return svg
}

// A number with a true minus sign.
export function number(value, digits) {
  return value.toFixed(digits).replace("-", "−")
}
