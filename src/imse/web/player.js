// Two recordings that play at once, sample by sample, one of them heard: switching has neither a gap nor a click.

const CHUNK_SECONDS = 2
const AHEAD_SECONDS = 5
const FADE_SECONDS = 0.02
const CHECK_MS = 200
const MOST_CHANNELS = 32 // that browsers play
const START_DELAY_SECONDS = 0.05

let playing = null // one player at a time is heard

export class Player {
  #sources
  #context = null
  #gains = []
  #output = null
  #nodes = new Set()
  #shares = [0, 1]
  #from = 0 // the sample at which playing began, or will begin ...
  #began = null // ... and the time of the context when it did
  #run = 0
  #onChange

  /**
   * @param {object[]} sources of the same rate and length, with `read` as a WavSource
   * @param {() => void} onChange called while it plays, and when that begins or ends
   */
  constructor(sources, onChange) {
    this.#sources = sources
    this.#onChange = onChange
  }

  get samples() {
    return this.#sources[0].samples
  }

  get rate() {
    return this.#sources[0].sampleRate
  }

  get isPlaying() {
    return playing === this
  }

  /** The sample that is heard, or will be. */
  get position() {
    if (this.#began === null) return this.#from
    const elapsed = Math.max(0, this.#context.currentTime - this.#began)
    return Math.min(this.samples, Math.round(this.#from + elapsed * this.rate))
  }

  /** @param {number[]} shares of the two in what is heard */
  set shares(shares) {
    this.#shares = shares
    this.#gains.forEach((gain, i) => ramp(gain, shares[i], this.#context.currentTime))
  }

  async play() {
    playing?.pause()
    playing = this
    const run = ++this.#run
    if (this.#from >= this.samples) this.#from = 0
    this.#prepare()
    await this.#context.resume()
    const { gain } = this.#output
    gain.cancelScheduledValues(0)
    gain.setValueAtTime(1, 0)
    this.#onChange()
    try {
      await this.#schedule(run)
    } catch (error) {
      this.pause()
      throw error
    }
  }

  pause() {
    if (!this.isPlaying) return
    this.#from = this.position
    this.#began = null
    this.#run++
    playing = null
    const end = this.#context.currentTime + FADE_SECONDS
    ramp(this.#output, 0, this.#context.currentTime)
    this.#nodes.forEach((node) => node.stop(end))
    this.#nodes.clear()
    this.#onChange()
  }

  async seek(sample) {
    const wasPlaying = this.isPlaying
    this.pause()
    this.#from = Math.max(0, Math.min(this.samples, Math.round(sample)))
    this.#onChange()
    if (wasPlaying) await this.play()
  }

  close() {
    this.pause()
    this.#context?.close()
    this.#context = null
  }

  #prepare() {
    if (this.#context) {
      // What still fades out keeps its own output.
      this.#output = this.#context.createGain()
    } else {
      this.#context = contextAt(this.rate)
      this.#output = this.#context.createGain()
    }
    this.#output.connect(this.#context.destination)
    this.#gains = this.#shares.map((share) => {
      const gain = this.#context.createGain()
      gain.gain.value = share
      gain.connect(this.#output)
      return gain
    })
  }

  // Chunk by chunk, some seconds ahead, so that an hour takes no more memory than a minute.
  async #schedule(run) {
    const chunk = CHUNK_SECONDS * this.rate
    let next = this.#from
    while (run === this.#run) {
      const time = () => this.#began + (next - this.#from) / this.rate
      if (next < this.samples && (this.#began === null || time() - this.#context.currentTime < AHEAD_SECONDS)) {
        const stop = Math.min(next + chunk, this.samples)
        const pair = await Promise.all(this.#sources.map((source) => source.read(next, stop)))
        if (run !== this.#run) return
        this.#began ??= this.#context.currentTime + START_DELAY_SECONDS
        pair.forEach((channels, i) => this.#start(channels, this.#gains[i], time()))
        next = stop
        continue
      }
      if (this.position >= this.samples) {
        this.pause()
        return
      }
      this.#onChange()
      await new Promise((resolve) => setTimeout(resolve, CHECK_MS))
    }
  }

  #start(all, gain, time) {
    const channels = all.slice(0, MOST_CHANNELS)
    const buffer = new AudioBuffer({ length: channels[0].length, numberOfChannels: channels.length, sampleRate: this.rate })
    channels.forEach((samples, i) => buffer.copyToChannel(samples, i))
    const node = new AudioBufferSourceNode(this.#context, { buffer })
    node.connect(gain)
    node.start(Math.max(time, this.#context.currentTime))
    node.onended = () => this.#nodes.delete(node)
    this.#nodes.add(node)
  }
}

// At the rate of the recording chunks meet without being resampled one by one.
function contextAt(sampleRate) {
  try {
    return new AudioContext({ sampleRate })
  } catch {
    return new AudioContext()
  }
}

function ramp({ gain }, value, now) {
  gain.cancelScheduledValues(now)
  gain.setValueAtTime(gain.value, now)
  gain.linearRampToValueAtTime(value, now + FADE_SECONDS)
}
