// imse in WebAssembly, for browsers and Node.js: the functions of imse.h on Float32Arrays, on one thread.
//
//   const imse = await Imse.load(bytes of imse.wasm)
//   const network = imse.open(bytes of a .safetensors file)
//   const enhanced = network.enhance(noisy)                     at 16 kHz
//
// Recordings of any rate are enhanced part by part, in any order, by any number of workers. `Joiner` joins the parts.
//
//   for (let i = 0; i < imse.parts(sampleRate, samples); i++) {
//     const part = imse.part(sampleRate, samples, i)
//     const enhanced = network.enhancePart(sampleRate, samples, i, noisy.subarray(part.start, part.stop))
//   }
//
// Streams give the samples that are ready; `flush` gives the last ones.
//
//   const stream = network.stream(sampleRate, latencyMs)
//   const ready = stream.feed(noisy)

const ERROR_BYTES = 512
const SETTINGS_BYTES = 28
const PART_BYTES = 20
const STATUS_BYTES = 4 // in front of the text of an error
const FLOAT_BYTES = 4
const SAMPLES_PER_MS = 16

export class Imse {
  /** @param {BufferSource | WebAssembly.Module} source imse.wasm, as bytes or compiled */
  static async load(source) {
    const imse = new Imse()
    const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source)
    imse.exports = (await WebAssembly.instantiate(module, imse.#imports())).exports
    imse.exports._initialize()
    return imse
  }

  /** @param {Uint8Array} weights content of a .safetensors file */
  open(weights) {
    return this.withMemory([weights.length, ERROR_BYTES], (at, error) => {
      this.#bytes().set(weights, at)
      const network = this.exports.imse_open(at, weights.length, 1, error)
      if (!network) throw this.error(error)
      return new Network(this, network)
    })
  }

  /** The number of parts of a recording, whose samples are those of one channel. */
  parts(sampleRate, samples) {
    return this.exports.imse_parts(sampleRate, samples)
  }

  /** Part i: what it needs of the recording, [start, stop), and what it gives of the enhanced one, [begin, end). */
  part(sampleRate, samples, i) {
    return this.withMemory([PART_BYTES, ERROR_BYTES], (at, error) => {
      if (this.exports.imse_find_part(sampleRate, samples, i, at, error)) throw this.error(error)
      const [start, stop, begin, end, fade] = new Uint32Array(this.exports.memory.buffer, at, PART_BYTES / 4)
      return { start, stop, begin, end, fade }
    })
  }

  /** Call a function with addresses of memory of some sizes, in bytes. */
  withMemory(sizes, call) {
    const addresses = []
    try {
      for (const size of sizes) {
        const address = this.exports.malloc(size)
        if (!address) throw new Error('not enough memory')
        addresses.push(address)
      }
      return call(...addresses)
    } finally {
      addresses.forEach((address) => this.exports.free(address))
    }
  }

  // Memory that grows is another buffer, so these are made anew whenever they are used.
  floats(address, count) {
    return new Float32Array(this.exports.memory.buffer, address, count)
  }

  count(address) {
    return new DataView(this.exports.memory.buffer).getUint32(address, true)
  }

  error(address) {
    const text = this.#bytes().subarray(address + STATUS_BYTES, address + ERROR_BYTES)
    return new Error(new TextDecoder().decode(text.slice(0, text.indexOf(0))))
  }

  #bytes() {
    return new Uint8Array(this.exports.memory.buffer)
  }

  // What the library's runtime asks of a system: an empty environment, and how it ends.
  #imports() {
    const SUCCESS = 0
    const nothing = () => SUCCESS
    const sizes = (first, second) => {
      const view = new DataView(this.exports.memory.buffer)
      view.setUint32(first, 0, true)
      view.setUint32(second, 0, true)
      return SUCCESS
    }
    const exit = (code) => {
      throw new Error(`the library ended with ${code}`)
    }
    return {
      env: { emscripten_notify_memory_growth: nothing },
      wasi_snapshot_preview1: {
        environ_get: nothing,
        environ_sizes_get: sizes,
        proc_exit: exit,
      },
    }
  }
}

class Network {
  constructor(imse, address) {
    this.imse = imse
    this.address = address
  }

  /** Enhance a recording of any length at 16 kHz. */
  enhance(noisy, attenuationLimitDb = Infinity) {
    const { imse } = this
    const bytes = FLOAT_BYTES * noisy.length
    return imse.withMemory([bytes, bytes, ERROR_BYTES], (input, output, error) => {
      imse.floats(input, noisy.length).set(noisy)
      const { imse_enhance } = imse.exports
      const status = imse_enhance(this.address, input, noisy.length, attenuationLimitDb, output, error)
      if (status) throw imse.error(error)
      return imse.floats(output, noisy.length).slice()
    })
  }

  /**
   * Enhance a part of a recording of any rate.
   * @param {number} samples of the whole recording
   * @param {Float32Array} noisy what `Imse.part` says that it needs
   */
  enhancePart(sampleRate, samples, i, noisy, attenuationLimitDb = Infinity) {
    const { imse } = this
    const { begin, end } = imse.part(sampleRate, samples, i)
    const sizes = [FLOAT_BYTES * noisy.length, FLOAT_BYTES * (end - begin), ERROR_BYTES]
    return imse.withMemory(sizes, (input, output, error) => {
      imse.floats(input, noisy.length).set(noisy)
      const { imse_enhance_part } = imse.exports
      if (imse_enhance_part(this.address, sampleRate, samples, i, input, attenuationLimitDb, output, error))
        throw imse.error(error)
      return imse.floats(output, end - begin).slice()
    })
  }

  /** A stream of the best quality within a latency. It is closed before its network. */
  stream(sampleRate, latencyMs, attenuationLimitDb = Infinity) {
    const { imse } = this
    return imse.withMemory([SETTINGS_BYTES, ERROR_BYTES], (settings, error) => {
      if (imse.exports.imse_stream_settings_for(latencyMs, sampleRate, settings, error)) throw imse.error(error)
      return this.#openStream(settings, attenuationLimitDb, error)
    })
  }

  /** A stream of given settings: `sampleRate` in Hz; `window`, `recomputed`, `hop`, `lookAhead` and `fade` in milliseconds. */
  streamOf({ sampleRate, window, recomputed, hop, lookAhead, fade }, attenuationLimitDb = Infinity) {
    const { imse } = this
    return imse.withMemory([SETTINGS_BYTES, ERROR_BYTES], (settings, error) => {
      const samples = [window, recomputed, hop, lookAhead, fade].map((ms) => SAMPLES_PER_MS * ms)
      new Int32Array(imse.exports.memory.buffer, settings, 6).set([sampleRate, ...samples])
      return this.#openStream(settings, attenuationLimitDb, error)
    })
  }

  #openStream(settings, attenuationLimitDb, error) {
    const { imse } = this
    imse.floats(settings, SETTINGS_BYTES / FLOAT_BYTES)[6] = attenuationLimitDb
    const address = imse.exports.imse_stream_open(this.address, settings, error)
    if (!address) throw imse.error(error)
    return new Stream(imse, address)
  }

  close() {
    this.imse.exports.imse_close(this.address)
  }
}

/** Joins enhanced parts, which come in order: the beginning of each fades in over the end of the one before. */
export class Joiner {
  #held = []

  /**
   * @param {Float32Array[]} channels of a part
   * @param {number} fade over which it fades in
   * @param {number} held samples at its end that the next part fades in over, 0 for the last part
   * @returns {Float32Array[]} what is complete
   */
  add(channels, fade, held) {
    const whole = channels.map((samples, channel) => {
      const before = this.#held[channel]
      for (let i = 0; i < fade; i++) {
        const share = 0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / fade)
        samples[i] = before[i] + share * (samples[i] - before[i])
      }
      return samples.subarray(0, samples.length - held)
    })
    this.#held = channels.map((samples) => samples.slice(samples.length - held))
    return whole
  }
}

class Stream {
  constructor(imse, address) {
    this.imse = imse
    this.address = address
    this.latency = imse.exports.imse_stream_latency(address)
  }

  feed(noisy) {
    return this.#take(noisy.length, (input, ...rest) => {
      this.imse.floats(input, noisy.length).set(noisy)
      return this.imse.exports.imse_stream_feed(this.address, input, noisy.length, ...rest)
    })
  }

  flush() {
    return this.#take(0, (_, ...rest) => this.imse.exports.imse_stream_flush(this.address, ...rest))
  }

  close() {
    this.imse.exports.imse_stream_close(this.address)
  }

  #take(samples, call) {
    const { imse } = this
    const bytes = FLOAT_BYTES * samples
    const room = bytes + FLOAT_BYTES * this.latency
    return imse.withMemory([bytes, room, FLOAT_BYTES, ERROR_BYTES], (input, output, written, error) => {
      if (call(input, output, written, error)) throw imse.error(error)
      return imse.floats(output, imse.count(written)).slice()
    })
  }
}
