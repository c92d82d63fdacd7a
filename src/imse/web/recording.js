// Enhancing a whole recording by a pool of workers, in memory that does not grow with its length, and mixing.
import { Joiner } from './engine.js'
import { WavWriter } from './wav.js'

const MIXED_AT_ONCE = 1 << 18 // samples

/** A promise that fails when a signal is aborted. */
export function abortOf(signal) {
  const aborted = new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  aborted.catch(() => {}) // it is thrown where it is waited for
  return aborted
}

/**
 * @param source with `sampleRate`, `samples`, `channels`, `encoding` and `read`, as a WavSource
 * @param {import('./engine.js').Imse} imse
 * @param {import('./pool.js').Pool} pool
 * @param {number} columns of spectrograms
 * @param {AbortSignal} signal
 * @param {(done: {share: number, before: object, after: object}) => void} onPart called for each part, in order, with
 *   the share of the work that is done and the columns of both spectrograms
 * @returns {Promise<Blob>} a WAV file
 */
export async function enhance(source, imse, pool, columns, signal, onPart) {
  const { sampleRate, samples, channels, encoding } = source
  const count = imse.parts(sampleRate, samples)
  const begin = async (i) => {
    const part = imse.part(sampleRate, samples, i)
    const noisy = await source.read(part.start, part.stop)
    const job = { task: 'enhance', recording: { sampleRate, samples, columns }, i, part, channels: noisy }
    const result = await pool.run(job, noisy.map((channel) => channel.buffer), signal)
    return { part, ...result }
  }
  if (!count) throw new Error(`Recordings of ${samples} samples at ${sampleRate} Hz cannot be cleaned.`)
  const aborted = abortOf(signal)
  const joiner = new Joiner()
  const writer = new WavWriter(sampleRate, channels, encoding)
  const running = []
  let begun = 0
  for (let i = 0; i < count; i++) {
    // All workers have something to do next while parts are joined in order.
    while (begun < count && running.length <= 2 * pool.size) {
      const promise = begin(begun++)
      promise.catch(() => {}) // it is thrown when it is its turn, if no other is before
      running.push(promise)
    }
    const { part, enhanced, before, after } = await Promise.race([running.shift(), aborted])
    const held = i + 1 < count ? imse.part(sampleRate, samples, i + 1).fade : 0
    writer.add(joiner.add(enhanced, part.fade, held))
    onPart({ share: (i + 1) / count, before, after })
  }
  return writer.finish()
}

/** The share of a recording that its enhanced form keeps at an attenuation limit in dB. */
export const shareKept = (limitDb) => 10 ** (-limitDb / 20)

/**
 * Blend a share of a recording into its enhanced form.
 * @returns {Promise<Blob>} a WAV file
 */
export async function blend(original, enhanced, share) {
  const writer = new WavWriter(enhanced.sampleRate, enhanced.channels, enhanced.encoding)
  for (let start = 0; start < enhanced.samples; start += MIXED_AT_ONCE) {
    const stop = Math.min(start + MIXED_AT_ONCE, enhanced.samples)
    const [noisy, clean] = await Promise.all([original.read(start, stop), enhanced.read(start, stop)])
    clean.forEach((samples, channel) => {
      for (let i = 0; i < samples.length; i++) samples[i] += share * (noisy[channel][i] - samples[i])
    })
    writer.add(clean)
  }
  return writer.finish()
}
