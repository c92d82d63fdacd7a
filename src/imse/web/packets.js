// The packets of long files, MP4 and MP3, which a browser would decode as a whole otherwise: for AudioDecoder, one by
// one, with what encoders added at both ends.

const READ_BYTES = 1 << 20
const MOST_TABLE_BYTES = 1 << 28

/**
 * @typedef {object} Packets
 * @property {AudioDecoderConfig} config
 * @property {number} startSeconds to be cut off the beginning of what is decoded
 * @property {number} seconds that are left then
 * @property {() => AsyncGenerator<Uint8Array>} read
 */

/**
 * @param {Blob} file
 * @returns {Promise<Packets | null>} null for other files
 */
export async function openPackets(file) {
  return (await openMp4(file)) ?? (await openMp3(file))
}

const bytesOf = async (file, start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer())
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const ascii = (view, at) => String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)))

// ---- MP4: ISO/IEC 14496-12 ----

async function openMp4(file) {
  const movie = await movieBox(file)
  if (!movie) return null
  const view = viewOf(movie)
  const find = (start, end, ...path) => {
    const [name, ...rest] = path
    for (const box of boxes(view, start, end)) {
      if (box.name !== name) continue
      const found = rest.length ? find(box.start, box.end, ...rest) : box
      if (found) return found
    }
    return null
  }
  for (const { name, start, end } of boxes(view, 0, movie.length)) {
    if (name !== 'trak') continue
    const table = (...path) => find(start, end, ...path)
    const sample = table('mdia', 'minf', 'stbl', 'stsd')
    if (!sample || ascii(view, sample.start + 12) !== 'mp4a') continue
    const config = aacConfig(movie.subarray(sample.start, sample.end), view.getUint16(sample.start + 32))
    const ranges = sampleRanges(view, (box) => table('mdia', 'minf', 'stbl', box))
    if (!config || !ranges) return null
    const times = mediaTimes(view, find(0, movie.length, 'mvhd'), table('mdia', 'mdhd'), table('edts', 'elst'))
    return { config, ...times, read: () => readRanges(file, ranges) }
  }
  return null
}

async function movieBox(file) {
  for (let at = 0; at + 16 <= file.size; ) {
    const view = viewOf(await bytesOf(file, at, at + 16))
    const name = ascii(view, 4)
    if (at === 0 && name !== 'ftyp') return null
    const [head, size] = boxSize(view, 0, file.size - at)
    if (size < head) return null
    if (name === 'moov') return size > MOST_TABLE_BYTES ? null : bytesOf(file, at + head, at + size)
    at += size
  }
  return null
}

// Bytes of a box's head and of all of it.
function boxSize(view, at, rest) {
  const size = view.getUint32(at)
  return size === 1 ? [16, Number(view.getBigUint64(at + 8))] : [8, size || rest]
}

function* boxes(view, start, end) {
  for (let at = start; at + 8 <= end; ) {
    const [head, size] = boxSize(view, at, end - at)
    if (size < head || at + size > end) return
    yield { name: ascii(view, at + 4), start: at + head, end: at + size }
    at += size
  }
}

// The decoder's configuration (ISO/IEC 14496-1 and -3) in the descriptors of an `esds` box; null for what is not AAC.
function aacConfig(entry, numberOfChannels) {
  const view = viewOf(entry)
  let at = 0
  while (at + 4 <= entry.length && ascii(view, at) !== 'esds') at++
  at += 8
  const descriptor = (tag) => {
    if (entry[at++] !== tag) return 0
    let size = 0
    do size = size * 128 + (entry[at] & 127)
    while (entry[at++] & 128)
    return size
  }
  if (!descriptor(3)) return null
  at += 3
  if (!descriptor(4) || entry[at] !== 0x40) return null
  at += 13
  const size = descriptor(5)
  if (!size) return null
  const description = entry.slice(at, at + size)
  return { codec: `mp4a.40.${description[0] >> 3}`, description, numberOfChannels, sampleRate: view.getUint16(40) }
}

// Where the packets are: [start, sizes of packets one after the other]; null for files in fragments.
function sampleRanges(view, box) {
  const [sizes, chunks, offsets, longOffsets] = ['stsz', 'stsc', 'stco', 'co64'].map(box)
  if (!sizes || !chunks || !(offsets ?? longOffsets)) return null
  const fixed = view.getUint32(sizes.start + 4)
  const count = view.getUint32(sizes.start + 8)
  const ranges = []
  let sample = 0
  const runs = view.getUint32(chunks.start + 4)
  const all = view.getUint32((offsets ?? longOffsets).start + 4)
  for (let run = 0; run < runs; run++) {
    const at = chunks.start + 8 + 12 * run
    const last = run + 1 < runs ? view.getUint32(at + 12) - 1 : all
    for (let chunk = view.getUint32(at) - 1; chunk < last; chunk++) {
      const start = offsets
        ? view.getUint32(offsets.start + 8 + 4 * chunk)
        : Number(view.getBigUint64(longOffsets.start + 8 + 8 * chunk))
      const inside = Math.min(view.getUint32(at + 4), count - sample)
      ranges.push([start, Array.from({ length: inside }, (_, i) => fixed || view.getUint32(sizes.start + 12 + 4 * (sample + i)))])
      sample += inside
    }
  }
  return sample ? ranges : null
}

// The edit list says where the sound begins, after what the encoder put before it.
function mediaTimes(view, movieHeader, mediaHeader, edits) {
  const header = ({ start }) => {
    const long = view.getUint8(start) === 1
    const at = start + (long ? 20 : 12)
    return [view.getUint32(at), long ? Number(view.getBigUint64(at + 4)) : view.getUint32(at + 4)]
  }
  const [scale, duration] = header(mediaHeader)
  const [movieScale] = header(movieHeader)
  let [start, end] = [0, duration / scale]
  if (edits) {
    const long = view.getUint8(edits.start) === 1
    for (let i = 0; i < view.getUint32(edits.start + 4); i++) {
      const at = edits.start + 8 + (long ? 20 : 12) * i
      const length = long ? Number(view.getBigUint64(at)) : view.getUint32(at)
      const from = long ? Number(view.getBigInt64(at + 8)) : view.getInt32(at + 4)
      if (from < 0) continue // a pause
      start = from / scale
      if (length) end = Math.min(end, start + (length + 1) / movieScale) // its clock is coarse
      break
    }
  }
  return { startSeconds: start, seconds: Math.max(0, end - start) }
}

async function* readRanges(file, ranges) {
  for (const [start, sizes] of ranges) {
    const bytes = await bytesOf(file, start, start + sizes.reduce((sum, size) => sum + size, 0))
    let at = 0
    for (const size of sizes) yield bytes.subarray(at, (at += size))
  }
}

// ---- MP3: ISO/IEC 11172-3 ----

const BITRATES = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const HALF_BITRATES = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
const RATES = [44100, 48000, 32000]
const DECODER_DELAY = 529 // samples

// Layer III alone.
function frameAt(bytes, at) {
  if (at + 4 > bytes.length || bytes[at] !== 0xff || (bytes[at + 1] & 0xe6) !== 0xe2) return null
  const version = (bytes[at + 1] >> 3) & 3 // 3 is MPEG-1, 2 and 0 have lower rates
  const bitrate = (version === 3 ? BITRATES : HALF_BITRATES)[bytes[at + 2] >> 4]
  const rate = RATES[(bytes[at + 2] >> 2) & 3]
  if (version === 1 || !bitrate || !rate) return null
  const sampleRate = rate / { 3: 1, 2: 2, 0: 4 }[version]
  const samples = version === 3 ? 1152 : 576
  const size = Math.floor((samples * 125 * bitrate) / sampleRate) + ((bytes[at + 2] >> 1) & 1)
  return { sampleRate, samples, size, channels: bytes[at + 3] >> 6 === 3 ? 1 : 2, isFull: version === 3 }
}

async function openMp3(file) {
  const head = await bytesOf(file, 0, 10)
  const isTagged = head.length === 10 && String.fromCharCode(...head.subarray(0, 3)) === 'ID3'
  const tag = isTagged ? 10 + [6, 7, 8, 9].reduce((size, i) => size * 128 + head[i], 0) : 0
  const bytes = await bytesOf(file, tag, tag + 8192)
  const frame = frameAt(bytes, 0)
  if (!frame || !frameAt(bytes, frame.size)) return null
  const { sampleRate, channels, samples } = frame
  const config = { codec: 'mp3', sampleRate, numberOfChannels: channels }
  // In place of sound the first frame may tell how many follow, and what LAME added at both ends.
  const at = 4 + (frame.isFull ? (channels === 1 ? 17 : 32) : channels === 1 ? 9 : 17)
  const view = viewOf(bytes)
  if (!['Xing', 'Info'].includes(ascii(view, at)))
    return { config, startSeconds: 0, seconds: Infinity, read: () => readFrames(file, tag) }
  const flags = view.getUint32(at + 4)
  const frames = flags & 1 ? view.getUint32(at + 8) : Infinity
  const fields = at + 8 + [1, 2, 4, 8].reduce((sum, flag, i) => sum + (flags & flag ? [4, 4, 100, 4][i] : 0), 0)
  const padding = (bytes[fields + 21] << 16) | (bytes[fields + 22] << 8) | bytes[fields + 23]
  const [before, after] = bytes[fields] ? [padding >> 12, padding & 4095] : [0, 0]
  return {
    config,
    startSeconds: bytes[fields] ? (before + DECODER_DELAY) / sampleRate : 0,
    seconds: (frames * samples - before - after) / sampleRate,
    read: () => readFrames(file, tag + frame.size),
  }
}

async function* readFrames(file, start) {
  let rest = new Uint8Array(0)
  for (let at = start; at < file.size; at += READ_BYTES) {
    const read = await bytesOf(file, at, at + READ_BYTES)
    const bytes = new Uint8Array(rest.length + read.length)
    bytes.set(rest)
    bytes.set(read, rest.length)
    let next = 0
    while (next + 4 <= bytes.length) {
      const frame = frameAt(bytes, next)
      if (frame && next + frame.size > bytes.length) break
      if (frame) yield bytes.subarray(next, next + frame.size)
      next += frame ? frame.size : 1
    }
    rest = bytes.slice(next)
  }
}
