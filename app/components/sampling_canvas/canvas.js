// The sampling canvas: its state, what is drawn when, and what is told to Python.

import { drawBackdrop, drawPhoto } from "./backdrop.js"
import { buildControls, startPlaying } from "./controls.js"
import { Camera, nearestPoint, nearestQuery, nextQuery } from "./geometry.js"
import { HELP, listenToKeys } from "./keyboard.js"
import { number } from "../dom.js"
import { unpack } from "../payload.js"
import { readTrace } from "./payload.js"
import { listenToPointer } from "./pointer.js"
import { drawMarks } from "./query_marks.js"
import { writeKey, writePoint, writeQueries } from "./readout.js"
import { report } from "./report.js"
import { Selection } from "./selection.js"
import { writeTable } from "./twin.js"

const LAYERS = ["photo", "backdrop", "marks"] // the canvases, from bottom to top
const POINT_REACH = 11 // pixels from which a point is taken to be meant
const DOT_REACH = 6 // the same where all points of all queries are shown
const QUERY_REACH = 40 // pixels from which another query is offered while one is pinned
const SEND_DELAY_MS = 150 // a run of key presses is told as one change
const GLIDE_MS = 350
const LEAST_HEIGHT = 240
const WIDE = 1.3 // times as wide as high: then the readout goes under the photo, or there would be a gap
const TOLD = "pinned compare layer point head level heat all shapes minWeight ghost zoom".split(" ") // of these Python knows
const VIEW_EVENT = "rtdetr-sampling-view"

class SamplingCanvas extends Selection {
  camera = new Camera()
  height = 520
  dirty = new Set()
  drawn = { points: 0, backdropPoints: 0, named: 0, outlines: [], frames: 0, loupe: [] }
  sent = 0 // changes told to Python, and how many of them it has answered
  heard = 0
  known = {} // what Python said last
  unheard = new Set() // fields that it was told of since and has not answered
  ratio = 1
  onStage = (i) => {
    const [x, y] = this.position(i)
    return [this.camera.stageX(x), this.camera.stageY(y)]
  }
  font = (px, weight = 400) => `${weight} ${px}px ${this.ink.font}`

  constructor(root) {
    super()
    this.root = root
    this.part = (name) => root.querySelector(name)
    this.stage = this.part(".stage")
    this.contexts = LAYERS.map((name) => this.part(`canvas.${name}`).getContext("2d"))
    this.part(".help").textContent = HELP
    this.part(".twin").addEventListener("toggle", () => this.writeTwin())
    listenToPointer(this.stage, this)
    listenToKeys(this.stage, this)
    this.onView = () => this.takeView()
    document.addEventListener(VIEW_EVENT, this.onView)
    this.observer = new ResizeObserver(() => this.trace && this.redraw())
    this.observer.observe(this.stage)
    Object.defineProperty(this.stage, "debug", { get: () => report(this), configurable: true })
  }

  close() {
    document.removeEventListener(VIEW_EVENT, this.onView)
    this.observer.disconnect()
    this.stopPlaying?.()
    clearTimeout(this.sending)
    cancelAnimationFrame(this.frame)
  }

  // --- Python ---------------------------------------------------------------------------------------------------------

  // Called after every run of the script that brought something new, and when the theme changed.
  async connect(component) {
    this.component = component
    const payload = unpack(component.data)
    if (payload.header.id !== this.expected) {
      this.expected = payload.header.id
      const trace = await readTrace(payload)
      if (trace.id !== this.expected) return // an even newer one has come meanwhile
      this.takeTrace(trace)
    }
    if (this.trace) this.redraw()
  }

  get settled() {
    return !this.sending && this.heard === this.sent
  }

  takeTrace(trace) {
    const { state, camera } = this
    const samePhoto = this.trace?.width === trace.width && this.trace?.height === trace.height
    this.trace = trace
    ;[camera.imageWidth, camera.imageHeight] = [trace.width, trace.height]
    if (!samePhoto) camera.reset()
    this.root.toggleAttribute("data-wide", trace.width / trace.height > WIDE)
    this.stage.toggleAttribute("data-zoomed", camera.zoom > 1)
    const best = trace.scores.indexOf(trace.scores.reduce((a, b) => Math.max(a, b)))
    Object.assign(state, { hover: null, hoverPoint: null, pinned: null, compare: null, point: null, resting: best })
    state.layer = trace.layers - 1
    if (state.head >= trace.heads) state.head = null
    this.refreshControls = buildControls(this.part(".bar"), this)
    this.root.dataset.ready = "yes"
    this.takeView()
    this.refreshControls()
    writeKey(this.part(".key"), this)
  }

  // Takes over what Python knows of the view, unless it does not know of the last change here yet.
  takeView() {
    const view = window.rtdetrSamplingViews?.[this.trace?.id]
    if (!view) return
    this.known = view
    if (view.seq >= this.sent) this.unheard.clear()
    if (view.seq < this.sent || this.sending) return
    this.sent = this.heard = view.seq
    const { seq, height, zoom, ...fields } = view
    if (this.playing) delete fields.layer
    this.height = height
    this.set(fields)
    if (this.camera.goTo(zoom)) this.moved(false)
  }

  // Tells Python soon what is selected. What it has not answered yet goes with it, because a later message may take the
  // place of an earlier one; the rest does not, because it may have been changed elsewhere on the page meanwhile.
  send() {
    clearTimeout(this.sending)
    this.sending = setTimeout(() => {
      this.sending = null
      const now = { ...this.state, zoom: this.camera.place }
      for (const name of TOLD) if (`${now[name]}` !== `${this.known[name]}`) this.unheard.add(name)
      if (!this.unheard.size) return
      if (now.layer === this.trace.layers - 1) now.layer = null // the last layer is where nothing else is chosen
      this.sent++
      const fields = Object.fromEntries([...this.unheard].map((name) => [name, now[name]]))
      this.component.setTriggerValue("select", { seq: this.sent, ...fields })
    }, SEND_DELAY_MS)
    this.part(".live").textContent = this.sentence()
    return true
  }

  // --- state ----------------------------------------------------------------------------------------------------------

  set(changes) {
    const changed = Object.keys(changes).filter((name) => this.state[name] !== changes[name])
    if (!changed.length) return
    if (changed.includes("layer")) this.startGlide()
    Object.assign(this.state, changes)
    this.invalidate("marks")
    if (changed.every((name) => name === "hover" || name === "hoverPoint")) return
    // The points under the pointer are others now, even if it rests.
    if (changed.includes("layer") && !("hoverPoint" in changes)) this.state.hoverPoint = null
    this.invalidate("backdrop")
    this.refreshControls()
    if (changed.includes("shapes")) writeKey(this.part(".key"), this)
    this.writeTwin()
  }

  // What a control says.
  choose(changes) {
    if ("layer" in changes) this.play(false)
    this.set(changes)
    this.send()
  }

  get playing() {
    return Boolean(this.stopPlaying)
  }

  // --- what the pointer and the keys do; each returns whether there was something to do ---------------------------------

  pointTo(x, y) {
    this.pointer = x === null ? null : { x, y }
    this.invalidate("pointer")
  }

  // Finds what the pointer means.
  pick() {
    this.dirty.delete("pointer")
    const { trace, camera, state, pointer } = this
    if (!pointer) return this.set({ hover: null, hoverPoint: null })
    const [x, y] = [camera.imageX(pointer.x), camera.imageY(pointer.y)]
    const nearest = nearestQuery(trace, camera, state.layer, x, y)
    let point = null
    for (const query of state.heat ? [] : [this.query, state.compare]) {
      if (query === null) continue
      const found = nearestPoint(trace, camera, x, y, ...this.pointsOf(query), this.shown, POINT_REACH)
      if (found && (!point || found.distance < point.distance)) point = found
    }
    if (point && nearest.distance < point.distance) point = null // the reference point of a query is meant
    if (!point && state.all && !state.heat) {
      point = nearestPoint(trace, camera, x, y, ...this.pointsOfLayer(), this.shown, DOT_REACH)
    }
    const query = point ? this.queryOf(point.i) : nearest.query
    const drawnAnyway = state.pinned !== null && (query === this.query || query === state.compare)
    const near = state.pinned === null || point || nearest.distance < QUERY_REACH
    this.set({ hover: near && !drawnAnyway ? query : null, hoverPoint: point ? point.i : null })
  }

  // What is pointed at, to tell whether a second tap means the same.
  get target() {
    return `${this.state.hover} ${this.state.hoverPoint}`
  }

  pin() {
    const { state } = this
    const query = state.hoverPoint !== null ? this.queryOf(state.hoverPoint) : (state.hover ?? this.query)
    const point = state.hoverPoint !== null ? state.hoverPoint % this.trace.perQuery : null
    const compare = state.compare === query ? state.pinned : state.compare // the two change places
    this.set({ pinned: query, compare, point })
    return this.send()
  }

  compare() {
    const { state } = this
    const query = state.hoverPoint !== null ? this.queryOf(state.hoverPoint) : state.hover
    const pinned = state.pinned ?? state.resting
    if (query === null || query === pinned) return true
    this.set({ pinned, compare: state.compare === query ? null : query })
    return this.send()
  }

  // Lets go of the comparison, then of the point, then of the query, as the page does.
  release() {
    const { state } = this
    const held = ["compare", "point", "pinned"].find((name) => state[name] !== null)
    if (!held) return false
    this.set({ [held]: null })
    return this.send()
  }

  walk(dx, dy) {
    const from = this.state.hover ?? this.query
    this.set({ hover: nextQuery(this.trace, this.state.layer, from, dx, dy), hoverPoint: null })
    this.part(".live").textContent = `Query ${this.state.hover}, ${this.nameOf(this.state.hover)}`
    return true
  }

  stepPoint(by) {
    const shown = this.pointsShown(this.query)
    if (!shown.length) return true
    const now = shown.indexOf(this.focus)
    const next = now < 0 ? 0 : (now + by + shown.length) % shown.length
    this.set({ point: shown[next] % this.trace.perQuery, hoverPoint: null, pinned: this.query })
    this.send()
    this.part(".live").textContent = `${this.pointName(shown[next])}, weight ${number(this.trace.weights[shown[next]], 4)}`
    return true
  }

  stepLayer(by) {
    const layer = Math.min(Math.max(this.state.layer + by, 0), this.trace.layers - 1)
    this.choose({ layer })
    return true
  }

  play(on) {
    if (on === this.playing) return true
    this.stopPlaying?.()
    this.stopPlaying = on ? startPlaying(this) : null
    if (!on) this.send()
    this.refreshControls()
    return true
  }

  zoomBy(factor, x = this.camera.width / 2, y = this.camera.height / 2) {
    this.camera.zoomAt(x, y, factor)
    return this.moved()
  }

  pan(dx, dy) {
    this.camera.pan(dx, dy)
    return this.moved()
  }

  showAll() {
    this.camera.reset()
    return this.moved()
  }

  // Zooms to the query's box and its points, those far off left aside.
  showQuery() {
    const { trace } = this
    const [cx, cy, w, h] = this.referenceBox(this.query)
    const x = [cx - w / 2, cx + w / 2]
    const y = [cy - h / 2, cy + h / 2]
    for (const i of this.pointsShown(this.query)) {
      x.push(Math.min(Math.max(trace.x[i], cx - w), cx + w))
      y.push(Math.min(Math.max(trace.y[i], cy - h), cy + h))
    }
    this.camera.frame(Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y))
    return this.moved()
  }

  moved(tell = true) {
    this.stage.toggleAttribute("data-zoomed", this.camera.zoom > 1)
    this.invalidate("photo", "backdrop", "marks")
    return tell ? this.send() : true
  }

  // --- drawing: at most once a frame, and only what changed ---------------------------------------------------------------

  invalidate(...names) {
    names.forEach((name) => this.dirty.add(name))
    this.frame ??= requestAnimationFrame(() => this.draw()) // while a frame is drawn it is set, and the rest joins in
  }

  // From one layer to the next, boxes and points glide to their new places, so that the eye can follow them.
  startGlide() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || !this.ink
    this.glide = still ? null : { from: this.state.layer, start: performance.now(), part: 0 }
  }

  moveGlide() {
    const time = Math.min((performance.now() - this.glide.start) / GLIDE_MS, 1)
    this.glide.part = 1 - (1 - time) ** 3
    if (time === 1) this.glide = null
  }

  redraw() {
    const style = getComputedStyle(this.root)
    const line = style.getPropertyValue("--st-border-color")
    this.ink = { font: style.fontFamily, muted: style.color, line }
    this.resize()
    this.invalidate("photo", "backdrop", "marks")
  }

  // The stage is as wide as its place, and no higher than the photo needs.
  resize() {
    const { camera, trace, stage } = this
    const width = stage.clientWidth
    const height = Math.round(Math.max(Math.min(this.height, (width * trace.height) / trace.width), LEAST_HEIGHT))
    this.ratio = window.devicePixelRatio || 1
    ;[camera.width, camera.height] = [width, height]
    stage.style.height = `${height}px`
    for (const { canvas } of this.contexts) {
      const [w, h] = [Math.round(width * this.ratio), Math.round(height * this.ratio)]
      if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h]
    }
  }

  draw() {
    if (this.trace && this.ink) this.drawDirty()
    this.frame = null
    if (this.glide) this.invalidate("backdrop", "marks")
  }

  drawDirty() {
    if (window.devicePixelRatio !== this.ratio) this.redraw()
    if (this.dirty.has("pointer")) this.pick()
    if (this.glide) this.moveGlide()
    const [photo, backdrop, marks] = this.contexts.map((ctx, k) => {
      if (!this.dirty.has(LAYERS[k])) return null
      ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0)
      ctx.clearRect(0, 0, this.camera.width, this.camera.height)
      return ctx
    })
    this.dirty.clear()
    if (photo) drawPhoto(photo, this.camera, this.trace)
    if (backdrop) {
      const { points, most } = drawBackdrop(backdrop, this)
      Object.assign(this.drawn, { backdropPoints: points, backdropMost: most })
    }
    if (!marks) return
    const { points, most, named, outlines } = drawMarks(marks, this)
    Object.assign(this.drawn, { points, named, outlines: [...outlines] })
    this.drawn.frames++
    this.drawn.loupe = writePoint(this.part(".facts.point"), this.part(".loupe"), this)
    writeQueries(this.part(".facts.queries"), this)
    this.writeHeatScale(most ?? this.drawn.backdropMost)
  }

  writeHeatScale(most) {
    const box = this.part(".heat-scale")
    box.hidden = !this.state.heat
    if (!this.state.heat) return
    const whose = this.state.all ? `all ${this.trace.queries} queries` : `query ${this.query}`
    box.querySelector(".title").textContent = `Weight per cell of ${this.trace.levels[0].name}, ${whose}:`
    box.querySelectorAll("b").forEach((tick, k) => (tick.textContent = k ? ((most * k * k) / 4).toPrecision(2) : "0"))
  }

  writeTwin() {
    if (this.trace && this.part(".twin").open) writeTable(this.part(".twin .scroll"), this)
  }
}

// Streamlit calls this again after every run; what it made the first time stays with the element.
export default function (component) {
  const root = component.parentElement.querySelector(".instrument")
  root.canvas ??= new SamplingCanvas(root)
  root.canvas.connect(component)
  return () => root.canvas.close()
}
