// What is looked at, and what can be said about it: the state of the canvas, its points and queries in numbers and words.

import { number } from "../dom.js"
import { heatMap } from "./heat.js"

export const MOST_NAMED = 30 // detections with words; where there are more, the words alone would hide the photo
const HEAD_MARKERS = ["circle", "square", "diamond", "triangle"]

export class Selection {
  // Queries and heads count from 0, layers too. `point` counts the points of a query; `hoverPoint` those of the trace.
  state = {
    pinned: null, compare: null, point: null, layer: 0, head: null, level: null, // known to Python, as is the next line
    minWeight: 0, heat: false, all: false, ghost: true, shapes: "level",
    threshold: 0.5, unit: "px", resting: 0, hover: null, hoverPoint: null,
  } // prettier-ignore
  trace = null
  glide = null // while boxes and points move from their places in another layer: { from, start, part }

  // The query whose points are drawn: the pinned one, else the one pointed at, else the best.
  get query() {
    return this.state.pinned ?? this.state.hover ?? this.state.resting
  }

  // The detections on the stage, best first.
  get found() {
    const { trace, camera, state } = this
    const seen = (query) => camera.sees(trace.boxes.subarray(4 * query, 4 * query + 4))
    const found = [...trace.scores.keys()].filter((query) => trace.scores[query] > state.threshold && seen(query))
    return found.sort((a, b) => trace.scores[b] - trace.scores[a])
  }

  // The query that stays when the pointer has left.
  get selected() {
    return this.state.pinned ?? this.state.resting
  }

  // The point that is looked at: under the pointer, else the chosen one.
  get focus() {
    const { hoverPoint, point } = this.state
    if (hoverPoint !== null) return hoverPoint
    const chosen = point === null ? null : this.pointsOf(this.query)[0] + point
    return chosen !== null && this.shown(chosen) ? chosen : null
  }

  get heaviest() {
    return this.pointsShown(this.query)[0] ?? null
  }

  // The reference box of a query in this layer, cxcywh.
  referenceBox = (query) => {
    const of = (layer) => this.trace.referenceBoxes.subarray(4 * (layer * this.trace.queries + query)).subarray(0, 4)
    const box = of(this.state.layer)
    return this.glide ? of(this.glide.from).map((before, k) => before + this.glide.part * (box[k] - before)) : box
  }

  // Where a point lies.
  position = (i) => {
    const { x, y, queries, perQuery } = this.trace
    if (!this.glide) return [x[i], y[i]]
    const before = i + (this.glide.from - this.state.layer) * queries * perQuery
    const { part } = this.glide
    return [x[before] + part * (x[i] - x[before]), y[before] + part * (y[i] - y[before])]
  }

  // The points of a query, or of the layer, as first ≤ i < last; arrow functions are handed on.
  pointsOf = (query) => {
    const first = (this.state.layer * this.trace.queries + query) * this.trace.perQuery
    return [first, first + this.trace.perQuery]
  }
  pointsOfLayer = () => {
    const count = this.trace.queries * this.trace.perQuery
    return [this.state.layer * count, (this.state.layer + 1) * count]
  }
  headOf = (i) => Math.floor((i % this.trace.perQuery) / this.trace.perHead)
  queryOf = (i) => Math.floor(i / this.trace.perQuery) % this.trace.queries
  // The shape of a point: that of its level, or of the group of heads it belongs to; its colour is always the level's.
  outlineOf = (i) => {
    if (this.state.shapes === "level") return this.trace.levels[this.trace.levelOf[i % this.trace.perHead]].marker
    return HEAD_MARKERS[Math.floor(this.headOf(i) / this.headsPerShape)]
  }

  get headsPerShape() {
    return Math.ceil(this.trace.heads / HEAD_MARKERS.length)
  }

  // The heads in as many groups as there are shapes, each from its `first` head to its `last`.
  get headGroups() {
    const [heads, size] = [this.trace.heads, this.headsPerShape]
    const groups = HEAD_MARKERS.map((marker, k) => ({ marker, first: k * size, last: Math.min((k + 1) * size, heads) - 1 }))
    return groups.filter(({ first, last }) => first <= last)
  }

  headShown = (head) => this.state.head === null || this.state.head === head
  ofHeadAndLevel = (i) => {
    const { level } = this.state
    return this.headShown(this.headOf(i)) && (level === null || this.trace.levelOf[i % this.trace.perHead] === level)
  }
  // Weights are float32, and so must be what they are compared with.
  shown = (i) => this.ofHeadAndLevel(i) && this.trace.weights[i] >= Math.fround(this.state.minWeight)

  // The points of a query that pass a filter, the heaviest first; of equal ones the first.
  byWeight(query, filter) {
    const [first, last] = this.pointsOf(query)
    const points = []
    for (let i = first; i < last; i++) if (filter(i)) points.push(i)
    return points.sort((a, b) => this.trace.weights[b] - this.trace.weights[a] || a - b)
  }

  pointsShown(query) {
    return this.byWeight(query, this.shown)
  }

  // The heat map of the points shown from first to last; kept, because zooming draws it again and again.
  heatOf(first, last) {
    const { head, level, minWeight } = this.state
    const key = [this.trace.id, first, last, head, level, minWeight].join()
    if (this.heat?.key !== key) this.heat = { key, ...heatMap(this.trace, first, last, this.shown) }
    return this.heat
  }

  // The share of each level in the weight of a query's points that pass the filters.
  shares(query) {
    const sums = this.trace.levels.map(() => 0)
    for (const i of this.pointsShown(query)) sums[this.trace.levelOf[i % this.trace.perHead]] += this.trace.weights[i]
    const total = sums.reduce((a, b) => a + b, 0)
    return sums.map((sum) => (total ? sum / total : 0))
  }

  rankOf(i) {
    const points = this.byWeight(this.queryOf(i), this.ofHeadAndLevel)
    return `number ${points.indexOf(i) + 1} of ${points.length} by weight`
  }

  nameOf(query) {
    return `${this.trace.classNames[this.trace.labels[query]]} ${number(this.trace.scores[query], 2)}`
  }

  pointName(i) {
    const p = i % this.trace.perHead
    return `head ${this.headOf(i)} · ${this.trace.levels[this.trace.levelOf[p]].name} · point ${this.trace.pointOf[p]}`
  }

  coordinates(i) {
    const { x, y, width, height } = this.trace
    if (this.state.unit === "image") return [number(x[i], 3), number(y[i], 3)]
    return [number(x[i] * width, 0), number(y[i] * height, 0)]
  }

  placeOf(i) {
    const { x, y } = this.trace
    const outside = x[i] < 0 || x[i] > 1 || y[i] < 0 || y[i] > 1
    const unit = this.state.unit === "image" ? "" : " px"
    return `${this.coordinates(i).join(", ")}${unit}${outside ? ", outside the photo" : ""}`
  }

  sentence() {
    const { trace, state } = this
    const query = this.selected
    const all = this.shares(query).map((share, level) => `${trace.levels[level].name} ${number(share, 2)}`)
    const shares = state.level === null ? all : [all[state.level]]
    const compared = state.compare === null ? "" : ` Compared with query ${state.compare}, ${this.nameOf(state.compare)}.`
    return (
      `Query ${query}, ${this.nameOf(query)}, ${state.pinned === null ? "not pinned" : "pinned"}, in layer ` +
      `${state.layer + 1} of ${trace.layers}: ${this.pointsShown(query).length} points, shares of their weight ` +
      `${shares.join(", ")}.${compared}`
    )
  }
}
