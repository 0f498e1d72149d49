// Reads what payload.py sends.

// Returns what the canvas draws from. Arrays are flat: a point has the index ((layer · Q + query) · N + n), where
// n = head · P + p counts the N points of a query and p the P points of a head, level by level. Positions are in 0..1 of
// the image.
export async function readTrace({ header, section }) {
  const jpeg = new Blob([section("photo")], { type: "image/jpeg" })
  const packed = new Blob([section("arrays")])
  const [bitmap, stream] = await Promise.all([
    createImageBitmap(jpeg),
    new Response(packed.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer(),
  ])
  const array = (name) => readArray(stream, header.arrays[name])
  const [layers, queries, heads, perHead] = header.arrays.weights.shape
  const [width, height] = header.image_size
  const trace = {
    id: header.id,
    photo: softPhoto(bitmap, header.colors.halo),
    width,
    height,
    layers,
    queries,
    heads,
    perHead,
    perQuery: heads * perHead,
    levels: header.levels,
    levelOf: Uint8Array.from(header.num_points.flatMap((count, level) => Array(count).fill(level))),
    pointOf: Uint8Array.from(header.num_points.flatMap((count) => [...Array(count).keys()])),
    scaleOf: Float32Array.from(header.num_points.flatMap((count) => Array(count).fill(1 / count))),
    classNames: header.class_names,
    discrete: header.discrete,
    colors: header.colors,
    offsetScale: header.offset_scale,
    directions: header.untrained_directions,
    referenceBoxes: array("reference_boxes"),
    boxes: array("boxes"),
    scores: array("scores"),
    labels: array("labels"),
    offsets: Float32Array.from(array("offsets"), (steps) => steps * header.offset_step),
    weights: Float32Array.from(array("weights"), (steps) => steps * header.weight_step),
  }
  placePoints(trace)
  return trace
}

function readArray(stream, { start, type, shape }) {
  const count = shape.reduce((product, size) => product * size, 1)
  if (type === "f4") return new Float32Array(stream, start, count)
  // All low bytes come first, then all high bytes.
  const low = new Uint8Array(stream, start, count)
  const high = new Uint8Array(stream, start + count, count)
  const values = type === "i2" ? new Int16Array(count) : new Uint16Array(count)
  for (let i = 0; i < count; i++) values[i] = low[i] | (high[i] << 8)
  return values
}

// location = reference + offset × scale × box size × 0.5, as in the model.
function placePoints(trace) {
  const { perQuery, perHead, referenceBoxes, offsets, scaleOf, offsetScale } = trace
  const count = trace.weights.length
  trace.x = new Float32Array(count)
  trace.y = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const box = 4 * Math.floor(i / perQuery)
    const reach = scaleOf[i % perHead] * offsetScale
    trace.x[i] = referenceBoxes[box] + offsets[2 * i] * reach * referenceBoxes[box + 2]
    trace.y[i] = referenceBoxes[box + 1] + offsets[2 * i + 1] * reach * referenceBoxes[box + 3]
  }
}

// The photo paler in colour and a little darkened, so that the colours of marks stand out and have one meaning.
function softPhoto(bitmap, shade) {
  const photo = document.createElement("canvas")
  photo.width = bitmap.width
  photo.height = bitmap.height
  const ctx = photo.getContext("2d")
  ctx.drawImage(bitmap, 0, 0)
  ctx.globalCompositeOperation = "saturation"
  ctx.globalAlpha = 0.6 // not all grey: in some photos an object differs from its ground by its colour alone
  ctx.fillStyle = "#808080"
  ctx.fillRect(0, 0, photo.width, photo.height)
  ctx.globalCompositeOperation = "source-over"
  ctx.globalAlpha = 0.25
  ctx.fillStyle = shade
  ctx.fillRect(0, 0, photo.width, photo.height)
  return photo
}
