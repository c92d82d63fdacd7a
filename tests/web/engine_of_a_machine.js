// In place of engine.js: an engine that only takes time, by a clock of its own, so that a test says how fast the machine is.
// The "weights" are the seconds of a step while the worker measures; later on, each sample says how long a step takes.
let milliseconds = 0
performance.now = () => milliseconds

export class Imse {
  static load() {
    return new Imse()
  }

  open(weights) {
    const stepSeconds = Number(new TextDecoder().decode(weights))
    return { streamOf: (settings) => new Stream(stepSeconds, settings) }
  }
}

class Stream {
  #stepSeconds
  #hop

  constructor(stepSeconds, { sampleRate, hop }) {
    this.#stepSeconds = stepSeconds
    this.#hop = (hop / 1000) * sampleRate
    this.latency = 1e6 * hop // by which the test recognises it
  }

  feed(noisy) {
    const stepSeconds = noisy.length < this.#hop ? noisy[0] : this.#stepSeconds
    milliseconds += (1000 * stepSeconds * noisy.length) / this.#hop
    return noisy.slice()
  }

  close() {}
}
