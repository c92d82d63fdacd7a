// The audio thread of a live microphone: it sends blocks of sound to the worker that has the network, and plays what comes
// back. It computes nothing and waits for nothing. Audio goes through a MessagePort, as shared memory needs a page that
// is isolated from other origins, which static hosting seldom offers.
//
// Samples are counted from the first one that was captured. The i-th that comes back belongs to the i-th captured, and is
// played `delay` samples after that one.

const BLOCK = 512 // samples in a message: 11 ms at 48 kHz
const LONGEST_BACKLOG_SECONDS = 1 // of what the worker has not read yet; more is dropped
const CAPACITY_SECONDS = 4 // of what came back and was not played yet
const LONGEST_WAIT_SECONDS = 0.5 // for sound that is late; what is later is skipped

class LiveProcessor extends AudioWorkletProcessor {
  #worker = null
  #block = new Float32Array(BLOCK)
  #filled = 0
  #captured = 0
  #read = 0 // by the worker
  #ring = new Float32Array(CAPACITY_SECONDS * sampleRate)
  #begin = 0 // samples from here ...
  #end = 0 // ... to here have come back
  #delay = Infinity // the worker says it
  #waited = 0 // samples that playing is later than that, because sound came late
  #silent = true // at the end of the last block that was played
  #starving = false
  #underRuns = 0
  #stopped = false

  constructor() {
    super()
    this.port.onmessage = ({ data }) => {
      this.#worker = data.worker
      if (this.#worker) this.#worker.onmessage = ({ data }) => this.#receive(data)
      else this.#stopped = true
    }
  }

  process([[input]], [[output]]) {
    if (this.#worker) {
      for (let i = 0; i < output.length; i++) this.#capture(input ? input[i] : 0)
      this.#play(output)
    }
    return !this.#stopped
  }

  #capture(sample) {
    this.#block[this.#filled++] = sample
    this.#captured++
    if (this.#filled < BLOCK) return
    this.#filled = 0
    const start = this.#captured - BLOCK
    if (start - this.#read > LONGEST_BACKLOG_SECONDS * sampleRate) return
    const samples = this.#block.slice()
    const delay = this.#delay + this.#waited
    this.#worker.postMessage({ start, samples, delay, underRuns: this.#underRuns }, [samples.buffer])
  }

  // `begin` and `delay` come where a stream begins, `samples` where some are ready.
  #receive({ read, begin, delay, samples }) {
    this.#read = read
    if (begin !== undefined) {
      if (!this.#silent) this.#underRuns++ // what was being played ends here
      this.#begin = this.#end = begin
      this.#delay = delay
      this.#waited = 0
      this.#silent = true
      this.#starving = false
    }
    for (let i = 0; i < samples.length; i++) this.#ring[this.#end++ % this.#ring.length] = samples[i]
  }

  #play(output) {
    const due = this.#captured - output.length - this.#delay - this.#waited
    if (due < this.#begin) return
    let ready = Math.max(0, Math.min(output.length, this.#end - due))
    const late = ready < output.length
    if (late && this.#silent) ready = 0 // it goes on with a whole block
    for (let i = 0; i < ready; i++) output[i] = this.#ring[(due + i) % this.#ring.length]
    if (late) {
      for (let i = 0; i < ready; i++) output[i] *= 1 - (i + 1) / ready
      if (!this.#starving) this.#underRuns++
      this.#waited = Math.min(this.#waited + output.length - ready, LONGEST_WAIT_SECONDS * sampleRate)
    } else if (this.#silent) {
      for (let i = 0; i < ready; i++) output[i] *= i / ready
    }
    this.#starving = this.#silent = late
  }
}

registerProcessor('imse-live', LiveProcessor)
