// WAV files: read in pieces, so that memory does not grow with their length, and written in parts of a Blob, which
// browsers keep on disk where it is large.

const PCM = 1
const FLOAT = 3
const EXTENSIBLE = 0xfffe
const LARGEST = 0xffffffff // bytes that a RIFF file counts; longer ones are RF64
const FLUSHED_BYTES = 8 << 20

// Full scale of integers is 2 ** (bits - 1), as libsndfile reads them.
const integers = (bits, decode, encode) => {
  const scale = 2 ** (bits - 1)
  const quantize = (x) => Math.max(-scale, Math.min(scale - 1, Math.round(x * scale)))
  return {
    format: PCM,
    bytes: bits / 8,
    decode: (buffer) => decode(buffer, 1 / scale),
    encode: (samples) => encode(samples, quantize),
  }
}

const typed = (Type) => [
  (buffer, scale) => Float32Array.from(new Type(buffer), (x) => x * scale),
  (samples, quantize) => Type.from(samples, quantize).buffer,
]

const bytesOf24Bits = [
  (buffer, scale) => {
    const bytes = new Uint8Array(buffer)
    return Float32Array.from({ length: bytes.length / 3 }, (_, i) => {
      const high = bytes[3 * i] | (bytes[3 * i + 1] << 8) | (bytes[3 * i + 2] << 16)
      return ((high << 8) >> 8) * scale
    })
  },
  (samples, quantize) => {
    const bytes = new Uint8Array(3 * samples.length)
    samples.forEach((x, i) => {
      const value = quantize(x)
      bytes.set([value & 255, (value >> 8) & 255, (value >> 16) & 255], 3 * i)
    })
    return bytes.buffer
  },
]

const unsigned = [
  (buffer, scale) => Float32Array.from(new Uint8Array(buffer), (x) => (x - 128) * scale),
  (samples, quantize) => Uint8Array.from(samples, (x) => quantize(x) + 128).buffer,
]

const ENCODINGS = {
  u8: integers(8, ...unsigned),
  s16: integers(16, ...typed(Int16Array)),
  s24: integers(24, ...bytesOf24Bits),
  s32: integers(32, ...typed(Int32Array)),
  f32: { format: FLOAT, bytes: 4, decode: (buffer) => new Float32Array(buffer), encode: (samples) => samples.buffer },
  f64: {
    format: FLOAT,
    bytes: 8,
    decode: (buffer) => Float32Array.from(new Float64Array(buffer)),
    encode: (samples) => Float64Array.from(samples).buffer,
  },
}

/** A WAV file of which pieces are read. */
class WavSource {
  #data
  #coding

  constructor(data, encoding, sampleRate, channels) {
    this.#data = data
    this.#coding = ENCODINGS[encoding]
    Object.assign(this, { encoding, sampleRate, channels })
    this.samples = Math.floor(data.size / (this.#coding.bytes * channels))
  }

  /** @returns {Promise<Float32Array[]>} the samples [start, stop) of every channel */
  async read(start, stop) {
    const frame = this.#coding.bytes * this.channels
    const interleaved = this.#coding.decode(await this.#data.slice(frame * start, frame * stop).arrayBuffer())
    if (this.channels === 1) return [interleaved]
    return Array.from({ length: this.channels }, (_, channel) => {
      const samples = new Float32Array(stop - start)
      for (let i = 0; i < samples.length; i++) samples[i] = interleaved[i * this.channels + channel]
      return samples
    })
  }
}

/**
 * @param {Blob} file
 * @returns {Promise<WavSource | null>} null for what is no WAV file, or one of another encoding
 */
export async function openWav(file) {
  const view = async (start, bytes) => new DataView(await file.slice(start, start + bytes).arrayBuffer())
  const text = (data, at) => String.fromCharCode(...new Uint8Array(data.buffer, at, 4))
  const head = await view(0, 12)
  if (head.byteLength < 12 || !['RIFF', 'RF64'].includes(text(head, 0)) || text(head, 8) !== 'WAVE') return null
  let described
  let long
  for (let at = 12; at + 8 <= file.size; ) {
    const chunk = await view(at, 8)
    const name = text(chunk, 0)
    let size = chunk.getUint32(4, true)
    at += 8
    if (name === 'ds64') {
      long = Number((await view(at, 16)).getBigUint64(8, true))
    } else if (name === 'fmt ') {
      const format = await view(at, Math.min(size, 40))
      if (format.byteLength < 16) return null
      const tag = format.getUint16(0, true)
      const kind = tag === EXTENSIBLE && format.byteLength >= 26 ? format.getUint16(24, true) : tag
      const bytes = format.getUint16(14, true) / 8
      const encoding = Object.keys(ENCODINGS).find((key) => ENCODINGS[key].format === kind && ENCODINGS[key].bytes === bytes)
      const isPacked = format.getUint16(12, true) === bytes * format.getUint16(2, true) // not 24 bits in 32, say
      described = encoding && isPacked && [encoding, format.getUint32(4, true), format.getUint16(2, true)]
    } else if (name === 'data') {
      if (!described || !described[2]) return null
      if (size === LARGEST && long !== undefined) size = long
      return new WavSource(file.slice(at, at + size), ...described)
    }
    at += size + (size % 2)
  }
  return null
}

export class WavWriter {
  #blobs = []
  #buffers = []
  #pending = 0
  #bytes = 0

  /** @param {string} encoding as a WavSource has it: s16, s24, f32 ... */
  constructor(sampleRate, channels, encoding) {
    Object.assign(this, { sampleRate, channels, encoding })
  }

  /** How many there are of each channel. */
  get samples() {
    return this.#bytes / (ENCODINGS[this.encoding].bytes * this.channels)
  }

  /** @param {Float32Array[]} channels */
  add(channels) {
    const interleaved = new Float32Array(channels.length * channels[0].length)
    channels.forEach((samples, channel) => {
      for (let i = 0; i < samples.length; i++) interleaved[i * channels.length + channel] = samples[i]
    })
    const encoded = ENCODINGS[this.encoding].encode(interleaved)
    this.#buffers.push(encoded)
    this.#pending += encoded.byteLength
    this.#bytes += encoded.byteLength
    if (this.#pending >= FLUSHED_BYTES) this.#flush()
  }

  /** @returns {Blob} the file */
  finish() {
    this.#flush()
    return new Blob([this.#header(), ...this.#blobs, new Uint8Array(this.#bytes % 2)], { type: 'audio/wav' })
  }

  #flush() {
    this.#blobs.push(new Blob(this.#buffers))
    this.#buffers = []
    this.#pending = 0
  }

  #header() {
    const { format, bytes } = ENCODINGS[this.encoding]
    const frame = bytes * this.channels
    const isLong = this.#bytes + 100 > LARGEST
    const long = isLong ? 36 : 0
    const data = new DataView(new ArrayBuffer(44 + long))
    const text = (at, name) => [...name].forEach((letter, i) => data.setUint8(at + i, letter.charCodeAt(0)))
    text(0, isLong ? 'RF64' : 'RIFF')
    data.setUint32(4, isLong ? LARGEST : 36 + this.#bytes + (this.#bytes % 2), true)
    text(8, 'WAVE')
    if (isLong) {
      text(12, 'ds64')
      data.setUint32(16, 28, true)
      data.setBigUint64(20, BigInt(36 + long + this.#bytes), true)
      data.setBigUint64(28, BigInt(this.#bytes), true)
      data.setBigUint64(36, BigInt(this.#bytes / frame), true)
    }
    const at = 12 + long
    text(at, 'fmt ')
    data.setUint32(at + 4, 16, true)
    data.setUint16(at + 8, format, true)
    data.setUint16(at + 10, this.channels, true)
    data.setUint32(at + 12, this.sampleRate, true)
    data.setUint32(at + 16, this.sampleRate * frame, true)
    data.setUint16(at + 20, frame, true)
    data.setUint16(at + 22, 8 * bytes, true)
    text(at + 24, 'data')
    data.setUint32(at + 28, isLong ? LARGEST : this.#bytes, true)
    return data
  }
}
