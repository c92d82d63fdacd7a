// Files as sources of samples, at their own rate. WAV files are read piece by piece. The browser decodes others, audio
// or video: short ones as a whole, long ones packet by packet. What is decoded becomes a WAV file, which it keeps on disk.
import { readHeader } from './containers.js'
import { openPackets } from './packets.js'
import { WavWriter, openWav } from './wav.js'

const LOWEST_RATE = 8000
const HIGHEST_RATE = 192000
const UNKNOWN_RATE = 48000
const LONG_BYTES = 1 << 28 // of what is decoded
const MOST_DECODED_BYTES = 1.6e9 // at once, in the memory of one page
const MOST_FILE_BYTES = 2 ** 31 - 1
const MOST_SAMPLES = 2 ** 31 // of a channel, also at 16 kHz: the library counts in 32 bits
const NETWORK_RATE = 16000
const COPIED_AT_ONCE = 1 << 18 // samples
const MOST_QUEUED = 256 // packets, with a pause until a quarter of them are left

/** What is wrong with a file, in words for whoever chose it. */
export class RecordingError extends Error {}

/**
 * @param {Blob} file
 * @param {AbortSignal} signal
 * @param {(seconds: number) => void} onProgress called with what is decoded of a long file
 * @param {number} longBytes the size of a file, or of what is decoded, from which it is long
 * @returns a source: `sampleRate`, `samples`, `channels`, `encoding` of its WAV file, `read(start, stop)`
 * @throws {RecordingError}
 */
export async function openRecording(file, signal, onProgress, longBytes = LONG_BYTES) {
  if (file.size === 0) throw new RecordingError('The file is empty.')
  const source = (await openWav(file)) ?? (await decode(file, signal, onProgress, longBytes))
  const { sampleRate, samples } = source
  if (samples === 0) throw new RecordingError('There is no sound in this file.')
  if (samples * Math.max(1, NETWORK_RATE / sampleRate) >= MOST_SAMPLES)
    throw new RecordingError('It is too long for this page. Use the command: imse enhance.')
  if (sampleRate < LOWEST_RATE || sampleRate > HIGHEST_RATE)
    throw new RecordingError(`Its sample rate is ${sampleRate} Hz; those from ${LOWEST_RATE} to ${HIGHEST_RATE} Hz can be cleaned.`)
  return source
}

// A damaged header points beyond the end of what was read.
const unlessDamaged = (reading) =>
  reading.catch((error) => {
    if (error instanceof RangeError) return null
    throw error
  })

async function decode(file, signal, onProgress, longBytes) {
  const header = await unlessDamaged(readHeader(file))
  const sampleRate = header?.sampleRate || UNKNOWN_RATE
  const bytes = 4 * sampleRate * 2 * (await duration(file)) // most are stereo
  if (bytes > longBytes || file.size > longBytes) {
    const packets = await unlessDamaged(openPackets(file))
    if (packets && (await canDecode(packets.config))) return decodePackets(packets, signal, onProgress)
  }
  if (bytes > MOST_DECODED_BYTES || file.size > MOST_FILE_BYTES)
    throw new RecordingError(
      'It is too long to be decoded in the memory of a browser. Convert it to WAV, which is read piece by piece, or ' +
        'use the command: imse enhance.',
    )
  let buffer
  try {
    // The rate of the context is that to which the browser decodes.
    const context = new OfflineAudioContext(1, 1, sampleRate)
    buffer = await context.decodeAudioData(await file.arrayBuffer())
  } catch (error) {
    throw new RecordingError('This browser finds no sound in it that it can decode. Is it audio or video, and whole?', {
      cause: error,
    })
  }
  return kept(buffer, header?.bits > 16 ? 's24' : 's16')
}

// Outside the memory of the page, where recordings that are done would add up.
async function kept(buffer, encoding) {
  const { sampleRate, length, numberOfChannels } = buffer
  const writer = new WavWriter(sampleRate, numberOfChannels, 'f32')
  for (let start = 0; start < length; start += COPIED_AT_ONCE)
    writer.add(Array.from({ length: numberOfChannels }, (_, i) => buffer.getChannelData(i).subarray(start, start + COPIED_AT_ONCE)))
  return Object.assign(await openWav(writer.finish()), { encoding })
}

/** Seconds of a file by its header, 0 if that does not tell. */
function duration(file) {
  const element = document.createElement('audio')
  const url = URL.createObjectURL(file)
  return new Promise((resolve) => {
    const done = (seconds) => {
      URL.revokeObjectURL(url)
      element.removeAttribute('src')
      resolve(Number.isFinite(seconds) ? seconds : 0)
    }
    element.onloadedmetadata = () => done(element.duration)
    element.onerror = () => done(0)
    element.preload = 'metadata'
    element.src = url
  })
}

async function canDecode(config) {
  return 'AudioDecoder' in self && (await AudioDecoder.isConfigSupported(config)).supported
}

async function decodePackets({ config, startSeconds, seconds, read }, signal, onProgress) {
  let writer = null
  let skipped = 0 // samples still to be left out ...
  let left = Infinity // ... and to be written after them
  let failure = null
  let wake = () => {} // ends a pause
  const decoder = new AudioDecoder({
    output(data) {
      const { sampleRate, numberOfChannels, numberOfFrames } = data
      if (!writer) {
        // Only the decoder knows: some codecs have twice the rate that the file states.
        writer = new WavWriter(sampleRate, numberOfChannels, 's16')
        skipped = Math.round(startSeconds * sampleRate)
        left = Math.round(seconds * sampleRate)
      }
      const frameOffset = Math.min(skipped, numberOfFrames)
      const frameCount = Math.min(left, numberOfFrames - frameOffset)
      skipped -= frameOffset
      left -= frameCount
      if (frameCount > 0) {
        writer.add(
          Array.from({ length: writer.channels }, (_, planeIndex) => {
            const samples = new Float32Array(frameCount)
            data.copyTo(samples, { planeIndex, frameOffset, frameCount, format: 'f32-planar' })
            return samples
          }),
        )
      }
      data.close()
    },
    error(error) {
      failure = error
      wake()
    },
  })
  try {
    decoder.configure(config)
    let count = 0
    for await (const data of read()) {
      signal.throwIfAborted()
      if (failure) break
      decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp: count++, data }))
      if (decoder.decodeQueueSize >= MOST_QUEUED) {
        while (!failure && decoder.decodeQueueSize > MOST_QUEUED / 4)
          await new Promise((resolve) => (decoder.ondequeue = wake = resolve))
        if (writer) onProgress(writer.samples / writer.sampleRate)
      }
    }
    if (!failure) await decoder.flush()
  } catch (error) {
    signal.throwIfAborted()
    failure ??= error
  } finally {
    if (decoder.state !== 'closed') decoder.close()
  }
  if (failure || !writer) throw new RecordingError('This browser cannot decode it to the end. Is the file whole?', { cause: failure })
  return openWav(writer.finish())
}
