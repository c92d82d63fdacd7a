// The microphone, cleaned as it comes. The audio thread (live-worklet.js) hands it to a worker (live-worker.js) that has the
// network, and plays what comes back.

const REFUSALS = {
  NotAllowedError: 'The microphone was refused. Allow it in the settings of the browser for this page.',
  NotFoundError: 'No microphone was found.',
  NotReadableError: 'The microphone cannot be used: another program may have it.',
}
const MICROPHONE = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false }

export class Live {
  #resources = []
  #gain

  /**
   * Ask for the microphone, and begin.
   *
   * @param {object} options
   * @param {ArrayBuffer} options.library content of imse.wasm
   * @param {ArrayBuffer} options.weights content of a .safetensors file
   * @param {number} options.attenuationLimitDb the most by which noise is turned down
   * @param {boolean} options.audible whether the result is played
   * @param {(status: object) => void} options.report gets, every second, `load` (share of a processor),
   *   `latencySeconds` from microphone to loudspeaker, `underRuns` (how often sound was late) and `tooSlow`
   * @param {(error: Error) => void} options.fail when it has ended by itself
   * @throws {Error} with a text for the user
   */
  static async start(options) {
    const live = new Live()
    try {
      await live.#start(options)
    } catch (error) {
      await live.stop()
      throw error
    }
    return live
  }

  /** Whether the result is played. */
  set audible(on) {
    this.#gain.gain.value = on ? 1 : 0
  }

  async stop() {
    for (const release of this.#resources.splice(0).reverse()) await release()
  }

  async #start({ library, weights, attenuationLimitDb = Infinity, audible = true, report, fail }) {
    let running = false
    const end = (message) => {
      if (running) fail(new Error(message))
      running = false
      this.stop()
    }
    const microphone = await openMicrophone()
    this.#resources.push(() => microphone.getTracks().forEach((track) => track.stop()))
    microphone.getTracks()[0].onended = () => end('The microphone was disconnected.')

    const context = new AudioContext({ latencyHint: 'interactive' })
    this.#resources.push(() => context.close())
    await context.audioWorklet.addModule(new URL('live-worklet.js', import.meta.url))

    const { port1, port2 } = new MessageChannel()
    const { sampleRate } = context
    const bufferSeconds = context.baseLatency
    const worker = new Worker(new URL('live-worker.js', import.meta.url), { type: 'module' })
    this.#resources.push(() => worker.terminate())
    const begun = new Promise((resolve, reject) => {
      worker.onerror = () => reject(new Error('The page is incomplete: reload it.'))
      worker.onmessage = ({ data }) => {
        if (data.ready) resolve()
        else if (data.error) reject(new Error(data.error)), end(data.error)
        else report({ ...data, latencySeconds: data.latencySeconds + bufferSeconds + (context.outputLatency || 0) })
      }
    })
    worker.postMessage({ library, weights, attenuationLimitDb, sampleRate, bufferSeconds, port: port2 }, [port2])
    await begun

    const processor = new AudioWorkletNode(context, 'imse-live', { outputChannelCount: [1] })
    this.#resources.push(() => processor.port.postMessage({}))
    processor.port.postMessage({ worker: port1 }, [port1])
    this.#gain = new GainNode(context)
    this.audible = audible
    context.createMediaStreamSource(microphone).connect(processor).connect(this.#gain).connect(context.destination)
    await context.resume()
    running = true
  }
}

async function openMicrophone() {
  if (!navigator.mediaDevices || !window.AudioWorkletNode)
    throw new Error('Browsers give microphones only to pages from https:// or localhost.')
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE })
  } catch (error) {
    throw new Error(REFUSALS[error.name] ?? `The microphone cannot be opened: ${error.message}`)
  }
}
