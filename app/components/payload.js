// Reads the bytes that payload.py packs: the header, and a copy of a section's bytes by its name.

export function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = 8 + Number(view.getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)))
  const section = (name) => {
    const [from, length] = header.sections[name]
    return bytes.slice(start + from, start + from + length)
  }
  return { header, section, floats: (name) => new Float32Array(section(name).buffer) }
}
