// Spectrograms: columns of levels, computed where the samples are, and a picture that they are drawn into.

export const ROWS = 96
const FULL_SCALE_DB = -22 // of a bin, drawn brightest
const FLOOR_DB = -98
const WINDOW_SECONDS = 0.03
const MOST_WINDOWS = 4 // in a column

/** The mean of channels. */
export function mixdown(channels) {
  if (channels.length === 1) return channels[0]
  return Float32Array.from(channels[0], (_, i) => channels.reduce((sum, samples) => sum + samples[i], 0) / channels.length)
}

/**
 * Columns of the picture of a whole recording that begin in a stretch of it.
 * @param {Float32Array} signal the stretch
 * @param {number} begin its first sample
 * @param {{sampleRate: number, samples: number, columns: number}} recording
 * @returns {{first: number, levels: Uint8Array}} levels [columns, ROWS], from the lowest frequency up
 */
export function columnsBetween(signal, begin, { sampleRate, samples, columns }) {
  const width = samples / columns
  const first = Math.ceil(begin / width)
  const count = Math.max(0, Math.min(columns, Math.ceil((begin + signal.length) / width)) - first)
  const size = 2 ** Math.round(Math.log2(WINDOW_SECONDS * sampleRate))
  const transform = new Transform(size)
  const edges = melEdges(sampleRate, size)
  const windows = Math.max(1, Math.min(MOST_WINDOWS, Math.floor((2 * width) / size)))
  const levels = new Uint8Array(count * ROWS)
  for (let column = 0; column < count; column++) {
    const power = new Float32Array(size / 2 + 1)
    for (let i = 0; i < windows; i++) {
      const middle = (first + column + (i + 0.5) / windows) * width - begin
      transform.addPower(signal, Math.round(middle - size / 2), power)
    }
    for (let row = 0; row < ROWS; row++) {
      let most = 0
      for (let bin = edges[row]; bin < Math.max(edges[row] + 1, edges[row + 1]); bin++) most = Math.max(most, power[bin])
      const level = 10 * Math.log10(most / windows + 1e-20)
      levels[column * ROWS + row] = Math.max(0, Math.min(255, (255 * (level - FLOOR_DB)) / (FULL_SCALE_DB - FLOOR_DB)))
    }
  }
  return { first, levels }
}

// Rows are equally wide on the mel scale, which gives speech most of the picture.
function melEdges(sampleRate, size) {
  const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700)
  const highest = mel(sampleRate / 2)
  return Array.from({ length: ROWS + 1 }, (_, row) => {
    const hertz = 700 * (10 ** ((highest * row) / ROWS / 2595) - 1)
    return Math.min(size / 2, Math.round((hertz * size) / sampleRate))
  })
}

// Fast Fourier transform of windows of `size` samples, a power of two (Cooley and Tukey, 1965).
class Transform {
  constructor(size) {
    this.size = size
    this.real = new Float32Array(size)
    this.imag = new Float32Array(size)
    const angles = Array.from({ length: size }, (_, i) => (2 * Math.PI * i) / size)
    this.cosine = Float32Array.from(angles, Math.cos)
    this.sine = Float32Array.from(angles, Math.sin)
    // Hann's window, under which a sine of full scale has a power of one.
    this.window = Float32Array.from(angles, (angle) => (4 / size) * (0.5 - 0.5 * Math.cos(angle)))
    const bits = Math.log2(size)
    this.reversed = Uint32Array.from({ length: size }, (_, i) => {
      let reversed = 0
      for (let bit = 0; bit < bits; bit++) reversed |= ((i >> bit) & 1) << (bits - 1 - bit)
      return reversed
    })
  }

  addPower(signal, start, power) {
    const { size, real, imag, cosine, sine, window, reversed } = this
    imag.fill(0)
    for (let i = 0; i < size; i++) real[reversed[i]] = window[i] * (signal[start + i] ?? 0)
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half)
      for (let group = 0; group < size; group += 2 * half) {
        for (let i = 0; i < half; i++) {
          const [a, b] = [group + i, group + i + half]
          const [c, s] = [cosine[i * step], -sine[i * step]]
          const x = real[b] * c - imag[b] * s
          const y = real[b] * s + imag[b] * c
          real[b] = real[a] - x
          imag[b] = imag[a] - y
          real[a] += x
          imag[a] += y
        }
      }
    }
    for (let bin = 0; bin <= size / 2; bin++) power[bin] += real[bin] ** 2 + imag[bin] ** 2
  }
}

// From silence to full scale.
const COLOURS = [
  [13, 17, 38],
  [28, 46, 94],
  [38, 106, 140],
  [92, 178, 158],
  [214, 228, 160],
  [255, 250, 224],
]

const PALETTE = Uint32Array.from({ length: 256 }, (_, level) => {
  const at = (level / 255) * (COLOURS.length - 1)
  const from = Math.min(COLOURS.length - 2, Math.floor(at))
  const [red, green, blue] = COLOURS[from].map((x, i) => Math.round(x + (at - from) * (COLOURS[from + 1][i] - x)))
  return (255 << 24) | (blue << 16) | (green << 8) | red
})

/** Prepare a canvas for a picture. */
export function clear(canvas, columns) {
  canvas.width = columns
  canvas.height = ROWS
}

/** Draw what `columnsBetween` returns. */
export function draw(canvas, { first, levels }) {
  const columns = levels.length / ROWS
  if (!columns) return
  const image = new ImageData(columns, ROWS)
  const pixels = new Uint32Array(image.data.buffer)
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < ROWS; row++) pixels[(ROWS - 1 - row) * columns + column] = PALETTE[levels[column * ROWS + row]]
  }
  canvas.getContext('2d').putImageData(image, first, 0)
}
