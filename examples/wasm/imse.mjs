// imse in WebAssembly, for browsers and Node.js: the functions of imse.h on Float32Arrays at 16 kHz, on one thread.
//
//   const imse = await Imse.load(bytes of imse.wasm)
//   const network = imse.open(bytes of a .safetensors file)
//   const enhanced = network.enhance(noisy)
//
// Streams give the samples that are ready; `flush` gives the last ones.
//
//   const stream = network.stream(sampleRate, latencyMs)
//   const ready = stream.feed(noisy)

const ERROR_BYTES = 512
const SETTINGS_BYTES = 24
const STATUS_BYTES = 4 // in front of the text of an error
const FLOAT_BYTES = 4

export class Imse {
  /** @param {BufferSource} bytes of imse.wasm */
  static async load(bytes) {
    const imse = new Imse()
    const { instance } = await WebAssembly.instantiate(bytes, imse.#imports())
    imse.exports = instance.exports
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

  /** A stream of the best quality within a latency. It is closed before its network. */
  stream(sampleRate, latencyMs, attenuationLimitDb = Infinity) {
    const { imse } = this
    return imse.withMemory([SETTINGS_BYTES, ERROR_BYTES], (settings, error) => {
      if (imse.exports.imse_stream_settings_for(latencyMs, sampleRate, settings, error)) throw imse.error(error)
      imse.floats(settings, SETTINGS_BYTES / FLOAT_BYTES)[5] = attenuationLimitDb
      const address = imse.exports.imse_stream_open(this.address, settings, error)
      if (!address) throw imse.error(error)
      return new Stream(imse, address)
    })
  }

  close() {
    this.imse.exports.imse_close(this.address)
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
