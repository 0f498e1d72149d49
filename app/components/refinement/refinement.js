// The decoder in motion. Python sends the boxes of all queries after every layer, once; all that moves is moved here.
// A position p counts layers: 2 is the state after layer 2, and 2.5 lies half way to that after layer 3. Only whole
// positions were computed by the model; between them the boxes glide, so that the eye can follow.

import { element } from "../dom.js"
import { unpack } from "../payload.js"
import { boxAt, createView, isFound, mostAttended, node } from "./view.js"

const LISTEN_MS = 650 // of a layer's turn, for its self-attention
const MOVE_MS = 850 // for its correction of the boxes
const GLIDE_MS = 380 // a layer, on the way to a layer that was asked for
const REACH_PX = 11 // how near to a reference point the pointer must be
const players = new WeakMap()

export default function (component) {
  const { parentElement, data, setTriggerValue } = component
  if (!players.has(parentElement)) players.set(parentElement, createPlayer(parentElement))
  const player = players.get(parentElement)
  player.send = (choice) => setTriggerValue("pick", choice)
  player.receive(read(data))
  return () => {
    player.leave()
    players.delete(parentElement)
  }
}

function read(data) {
  const { header, section, floats } = unpack(data)
  return { ...header, boxes: floats("boxes"), scores: floats("scores"), attention: floats("attention"), photo: section("photo") }
}

function createPlayer(root) {
  const find = (selector) => root.querySelector(selector)
  const [photo, close, chart] = [find(".photo"), find(".close"), find(".scores")]
  const [button, scrub, ticks, tip] = [find(".play"), find(".scrub"), find(".ticks"), find(".tip")]
  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches
  let model = null
  let views = []
  let p = 0
  let listening = null // the layer whose self-attention is on the screen, and how far it has faded in
  let frame = 0 // of the running animation, 0 when at rest
  let hovered = null
  let url = ""

  // ------------------------------------------------------------------ data

  function receive(next) {
    const first = model === null || model.query !== next.query || !same(model.photo, next.photo) || model.layers !== next.layers
    const moved = model !== null && model.step !== next.step
    if (model === null || !same(model.photo, next.photo)) {
      URL.revokeObjectURL(url)
      url = URL.createObjectURL(new Blob([next.photo], { type: "image/jpeg" }))
    }
    model = next
    hovered = null
    tip.hidden = true
    scrub.max = model.layers
    ticks.replaceChildren(...steps().map((name) => element("span", {}, name)))
    views = [createView(photo, model, url, false), createView(close, model, url, true)]
    drawChart()
    if (first && still()) rest(model.step)
    else if (first) glide(0, model.step)
    else if (moved) glide(p, model.step)
    else draw()
  }

  const steps = () => ["first", ...Array.from({ length: model.layers }, (_, i) => `${i + 1}`)]

  // ------------------------------------------------------------------ time

  function stop() {
    cancelAnimationFrame(frame)
    frame = 0
    listening = null
    button.textContent = "Play"
  }

  function rest(step) {
    stop()
    p = step
    draw()
    find(".live").textContent = sentences().join(" ")
  }

  function glide(from, to) {
    stop()
    if (from === to || still()) return rest(to)
    const start = performance.now()
    const way = Math.abs(to - from)
    const tick = (now) => {
      const done = Math.min(Math.max(now - start, 0) / (GLIDE_MS * way), 1)
      if (done === 1) return rest(to)
      p = from + (to - from) * done
      draw()
      frame = requestAnimationFrame(tick)
    }
    p = from
    draw()
    frame = requestAnimationFrame(tick)
  }

  function play() {
    stop()
    let layer = p >= model.layers ? 0 : Math.floor(p)
    let start = performance.now()
    button.textContent = "Pause"
    const tick = (now) => {
      const elapsed = Math.max(now - start, 0)
      if (elapsed < LISTEN_MS) {
        p = layer
        listening = { layer, strength: elapsed / LISTEN_MS }
      } else {
        const done = Math.min((elapsed - LISTEN_MS) / MOVE_MS, 1)
        listening = null
        p = still() ? layer + (done < 1 ? 0 : 1) : layer + done
        if (done === 1) {
          layer += 1
          start = now
          if (layer === model.layers) {
            rest(layer)
            return commit()
          }
        }
      }
      draw()
      frame = requestAnimationFrame(tick)
    }
    frame = requestAnimationFrame(tick)
  }

  function commit() {
    if (p > 0 && p !== model.step) send({ layer: p - 1 })
  }

  const send = (choice) => player.send(choice)

  // ------------------------------------------------------------------ drawing

  function draw() {
    const shown = { p, listening, hovered, links: find(".links").checked, all: find(".all").checked }
    for (const view of views) view.draw(shown)
    drawCursor()
    const at = Math.round(p)
    if (document.activeElement !== scrub || frame) scrub.value = at
    scrub.setAttribute("aria-valuetext", at === 0 ? "first boxes" : `after layer ${at}`)
    ;[...ticks.children].forEach((tick, i) => tick.classList.toggle("now", i === at))
    root.querySelector(".player").dataset.position = p.toFixed(3)
    const words = sentences()
    find(".words").replaceChildren(
      ...words.map((sentence, i) => {
        const key = element("span", { class: i === 2 ? "key second" : "key" })
        key.style.borderColor = i === 0 ? "transparent" : i === 1 ? model.colors.selected : model.colors.compared
        const line = element("div")
        line.append(key, element("span", {}, sentence))
        return line
      }),
    )
  }

  function sentences() {
    const at = Math.round(p)
    const now = listening
      ? `Layer ${listening.layer + 1} of ${model.layers}: query ${model.query} listens to the others (${model.heads}).`
      : p !== at
        ? `Layer ${Math.floor(p) + 1} of ${model.layers}: the boxes are corrected.`
        : at === 0
          ? "Before the first layer: the boxes that query selection proposes."
          : `After layer ${at} of ${model.layers}. Query ${model.query} gave most attention to ${mostHeard(at - 1)} (${model.heads}).`
    const count = model.duplicates.length
    const shared = count ? ` · ${count} other ${count === 1 ? "query ends" : "queries end"} on this object` : ""
    return [now, ...model.chosen.map((who, i) => sentenceOf(who, at) + (i === 0 ? shared : ""))]
  }

  function mostHeard(layer) {
    const words = mostAttended(model, layer).slice(0, 2).map((q) => {
      const percent = (100 * model.attention[layer * model.queries + q]).toFixed(1)
      return `query ${q} ${model.duplicates.includes(q) ? "on the same object " : ""}(${percent}%)`
    })
    return words.join(" and ") || "no other query"
  }

  function sentenceOf(who, step) {
    const score = `${who.bestNames[step]} ${who.best[step].toFixed(2)}${model.derived[step] ? " (derived)" : ""}`
    if (step === 0) return `Query ${who.query}: ${score}`
    const moved = who.moved[step - 1]
    return `Query ${who.query}: ${score}, centre moved ${lengthOf(moved)}, size × ${who.growth[step - 1].toFixed(2)}`
  }

  const lengthOf = (moved) =>
    model.unit === "px" ? `${moved.toFixed(moved < 10 ? 1 : 0)} px` : `${moved.toFixed(3)} of the photo`

  // ------------------------------------------------------------------ scores by step

  const box = { left: 30, right: 252, top: 24, bottom: 140 }
  const chartX = (step) => box.left + 8 + ((box.right - box.left - 8) * step) / model.layers
  const chartY = (score) => box.bottom - (box.bottom - box.top) * score

  function drawChart() {
    chart.replaceChildren()
    const add = (name, attributes, text) => chart.appendChild(node(name, attributes, text))
    const name = model.names[model.labels[model.query]]
    const short = name.length > 18 ? `${name.slice(0, 17)}…` : name
    add("text", { x: 0, y: 11, "font-size": 12, "font-weight": 700 }, `Score of “${short}”`)
    add("text", { x: 280, y: 11, "font-size": 11, opacity: 0.7, "text-anchor": "end" }, "hollow: derived")
    for (const value of [0, 0.5, 1]) {
      const y = chartY(value)
      add("line", { x1: box.left, x2: box.right + 4, y1: y, y2: y, class: "grid" })
      add("text", { x: box.left - 6, y: y + 4, "font-size": 11, "text-anchor": "end", opacity: 0.75 }, `${value}`)
    }
    const limit = chartY(model.threshold)
    add("line", { x1: box.left, x2: box.right + 4, y1: limit, y2: limit, class: "limit", "stroke-dasharray": "2 3" })
    steps().forEach((label, step) => {
      add("text", { x: chartX(step), y: box.bottom + 15, "font-size": 11, "text-anchor": "middle", opacity: 0.75 }, label)
    })
    add("line", { class: "cursor", y1: box.top - 4, y2: box.bottom })
    add("polyline", { class: "hovered", fill: "none", "stroke-width": 1.5 })
    ;[...model.chosen].reverse().forEach((who) => {
      const selected = who.query === model.query
      const color = selected ? model.colors.selected : model.colors.compared
      const values = curve(who.query)
      const dash = selected ? "none" : "6 3"
      add("polyline", { points: pointsOf(values), fill: "none", stroke: color, "stroke-width": 2, "stroke-dasharray": dash })
      values.forEach((value, step) => {
        const look = { stroke: color, "stroke-width": 2, class: model.derived[step] ? "hollow" : "" }
        add("circle", { cx: chartX(step), cy: chartY(value), r: 4, ...look, ...(model.derived[step] ? {} : { fill: color }) })
      })
    })
    const ends = model.chosen.map((who) => chartY(curve(who.query)[model.layers]))
    if (ends.length === 2 && Math.abs(ends[0] - ends[1]) < 13) {
      const [above, below] = ends[0] <= ends[1] ? [0, 1] : [1, 0]
      ends[below] = ends[above] + 13
    }
    model.chosen.forEach((who, i) => {
      const text = curve(who.query)[model.layers].toFixed(2)
      add("text", { x: box.right + 8, y: ends[i] + 4, "font-size": 11, "font-weight": i === 0 ? 700 : 400 }, text)
    })
    for (const line of chart.querySelectorAll(".grid, .cursor")) line.style.stroke = "var(--st-border-color)"
    for (const line of chart.querySelectorAll(".limit, .hovered")) line.style.stroke = "var(--st-text-color)"
    for (const circle of chart.querySelectorAll(".hollow")) circle.style.fill = "var(--st-background-color)"
    chart.querySelector(".cursor").style.strokeWidth = "7px"
  }

  const curve = (query) => Array.from({ length: model.layers + 1 }, (_, i) => model.scores[i * model.queries + query])
  const pointsOf = (values) => values.map((value, step) => `${chartX(step)},${chartY(value)}`).join(" ")

  function drawCursor() {
    const cursor = chart.querySelector(".cursor")
    cursor.setAttribute("x1", chartX(p))
    cursor.setAttribute("x2", chartX(p))
    const other = hovered !== null && hovered !== model.query && hovered !== model.compare
    chart.querySelector(".hovered").setAttribute("points", other ? pointsOf(curve(hovered)) : "")
  }

  chart.addEventListener("click", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse())
    const step = Math.round(((at.x - box.left - 8) / (box.right - box.left - 8)) * model.layers)
    rest(Math.min(Math.max(step, 0), model.layers))
    commit()
  })

  // ------------------------------------------------------------------ pointer

  // The queries under the pointer: those with a reference point close by, nearest first; else those whose box is drawn
  // around it, smallest first.
  function under(event) {
    const matrix = photo.getScreenCTM()
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse())
    const all = find(".all").checked
    const [near, inside] = [[], []]
    for (let q = 0; q < model.queries; q++) {
      const [x0, y0, x1, y1] = boxAt(model, q, p)
      const distance = Math.hypot((x0 + x1) / 2 - at.x, (y0 + y1) / 2 - at.y) * matrix.a
      if (distance <= REACH_PX) near.push([distance, q])
      const drawn = all || q === model.query || q === model.compare || isFound(model, q)
      if (drawn && at.x >= x0 && at.x <= x1 && at.y >= y0 && at.y <= y1) inside.push([(x1 - x0) * (y1 - y0), q])
    }
    return (near.length ? near : inside).sort((a, b) => a[0] - b[0]).map(([, q]) => q)
  }

  photo.addEventListener("pointermove", (event) => {
    const [query] = event.pointerType === "touch" ? [] : under(event)
    hovered = query ?? null
    photo.classList.toggle("over", hovered !== null)
    tip.hidden = hovered === null
    if (hovered !== null) {
      const step = Math.round(p)
      const layer = Math.max(Math.ceil(p), 1) - 1
      const share = model.attention[layer * model.queries + hovered]
      const score = model.scores[step * model.queries + hovered].toFixed(2)
      const lines = [`query ${hovered} · ${model.names[model.labels[hovered]]} ${score}${model.derived[step] ? " (derived)" : ""}`]
      lines.push(`${(100 * share).toFixed(1)}% of query ${model.query}’s attention in layer ${layer + 1}`)
      if (model.duplicates.includes(hovered)) lines.push(`ends on the same object as query ${model.query}`)
      tip.replaceChildren(...lines.map((line) => element("div", {}, line)))
      const frameBox = photo.parentElement.getBoundingClientRect()
      const x = event.clientX - frameBox.left
      const y = event.clientY - frameBox.top
      tip.style.left = x > frameBox.width / 2 ? "auto" : `${x + 14}px`
      tip.style.right = x > frameBox.width / 2 ? `${frameBox.width - x + 14}px` : "auto"
      tip.style.top = `${Math.max(y - 20, 0)}px`
    }
    if (!frame) draw()
  })
  photo.addEventListener("pointerleave", () => {
    hovered = null
    tip.hidden = true
    if (!frame) draw()
  })
  photo.addEventListener("click", (event) => {
    const found = under(event)
    if (!found.length) return
    const shift = event.shiftKey
    const current = shift ? model.compare : model.query
    const others = shift ? found.filter((q) => q !== model.query) : found
    if (!others.length) return
    const next = others[(others.indexOf(current) + 1) % others.length] // clicking again goes on to the one below
    if (shift) send({ compare: next === current ? null : next })
    else if (next !== current) send(next === model.compare ? { query: next, compare: null } : { query: next })
  })

  // ------------------------------------------------------------------ controls

  button.addEventListener("click", () => {
    if (button.textContent === "Play") return play()
    rest(Math.round(p))
    commit()
  })
  scrub.addEventListener("input", () => rest(Number(scrub.value)))
  scrub.addEventListener("change", commit)
  for (const box of root.querySelectorAll("input[type=checkbox]")) box.addEventListener("change", draw)
  // The page has shortcuts of its own on these keys.
  root.querySelector(".player").addEventListener("keydown", (event) => {
    if (event.key.startsWith("Arrow") || event.key === " " || event.key === "Enter") event.stopPropagation()
  })
  const observer = new ResizeObserver(() => model && draw())
  observer.observe(photo)

  function leave() {
    stop()
    observer.disconnect()
    URL.revokeObjectURL(url)
  }

  const player = { receive, leave, send: () => {} }
  return player
}

const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i])
