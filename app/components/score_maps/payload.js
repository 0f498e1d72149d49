// What Python packed, see rtdetr_explained/illustrations/query_selection_payload.py.

const CHOSEN = 1, NEAR = 2, GAINED = 4, LOST = 8, INVALID = 16 // bits of a token's state
const TYPES = {
  scores: Float32Array, ranks: Uint32Array, queries: Int32Array, labels: Int16Array, times: Uint16Array,
  state: Uint8Array,
}

function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = 8 + Number(view.getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)))
  const piece = (name) => {
    const [from, length] = header.sections[name]
    return bytes.slice(start + from, start + from + length)
  }
  const tokens = {}
  for (const [name, type] of Object.entries(TYPES)) tokens[name] = new type(piece(name).buffer)
  return { header, tokens, photo: piece("photo") }
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
