// One picture of the boxes at a position p: of the whole photo, or of the part around the selected query.

const SVG = "http://www.w3.org/2000/svg"
const SOFT = "grayscale(1) brightness(0.72)" // the ground of an overlay, as in the other figures

const MANY = 30 // detections; more are drawn thinner, and only the best ones are named

export function createView(svg, model, url, close) {
  const [width, height] = model.size
  const [x0, y0, x1, y1] = close ? model.region : [0, 0, width, height]
  svg.replaceChildren()
  svg.setAttribute("viewBox", `${x0} ${y0} ${x1 - x0} ${y1 - y0}`)
  svg.setAttribute("preserveAspectRatio", "xMinYMin meet")
  const add = (name, attributes) => svg.appendChild(node(name, attributes))
  const picture = { href: url, x: 0, y: 0, width, height, preserveAspectRatio: "none" }
  add("image", picture).style.filter = close ? "none" : SOFT
  const stroke = (color, wide, more = {}) =>
    add("path", { fill: "none", stroke: color, "stroke-width": wide, "vector-effect": "non-scaling-stroke", ...more })
  const { photo: light, halo: dark, selected, compared } = model.colors
  const found = Array.from({ length: model.queries }, (_, q) => q)
    .filter((q) => isFound(model, q) && q !== model.query && q !== model.compare)
    .sort((a, b) => finalScore(model, b) - finalScore(model, a))
  const thin = found.length > MANY
  const round = { "stroke-linecap": "round" }
  const parts = {
    others: stroke(light, 1, { "stroke-opacity": 0.25 }),
    foundHalo: stroke(dark, thin ? 0 : 3.5, { "stroke-opacity": 0.6 }),
    found: stroke(light, thin ? 1 : 1.5, { class: "found-boxes", "stroke-opacity": thin ? 0.45 : 1 }),
    past: close ? Array.from({ length: model.layers + 1 }, () => stroke(selected, 1.2, { "stroke-opacity": 0.75 })) : [],
    trail: stroke(selected, 1.5, { "stroke-opacity": 0.9 }),
    comparedHalo: stroke(light, 4.5, { "stroke-opacity": 0.6 }),
    compared: stroke(compared, 2.5, { "stroke-dasharray": "7 4", class: "compared-box" }),
    selectedHalo: stroke(light, 4.5, { "stroke-opacity": 0.6 }),
    selected: stroke(selected, 2.5, { class: "selected-box" }),
    links: add("g", { class: "attention" }),
    dotsHalo: stroke(dark, close ? 0 : 6, round),
    twins: stroke(selected, close ? 0 : 9, round),
    dots: stroke(light, close ? 0 : 4, round),
    hovered: stroke(light, 3),
    centreHalo: stroke(light, close ? 9 : 12, round),
    centre: stroke(selected, close ? 6.5 : 9.5, round),
    words: add("g", {}),
  }
  const linked = Array.from({ length: model.layers }, (_, layer) => mostAttended(model, layer))
  const others = Array.from({ length: model.queries }, (_, q) => q).filter((q) => !isFound(model, q) && q !== model.query)

  function draw({ p, listening, hovered, links, all }) {
    const outline = (queries, at = p) => queries.map((q) => outlineOf(boxAt(model, q, at))).join("")
    const chosen = [model.query]
    const pair = model.compare === null ? [] : [model.compare]
    set(parts.others, all ? outline(others) : "")
    set(parts.foundHalo, outline(found))
    set(parts.found, outline(found))
    set(parts.comparedHalo, outline(pair))
    set(parts.compared, outline(pair))
    set(parts.selectedHalo, outline(chosen))
    set(parts.selected, outline(chosen))
    set(parts.hovered, hovered === null || hovered === model.query ? "" : outline([hovered]))
    set(parts.centreHalo, dotsAt(model, chosen, p))
    set(parts.centre, dotsAt(model, chosen, p))
    parts.past.forEach((path, step) => {
      path.setAttribute("stroke-dasharray", step === 0 ? "1.5 3" : "6 4")
      set(path, step < p ? outline(chosen, step) : "")
    })
    if (close) {
      const way = Array.from({ length: Math.floor(p) + 1 }, (_, step) => step).concat(p)
      set(parts.trail, "M" + way.map((at) => centreAt(model, model.query, at).join(" ")).join("L"))
    } else {
      const every = Array.from({ length: model.queries }, (_, q) => q)
      set(parts.dotsHalo, dotsAt(model, every, p))
      set(parts.dots, dotsAt(model, every, p))
      set(parts.twins, dotsAt(model, model.duplicates, p))
      drawLinks(links, p, listening)
    }
    drawWords(p)
  }

  // Attention is paid where the boxes stand when the layer begins, so the links stay there while the boxes move on.
  function drawLinks(wanted, p, listening) {
    parts.links.replaceChildren()
    const layer = listening ? listening.layer : Math.ceil(p) - 1
    if (!wanted || layer < 0) return
    const share = (q) => model.attention[layer * model.queries + q]
    const strongest = Math.max(...linked[layer].map(share), 1e-9)
    const from = centreAt(model, model.query, layer)
    for (const q of linked[layer]) {
      const strength = share(q) / strongest
      const to = centreAt(model, q, layer)
      const look = { "stroke-width": 1 + 3.5 * strength, "stroke-opacity": (0.5 + 0.5 * strength) * (listening?.strength ?? 1) }
      const line = { x1: from[0], y1: from[1], x2: to[0], y2: to[1], "data-query": q }
      parts.links.append(node("line", { ...line, stroke: selected, "vector-effect": "non-scaling-stroke", ...look }))
    }
  }

  // Class and score at the boxes, the chosen ones first; what would lie on another label is left out.
  function drawWords(p) {
    parts.words.replaceChildren()
    const scale = svg.getScreenCTM()?.a
    if (!scale) return
    const [size, step] = [12 / scale, Math.round(p)]
    const taken = []
    const chosen = model.compare === null ? [model.query] : [model.query, model.compare]
    for (const q of close ? [] : [...chosen, ...found.slice(0, MANY)]) {
      const [left, top, , bottom] = boxAt(model, q, p)
      const text = `${model.names[model.labels[q]]} ${model.scores[step * model.queries + q].toFixed(2)}`
      const wide = text.length * size * 0.56
      const x = Math.min(Math.max(left, x0), x1 - wide)
      const y = top - size * 1.15 > y0 ? top - size * 0.4 : Math.min(bottom + size * 1.1, y1 - size * 0.3)
      const place = [x, y - size, x + wide, y + size * 0.25]
      if (taken.some((other) => overlaps(place, other))) continue
      taken.push(place)
      const look = { "paint-order": "stroke", stroke: dark, "stroke-width": 3 / scale, "stroke-linejoin": "round" }
      const words = node("text", { x, y, "font-size": size, ...look }, text)
      words.style.fill = light
      words.style.fontWeight = q === model.query ? 700 : 400
      parts.words.append(words)
    }
  }

  return { draw }
}

const overlaps = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
const set = (path, d) => path.setAttribute("d", d)
const outlineOf = ([x0, y0, x1, y1]) => `M${x0} ${y0}H${x1}V${y1}H${x0}Z`
const finalScore = (model, q) => model.scores[model.layers * model.queries + q]
export const isFound = (model, q) => finalScore(model, q) > model.threshold

export function boxAt(model, query, p) {
  const before = Math.min(Math.floor(p), model.layers - 1)
  const t = p - before
  const eased = t * t * (3 - 2 * t)
  const start = (before * model.queries + query) * 4
  const end = start + model.queries * 4
  return [0, 1, 2, 3].map((i) => model.boxes[start + i] * (1 - eased) + model.boxes[end + i] * eased)
}

function centreAt(model, query, p) {
  const [x0, y0, x1, y1] = boxAt(model, query, p)
  return [(x0 + x1) / 2, (y0 + y1) / 2]
}

const dotsAt = (model, queries, p) => queries.map((q) => `M${centreAt(model, q, p).join(" ")}h0.001`).join("")

export function mostAttended(model, layer) {
  const share = (q) => model.attention[layer * model.queries + q]
  const others = Array.from({ length: model.queries }, (_, q) => q).filter((q) => q !== model.query)
  return others.sort((a, b) => share(b) - share(a)).slice(0, model.links)
}

export function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (text !== undefined) made.textContent = text
  return made
}
