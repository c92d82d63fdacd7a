// The sample rate that the header of a file states, so that the browser decodes it at that rate: it has no function
// that says so. Formats are told by their first bytes, as names may lie.

const HEAD_BYTES = 1 << 16
const OPUS_RATE = 48000 // whatever was recorded

const ADTS_RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350]
const MPEG_RATES = { 3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000] }

/**
 * @param {Blob} file
 * @returns {Promise<{sampleRate: number, bits?: number} | null>} `bits` of a sample where the format is lossless; null
 *   for an unknown format
 */
export async function readHeader(file) {
  let head = await bytesOf(file, 0, HEAD_BYTES)
  if (ascii(head, 0, 3) === 'ID3') {
    const tags = 10 + [6, 7, 8, 9].reduce((size, at) => size * 128 + head[at], 0)
    head = await bytesOf(file, tags, HEAD_BYTES)
  }
  if (ascii(head, 0, 4) === 'fLaC') return flac(head, 8)
  if (ascii(head, 0, 4) === 'OggS') return ogg(head)
  if (ascii(head, 0, 4) === 'RIFF' && ascii(head, 8, 4) === 'WAVE') return wav(head)
  if (ascii(head, 4, 4) === 'ftyp') return mp4(file)
  if (view(head).getUint32(0) === 0x1a45dfa3) return matroska(head)
  return mpeg(head)
}

const bytesOf = async (file, start, count) => {
  const bytes = new Uint8Array(await file.slice(start, start + count).arrayBuffer())
  if (bytes.length >= 64) return bytes
  const longer = new Uint8Array(64)
  longer.set(bytes)
  return longer
}
const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const ascii = (bytes, at, count) => String.fromCharCode(...bytes.subarray(at, at + count))

// STREAMINFO: 20 bits of the rate, 3 of the channels, 5 of the bits.
function flac(bytes, at) {
  const packed = view(bytes).getUint32(at + 10)
  return { sampleRate: packed >>> 12, bits: ((packed >>> 4) & 31) + 1 }
}

// WAV of an encoding that wav.js does not read, such as mu-law.
function wav(head) {
  for (let at = 12; at + 16 <= head.length; ) {
    if (ascii(head, at, 4) === 'fmt ') return { sampleRate: view(head).getUint32(at + 12, true) }
    const size = view(head).getUint32(at + 4, true)
    at += 8 + size + (size % 2)
  }
  return null
}

function ogg(head) {
  const packet = head.subarray(27 + head[26])
  if (ascii(packet, 0, 8) === 'OpusHead') return { sampleRate: OPUS_RATE }
  if (ascii(packet, 1, 6) === 'vorbis') return { sampleRate: view(packet).getUint32(12, true) }
  if (ascii(packet, 1, 4) === 'FLAC') return flac(packet, 17)
  return null
}

// A frame of MP3 or of AAC in ADTS.
function mpeg(head) {
  for (let at = 0; at + 3 < head.length; at++) {
    if (head[at] !== 0xff || (head[at + 1] & 0xe0) !== 0xe0) continue
    const layer = (head[at + 1] >> 1) & 3
    const index = (head[at + 2] >> 2) & 3
    const sampleRate =
      layer === 0 ? ADTS_RATES[(head[at + 2] >> 2) & 15] : MPEG_RATES[(head[at + 1] >> 3) & 3]?.[index]
    if (sampleRate && (layer === 0 || head[at + 2] >> 4 !== 15)) return { sampleRate }
  }
  return null
}

// Boxes within boxes; those of the tracks lead to the description of their samples.
const MP4_PARENTS = ['moov', 'trak', 'mdia', 'minf', 'stbl']
const MP4_AUDIO = ['mp4a', 'Opus', 'fLaC', 'alac', 'ac-3', 'ec-3', '.mp3', 'sowt', 'twos', 'lpcm', 'in24', 'fl32']
const ENTRY_BYTES = 64

async function mp4(file, start = 0, end = file.size) {
  for (let at = start; at + 8 <= end; ) {
    const box = await bytesOf(file, at, ENTRY_BYTES)
    const name = ascii(box, 4, 4)
    const short = view(box).getUint32(0)
    const size = short === 1 ? Number(view(box).getBigUint64(8)) : short || end - at
    if (size < 8) return null
    if (name === 'stsd') {
      if (MP4_AUDIO.includes(ascii(box, 20, 4))) return { sampleRate: view(box).getUint16(48) }
    } else if (MP4_PARENTS.includes(name)) {
      const found = await mp4(file, at + (short === 1 ? 16 : 8), Math.min(at + size, end))
      if (found) return found
    }
    at += size
  }
  return null
}

// Elements of EBML: an identifier and a size of variable length; Segment, Tracks, TrackEntry and Audio hold the rate.
const MATROSKA_PARENTS = [0x18538067, 0x1654ae6b, 0xae, 0xe1]
const SAMPLING_FREQUENCY = 0xb5
const CLUSTER = 0x1f43b675

function matroska(bytes) {
  let found = null
  const walk = (at, end) => {
    while (at < end && !found) {
      const idBytes = Math.clz32(bytes[at]) - 23
      let id = 0
      for (let i = 0; i < idBytes; i++) id = id * 256 + bytes[at + i]
      at += idBytes
      const sizeBytes = Math.clz32(bytes[at]) - 23
      let size = bytes[at] & (0xff >> sizeBytes)
      for (let i = 1; i < sizeBytes; i++) size = size * 256 + bytes[at + i]
      at += sizeBytes
      if (id === CLUSTER) return
      const data = view(bytes)
      if (id === SAMPLING_FREQUENCY) found = { sampleRate: size === 8 ? data.getFloat64(at) : data.getFloat32(at) }
      else if (MATROSKA_PARENTS.includes(id)) walk(at, Math.min(at + size, end))
      at += size
    }
  }
  walk(0, bytes.length - 12)
  return found
}
