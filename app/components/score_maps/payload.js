// What payload.py sends.

import { unpack } from "../payload.js"

export const CHOSEN = 1, NEAR = 2, GAINED = 4, LOST = 8, INVALID = 16 // bits of a token's state
const TYPES = {
  scores: Float32Array, ranks: Uint32Array, queries: Int32Array, labels: Int16Array, times: Uint16Array,
  state: Uint8Array,
}

export function readMaps(bytes) {
  const { header, section } = unpack(bytes)
  const tokens = {}
  for (const [name, type] of Object.entries(TYPES)) tokens[name] = new type(section(name).buffer)
  return { header, tokens, photo: section("photo") }
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
