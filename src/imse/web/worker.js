// A worker that owns one engine: it enhances parts of recordings, and computes how they look in spectrograms.
import { Imse } from './engine.js'
import { columnsBetween, mixdown } from './spectrogram.js'

let network

const tasks = {
  async open({ module, weights }) {
    const imse = await Imse.load(module)
    network = imse.open(weights)
    return [{}]
  },

  // Channels are enhanced one by one. The spectrogram is that of their mean.
  enhance({ recording, i, part, channels }) {
    const { sampleRate, samples, columns } = recording
    const enhanced = channels.map((noisy) => network.enhancePart(sampleRate, samples, i, noisy))
    const before = mixdown(channels).subarray(part.begin - part.start, part.end - part.start)
    const spectra = [before, mixdown(enhanced)].map((signal) =>
      columnsBetween(signal, part.begin, { sampleRate, samples, columns }),
    )
    return [{ enhanced, before: spectra[0], after: spectra[1] }, enhanced.map((samples) => samples.buffer)]
  },
}

onmessage = async ({ data: { id, task, ...job } }) => {
  try {
    const [result, transfer] = await tasks[task](job)
    postMessage({ id, result }, transfer)
  } catch (error) {
    postMessage({ id, error: error.message })
  }
}
