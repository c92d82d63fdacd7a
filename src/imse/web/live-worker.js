// The network of a live microphone. It begins with the shortest latency that this machine can do, and goes on with a longer
// one when it turns out to be too slow.
import { Imse } from './engine.js'

// From the shortest latency on: window, what is recomputed, hop, look-ahead and fade in milliseconds, see
// imse_stream_settings. A step takes a time that depends on what is recomputed, so longer hops take less of the processor:
// 1, 0.7, 0.5 and 0.46 times as much.
const CHOICES_MS = [
  [1000, 125, 50, 50, 8],
  [1000, 175, 100, 32, 8],
  [1000, 250, 200, 24, 8],
  [1000, 575, 500, 50, 8],
]
const ADMITTED_LOAD = 0.7 // at the beginning: other programs want their share
const HIGHEST_LOAD = 0.9 // afterwards
const MEASURED_STEPS = 5 // at most; the browser still compiles during the first ones
const REPORT_SECONDS = 1 // whole steps of all choices
const MARGIN_SECONDS = 0.01 // for messages
const BLOCK_SAMPLES = 512 // of live-worklet.js

let options, network, choice, stepSeconds, stream
let fed = 0 // samples
const since = { samples: 0, busySeconds: 0, underRuns: 0 } // the last report

onmessage = async ({ data }) => {
  await reporting(async () => {
    options = data
    network = (await Imse.load(data.library)).open(new Uint8Array(data.weights))
    const fast = CHOICES_MS.findIndex((_, i) => measure(i) <= ADMITTED_LOAD)
    begin(fast < 0 ? CHOICES_MS.length - 1 : fast, 0)
    options.port.onmessage = ({ data }) => reporting(() => hear(data))
    postMessage({ ready: true })
  })
}

async function reporting(work) {
  try {
    await work()
  } catch (error) {
    postMessage({ error: error.message })
    close()
  }
}

function open(i) {
  const [window, recomputed, hop, lookAhead, fade] = CHOICES_MS[i]
  return network.streamOf({ sampleRate: options.sampleRate, window, recomputed, hop, lookAhead, fade }, options.attenuationLimitDb)
}

/** The share of this thread that a stream takes; `stepSeconds` becomes what its steps take. */
function measure(i) {
  const hopSeconds = CHOICES_MS[i][2] / 1000
  const noise = Float32Array.from({ length: hopSeconds * options.sampleRate }, () => 0.1 * (Math.random() - 0.5))
  const stream = open(i)
  stream.feed(noise) // a step may need more than a hop at first
  stepSeconds = Infinity
  for (let steps = 0; steps < MEASURED_STEPS && stepSeconds > ADMITTED_LOAD * hopSeconds; steps++)
    stepSeconds = Math.min(stepSeconds, timed(() => stream.feed(noise)).seconds)
  stream.close()
  return stepSeconds / hopSeconds
}

function timed(work) {
  const begun = performance.now()
  const result = work()
  return { result, seconds: (performance.now() - begun) / 1000 }
}

/** A stream whose first sample is the `start`-th that was captured. */
function begin(i, start) {
  stream?.close()
  stream = open(i)
  choice = i
  fed = start
  const margin = (1.25 * stepSeconds + MARGIN_SECONDS + options.bufferSeconds) * options.sampleRate
  const delay = stream.latency + BLOCK_SAMPLES + Math.ceil(margin)
  options.port.postMessage({ read: start, begin: start, delay, samples: new Float32Array() })
}

/** Sound from the audio thread. */
function hear({ start, samples, delay, underRuns }) {
  const dropped = start !== fed
  if (dropped) begin(Math.min(choice + 1, CHOICES_MS.length - 1), start)
  const { result, seconds } = timed(() => stream.feed(samples))
  fed += samples.length
  options.port.postMessage({ read: fed, samples: result }, [result.buffer])
  since.samples += samples.length
  since.busySeconds += seconds
  if (since.samples >= REPORT_SECONDS * options.sampleRate) report(delay, underRuns)
}

function report(delay, underRuns) {
  const load = (since.busySeconds * options.sampleRate) / since.samples
  const gap = underRuns > since.underRuns
  Object.assign(since, { samples: 0, busySeconds: 0, underRuns })
  postMessage({ load, underRuns, latencySeconds: delay / options.sampleRate, tooSlow: load > 1 })
  if (gap && load > HIGHEST_LOAD && choice + 1 < CHOICES_MS.length) begin(choice + 1, fed)
}
