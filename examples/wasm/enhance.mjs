// node enhance.mjs IMSE.wasm WEIGHTS.safetensors < NOISY > ENHANCED: 32-bit floats at 16 kHz, one channel.
import { readFileSync, writeFileSync } from 'node:fs'
import { Imse } from '../../src/imse/web/engine.js'

const [library, weights] = process.argv.slice(2).map((path) => readFileSync(path))
const imse = await Imse.load(library)
const network = imse.open(weights)
const input = readFileSync(0)
const noisy = new Float32Array(input.buffer.slice(input.byteOffset, input.byteOffset + input.length))
const begun = performance.now()
const enhanced = network.enhance(noisy)
const seconds = (performance.now() - begun) / 1000
console.error(`${((seconds * 16000) / noisy.length).toFixed(3)} s per second of sound`)
writeFileSync(1, new Uint8Array(enhanced.buffer))
