// Files as sources of samples, at their own rate. WAV files are read piece by piece; what else there is, audio or
// video, the browser decodes as a whole.
import { readHeader } from './containers.js'
import { openWav } from './wav.js'

const LOWEST_RATE = 8000
const HIGHEST_RATE = 192000
const UNKNOWN_RATE = 48000
const MOST_DECODED_BYTES = 1.6e9 // what browsers decode into the memory of one page

/** What is wrong with a file, in words for whoever chose it. */
export class RecordingError extends Error {}

/**
 * @param {Blob} file
 * @returns a source: `sampleRate`, `samples`, `channels`, `encoding` of its WAV file, `read(start, stop)`
 * @throws {RecordingError}
 */
export async function openRecording(file) {
  if (file.size === 0) throw new RecordingError('The file is empty.')
  const source = (await openWav(file)) ?? (await decode(file))
  const { sampleRate, samples } = source
  if (samples === 0) throw new RecordingError('There is no sound in this file.')
  if (sampleRate < LOWEST_RATE || sampleRate > HIGHEST_RATE)
    throw new RecordingError(`Its sample rate is ${sampleRate} Hz; those from ${LOWEST_RATE} to ${HIGHEST_RATE} Hz can be cleaned.`)
  return source
}

async function decode(file) {
  const header = await readHeader(file)
  const sampleRate = header?.sampleRate || UNKNOWN_RATE
  const seconds = await duration(file)
  const bytes = 4 * sampleRate * 2 * (seconds || 0) // most are stereo
  if (bytes > MOST_DECODED_BYTES || file.size > 2 ** 31 - 1)
    throw new RecordingError(
      'It is too long to be decoded in the memory of a browser. Convert it to WAV, which is read piece by piece, or ' +
        'use the command: imse enhance.',
    )
  try {
    // The rate of the context is that to which the browser decodes.
    const context = new OfflineAudioContext(1, 1, sampleRate)
    return new DecodedSource(await context.decodeAudioData(await file.arrayBuffer()), header?.bits)
  } catch (error) {
    throw new RecordingError('This browser finds no sound in it that it can decode. Is it audio or video, and whole?', {
      cause: error,
    })
  }
}

/** Seconds of a file by its header, or null if that does not tell. */
function duration(file) {
  const element = document.createElement('audio')
  const url = URL.createObjectURL(file)
  return new Promise((resolve) => {
    const done = (seconds) => {
      URL.revokeObjectURL(url)
      element.removeAttribute('src')
      resolve(Number.isFinite(seconds) ? seconds : null)
    }
    element.onloadedmetadata = () => done(element.duration)
    element.onerror = () => done(null)
    element.preload = 'metadata'
    element.src = url
  })
}

class DecodedSource {
  #buffer

  constructor(buffer, bits = 16) {
    this.#buffer = buffer
    this.sampleRate = buffer.sampleRate
    this.samples = buffer.length
    this.channels = buffer.numberOfChannels
    this.encoding = bits > 16 ? 's24' : 's16'
  }

  async read(start, stop) {
    return Array.from({ length: this.channels }, (_, i) => this.#buffer.getChannelData(i).slice(start, stop))
  }
}
