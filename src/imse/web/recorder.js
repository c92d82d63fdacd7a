// A recording from the microphone, as it is: without what browsers do to voices of calls.

const TYPES = ['audio/webm;codecs=pcm', 'audio/webm;codecs=opus', 'audio/mp4']
const BITS_PER_SECOND = 256000

export class Recorder {
  #recorder
  #stream
  #parts = []

  /** @throws {DOMException} the microphone is refused, or there is none */
  static async start() {
    const recorder = new Recorder()
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }
    recorder.#stream = await navigator.mediaDevices.getUserMedia({ audio })
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type))
    recorder.#recorder = new MediaRecorder(recorder.#stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND })
    recorder.#recorder.ondataavailable = ({ data }) => recorder.#parts.push(data)
    recorder.#recorder.start(1000)
    return recorder
  }

  /** @returns {Promise<File>} */
  stop() {
    return new Promise((resolve) => {
      const finish = () => {
        this.#stream.getTracks().forEach((track) => track.stop())
        const name = `recording ${new Date().toISOString().slice(0, 19).replace(/[T:]/g, '-')}`
        resolve(new File(this.#parts, name, { type: this.#recorder.mimeType }))
      }
      if (this.#recorder.state === 'inactive') return finish() // the microphone was disconnected
      this.#recorder.onstop = finish
      this.#recorder.stop()
    })
  }
}
