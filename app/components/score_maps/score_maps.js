// Score maps of the levels over the photo. The pointer and the keys are answered here; only a place that is asked about
// goes to Python. All text is set as text, never as HTML.

import { drawLegend } from "./legend.js"
import { cross, hatch, marker, near, pin, symbol } from "./marks.js"
import { CHOSEN, GAINED, INVALID, LOST, NEAR, clamp, readMaps } from "./payload.js"

const GAP = 14 // pixels between maps
const TALLEST = 470 // pixels of a single map
const KEYS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
}
const HINT = "A click asks why a query stands there or not; on a chosen cell it also selects its query. With the " +
  "keyboard: arrows move, Enter asks, Escape releases."

const shown = new WeakMap()

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  if (!shown.has(parentElement)) shown.set(parentElement, new ScoreMaps(parentElement.querySelector(".root")))
  const maps = shown.get(parentElement)
  maps.send = (value) => setTriggerValue("ask", value)
  maps.update(data)
  return () => { maps.close(); shown.delete(parentElement) }
}

const score = (value) => value >= 0.0995 ? value.toFixed(2) : value.toPrecision(2)

class ScoreMaps {
  constructor(root) {
    this.root = root
    this.frame = root.querySelector(".maps")
    this.legend = root.querySelector(".legend")
    this.lines = root.querySelector(".lines")
    this.hint = root.querySelector(".hint")
    this.answer = root.querySelector(".answer")
    this.levels = []
    this.pointer = null // [x, y] in 0..1 of the image
    this.observer = new ResizeObserver(() => this.layout())
    this.observer.observe(root)
    this.frame.onkeydown = (event) => this.key(event)
    this.frame.onblur = () => { this.pointer = null; this.paint() }
  }

  close() {
    this.observer.disconnect()
  }

  async update(bytes) {
    const { header, tokens, photo } = readMaps(bytes)
    const turn = this.turn = (this.turn ?? 0) + 1
    const image = await createImageBitmap(new Blob([photo], { type: "image/jpeg" }))
    if (turn !== this.turn) return // newer data came meanwhile
    this.h = header
    this.tokens = tokens
    this.photo = image
    this.starts = [0]
    for (const [h, w] of header.sizes) this.starts.push(this.starts.at(-1) + h * w)
    const list = header.only === null ? header.sizes.map((_, level) => level) : [header.only]
    if (String(list) !== String(this.list)) this.build(list)
    for (const level of list) this.describe(level)
    drawLegend(this.legend, header, tokens.state, list, this.levelOf(header.selected))
    this.answer.textContent = header.answer
    this.width = 0
    this.layout()
    this.root.dataset.ready = header.query
  }

  build(list) {
    this.list = list
    this.levels = list.map((level) => {
      const figure = document.createElement("figure")
      const title = document.createElement("figcaption")
      const canvas = document.createElement("canvas")
      canvas.setAttribute("role", "img")
      figure.append(title, canvas)
      canvas.onpointermove = (event) => { this.pointer = this.placeOf(event, canvas); this.paint() }
      canvas.onpointerdown = canvas.onpointermove
      canvas.onpointerleave = () => { this.pointer = null; this.paint() }
      canvas.onclick = (event) => this.ask(this.placeOf(event, canvas), level)
      return { level, figure, title, canvas, base: document.createElement("canvas") }
    })
    this.frame.replaceChildren(...this.levels.map((map) => map.figure))
  }

  describe(level) {
    const [rows, columns] = this.h.sizes[level]
    let chosen = 0
    for (let token = this.starts[level]; token < this.starts[level + 1]; token++) {
      if (this.tokens.state[token] & CHOSEN) chosen++
    }
    const map = this.levels.find((map) => map.level === level)
    const name = document.createElement("b")
    name.textContent = `${this.h.levels[level]} · ${rows} × ${columns}`
    const share = `${chosen} of ${(rows * columns).toLocaleString("en")} cells chosen`
    map.title.replaceChildren(name, document.createElement("br"), share)
    map.canvas.setAttribute("aria-label", `Score map of ${name.textContent}: ${share}`)
  }

  // ------------------------------------------------------------------ places and cells

  placeOf(event, canvas) {
    const box = canvas.getBoundingClientRect()
    return [clamp((event.clientX - box.left) / box.width, 0, 1), clamp((event.clientY - box.top) / box.height, 0, 1)]
  }

  cell(level, [x, y]) {
    const [rows, columns] = this.h.sizes[level]
    const row = Math.min(Math.floor(y * rows), rows - 1), column = Math.min(Math.floor(x * columns), columns - 1)
    return { row, column, token: this.starts[level] + row * columns + column }
  }

  levelOf(token) {
    return this.starts.findIndex((start, level) => token >= start && token < this.starts[level + 1])
  }

  centre(token) {
    const level = this.levelOf(token), [rows, columns] = this.h.sizes[level], at = token - this.starts[level]
    return [(at % columns + 0.5) / columns, (Math.floor(at / columns) + 0.5) / rows]
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const from = this.pointer ?? this.h.place ?? this.centre(this.h.selected)
    if (event.key in KEYS) {
      const [rows, columns] = this.h.sizes[this.list[0]], step = event.shiftKey ? 5 : 1
      const [dx, dy] = KEYS[event.key]
      // To the middle of a cell, so that every step reads another one.
      const { row, column } = this.cell(this.list[0], from)
      this.pointer = [
        (clamp(column + dx * step, 0, columns - 1) + 0.5) / columns,
        (clamp(row + dy * step, 0, rows - 1) + 0.5) / rows,
      ]
      this.paint()
    } else if (event.key === "Enter" || event.key === " ") {
      const ranks = this.list.map((level) => this.tokens.ranks[this.cell(level, from).token])
      this.ask(from, this.list[ranks.indexOf(Math.min(...ranks))])
    } else if (event.key === "Escape") {
      this.pointer = null
      this.paint()
      return // the page releases the place
    } else {
      return
    }
    event.preventDefault()
    event.stopPropagation()
  }

  ask(place, level) {
    const query = this.tokens.queries[this.cell(level, place).token]
    this.send({ x: place[0], y: place[1], query: query < 0 ? null : query })
  }

  // ------------------------------------------------------------------ drawing

  layout() {
    const width = this.root.clientWidth
    if (!this.h || !width || width === this.width) return
    this.width = width
    const [imageWidth, imageHeight] = this.h.image
    const count = this.levels.length
    let across = Math.floor((width - GAP * (count - 1)) / count)
    if (count === 1) across = Math.min(across, Math.floor(TALLEST * imageWidth / imageHeight))
    const down = Math.max(40, Math.round(Math.min(across * imageHeight / imageWidth, 2 * TALLEST)))
    this.ratio = window.devicePixelRatio || 1
    for (const map of this.levels) {
      for (const canvas of [map.canvas, map.base]) {
        canvas.width = Math.round(across * this.ratio)
        canvas.height = Math.round(down * this.ratio)
      }
      map.canvas.style.width = `${across}px`
      map.canvas.style.height = `${down}px`
      this.drawBase(map, across, down)
    }
    this.paint()
  }

  drawBase({ level, base }, width, height) {
    const pen = base.getContext("2d"), { scores, state } = this.tokens, [rows, columns] = this.h.sizes[level]
    const start = this.starts[level], [low, high] = this.h.range
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0)
    pen.drawImage(this.photo, 0, 0, width, height)
    const heat = document.createElement("canvas")
    heat.width = columns
    heat.height = rows
    const pixels = new ImageData(columns, rows)
    const full = this.h.overlay[1], rgb = [1, 3, 5].map((i) => parseInt(full.slice(i, i + 2), 16))
    const most = parseInt(full.slice(7, 9), 16)
    for (let i = 0; i < rows * columns; i++) {
      const part = clamp((Math.log10(Math.max(scores[start + i], 1e-12)) - low) / (high - low), 0, 1)
      pixels.data.set([...rgb, most * part], 4 * i)
    }
    heat.getContext("2d").putImageData(pixels, 0, 0)
    pen.imageSmoothingEnabled = false
    pen.drawImage(heat, 0, 0, width, height)
    pen.imageSmoothingEnabled = true
    const dx = width / columns, dy = height / rows
    const size = clamp(Math.min(dx, dy) * 0.34, 1.7, 5.5)
    const each = (bit, draw) => {
      for (let i = 0; i < rows * columns; i++) {
        if (state[start + i] & bit) draw((i % columns + 0.5) * dx, (Math.floor(i / columns) + 0.5) * dy, start + i)
      }
    }
    each(INVALID, (x, y) => hatch(this.h, pen, x, y, dx, dy))
    each(NEAR, (x, y) => near(this.h, pen, level, x, y, size))
    each(CHOSEN, (x, y, token) => {
      if (!(state[token] & LOST)) marker(this.h, pen, level, x, y, size, this.h.colors[level], this.h.light)
    })
    each(GAINED, (x, y) => marker(this.h, pen, level, x, y, size + 0.5, this.h.comparedColor, this.h.dark))
    each(LOST, (x, y) => cross(this.h, pen, x, y, size + 0.5))
    if (this.levelOf(this.h.selected) === level) {
      const [x, y] = this.centre(this.h.selected)
      marker(this.h, pen, level, x * width, y * height, Math.max(5, size + 1.5), this.h.selectedColor, this.h.light, 1.5)
    }
  }

  paint() {
    if (!this.h || !this.width) return
    const place = this.pointer ?? this.h.place
    for (const map of this.levels) {
      const pen = map.canvas.getContext("2d")
      const width = map.canvas.width / this.ratio, height = map.canvas.height / this.ratio
      pen.setTransform(1, 0, 0, 1, 0, 0)
      pen.drawImage(map.base, 0, 0)
      pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0)
      if (this.h.place) pin(this.h, pen, this.h.place[0] * width, this.h.place[1] * height)
      if (place) this.mark(pen, map.level, place, width, height)
    }
    this.read(place)
  }

  mark(pen, level, place, width, height) {
    const [rows, columns] = this.h.sizes[level], { row, column } = this.cell(level, place)
    pen.strokeStyle = this.h.light
    pen.globalAlpha = 0.45
    pen.lineWidth = 1
    pen.beginPath()
    pen.moveTo(place[0] * width, 0); pen.lineTo(place[0] * width, height)
    pen.moveTo(0, place[1] * height); pen.lineTo(width, place[1] * height)
    pen.stroke()
    pen.globalAlpha = 1
    const box = [column * width / columns, row * height / rows, width / columns, height / rows]
    for (const [color, line] of [[this.h.light, 4], [this.h.colors[level], 2]]) {
      pen.strokeStyle = color
      pen.lineWidth = line
      pen.strokeRect(...box)
    }
  }

  // ------------------------------------------------------------------ words

  read(place) {
    const spot = place ?? this.centre(this.h.selected)
    this.lines.replaceChildren(...this.h.levels.map((_, level) => this.line(level, spot)))
    this.hint.textContent = `${this.pointer ? "Under the pointer" : this.h.place ? "At the place you asked about" :
      `At the centre of query ${this.h.query}`}, ${this.where(spot)}. ${HINT}`
  }

  where([x, y]) {
    const [width, height] = this.h.image
    return this.h.unit === "px"
      ? `(${Math.round(x * width)}, ${Math.round(y * height)}) px` : `(${x.toFixed(3)}, ${y.toFixed(3)})`
  }

  line(level, place) {
    const item = document.createElement("li")
    const sign = document.createElement("canvas")
    symbol(sign, (pen, x, y) => marker(this.h, pen, level, x, y, 4.5, this.h.colors[level], this.h.light))
    const text = document.createElement("span")
    text.textContent = this.h.levels[level] + this.facts(level, place)
    item.append(sign, text)
    return item
  }

  facts(level, place) {
    const { row, column, token } = this.cell(level, place), { scores, ranks, labels } = this.tokens
    const name = labels[token] < 0 ? "object" : this.h.classes[labels[token]]
    return ` row ${row}, column ${column} · “${name}” ${score(scores[token])} · rank ` +
      `${ranks[token].toLocaleString("en")} · ${this.fate(token)}`
  }

  fate(token) {
    const state = this.tokens.state[token], words = []
    const count = this.tokens.times[token], query = this.tokens.queries[token]
    if (count) words.push(count > 1 ? `query ${query} and ${count - 1} more` : `query ${query}`)
    else if (state & NEAR) words.push(`near miss, ${this.tokens.ranks[token] - this.h.kept} below the cut`)
    else words.push("discarded")
    if (state & GAINED) words.push("gained in the re-run")
    if (state & LOST) words.push("lost in the re-run")
    if (state & INVALID) words.push("anchor not valid")
    return words.join(", ")
  }
}
