// The page: files that are chosen, dropped or recorded are cleaned one after the other.
import { RecordingError, openRecording } from './decode.js'
import { Imse } from './engine.js'
import { setUpLive } from './live-panel.js'
import { Pool } from './pool.js'
import { abortOf, enhance } from './recording.js'
import { Recorder } from './recorder.js'
import { Settings } from './settings.js'
import { COLUMNS, View } from './view.js'
import { openWav } from './wav.js'

const EXAMPLE = 'dishes.flac'

const find = (selector) => document.querySelector(selector)
const settings = new Settings()

function fail(message) {
  find('#failure').textContent = message
  find('#failure').hidden = !message
}

const announce = (message) => (find('#announcements').textContent = message)

async function content(path) {
  let response
  try {
    response = await fetch(path)
  } catch {
    throw new Error('A part of this page could not be loaded. Is there a network? Reload the page to try again.')
  }
  if (!response.ok) throw new Error(`A part of this page is missing (${path}). Reload the page to try again.`)
  return response.arrayBuffer()
}

// ---- The engine ----

const loaded = new Map()

// What is loaded once; a failure is not kept.
function once(key, load) {
  if (!loaded.has(key)) {
    const promise = load()
    promise.catch(() => loaded.delete(key))
    loaded.set(key, promise)
  }
  return loaded.get(key)
}

const libraryBytes = () => once('library', () => content('imse.wasm'))
const weightsBytes = (name) => once(name, () => content(`weights/${name}.safetensors`))

const library = () =>
  once('module', async () => {
    const bytes = await libraryBytes()
    try {
      const module = await WebAssembly.compile(bytes)
      return { module, imse: await Imse.load(module) }
    } catch (error) {
      throw new Error(
        'This browser is too old: it lacks WebAssembly with SIMD. Chrome and Edge from 95, Firefox from 114 and Safari ' +
          'from 16.4 have it.',
        { cause: error },
      )
    }
  })

let pool = null // of the newest weights that were asked for
let poolWeights = null

function openPool(weights) {
  if (poolWeights !== weights) {
    poolWeights = weights
    const opened = (pool = replacePool(pool, weights))
    opened.catch(() => pool === opened && (poolWeights = null)) // it is tried again
  }
  return pool
}

async function replacePool(before, weights) {
  const old = await before?.catch(() => null)
  old?.close()
  const { module } = await library()
  return Pool.open(module, new Uint8Array(await weightsBytes(weights)))
}

// ---- Recordings ----

const queue = []
let isWorking = false

function add(files) {
  for (const file of files) clean(new View(file, settings, clean))
}

function clean(view) {
  view.wait()
  queue.push(view)
  view.signal.onabort = () => {
    const place = queue.indexOf(view)
    if (place < 0) return // it is being cleaned
    queue.splice(place, 1)
    giveUp(view, view.signal.reason)
  }
  work()
}

async function work() {
  if (isWorking) return
  isWorking = true
  while (queue.length) await process(queue.shift())
  isWorking = false
}

async function process(view) {
  const { name } = view.file
  try {
    view.signal.throwIfAborted()
    view.read()
    const { weights } = settings
    const reading = openRecording(view.file, view.signal, (seconds) => view.read(seconds))
    const opened = Promise.all([library(), openPool(weights), reading])
    const [{ imse }, workers, original] = await Promise.race([opened, abortOf(view.signal)])
    view.begin(original)
    announce(`Cleaning ${name}.`)
    const blob = await enhance(original, imse, workers, COLUMNS, view.signal, (done) => view.progress(done))
    view.finish({ original, enhanced: await openWav(blob), blob, weights })
    announce(`${name} is clean.`)
  } catch (error) {
    giveUp(view, error)
  }
}

function giveUp(view, error) {
  if (!(error instanceof RecordingError) && error.name !== 'AbortError') console.error(error)
  view.fail(explain(error), error.name === 'AbortError')
  announce(`${view.file.name}: ${explain(error)}`)
}

function explain(error) {
  if (error.name === 'NotReadableError' || error.name === 'NotFoundError')
    return 'It cannot be read: it is a folder, or was moved or changed since it was chosen.'
  if (error instanceof RangeError || /memory/i.test(error.message)) return 'There is not enough memory for it in this browser.'
  if (/NaN/.test(error.message)) return 'It has samples that are not numbers. Did the program that wrote it fail?'
  return error.message
}

// ---- Choosing ----

find('#files').onchange = ({ target }) => {
  add(target.files)
  target.value = ''
}

const zone = find('#choose')
let depth = 0 // of elements that the pointer is over

addEventListener('dragenter', (event) => {
  event.preventDefault()
  depth++
  zone.classList.add('over')
})
addEventListener('dragleave', () => {
  if (--depth <= 0) zone.classList.remove('over')
})
addEventListener('dragover', (event) => event.preventDefault())
addEventListener('drop', (event) => {
  event.preventDefault()
  depth = 0
  zone.classList.remove('over')
  add(event.dataTransfer.files)
})

find('#example').onclick = async () => {
  try {
    add([new File([await content(EXAMPLE)], EXAMPLE, { type: 'audio/flac' })])
    fail('')
  } catch (error) {
    fail(error.message)
  }
}

// ---- The microphone ----

const MICROPHONE_ERRORS = {
  NotAllowedError: 'The microphone was refused. Allow it for this page in the settings of the browser, and try again.',
  NotFoundError: 'There is no microphone.',
  NotReadableError: 'Another program uses the microphone.',
}

const recordButton = find('#record')
let recorder = null

recordButton.onclick = async () => {
  recordButton.disabled = true
  try {
    if (recorder) {
      add([await recorder.stop()])
      recorder = null
    } else {
      recorder = await Recorder.start()
    }
    fail('')
  } catch (error) {
    fail(MICROPHONE_ERRORS[error.name] ?? 'This browser cannot record here: pages need https or this machine for it.')
  }
  recordButton.disabled = false
  recordButton.textContent = recorder ? 'Stop recording' : 'Record'
  recordButton.setAttribute('aria-pressed', String(Boolean(recorder)))
  find('#recording').textContent = recorder ? 'Recording …' : ''
}

setUpLive(find('.live'), async () => {
  const { attenuationLimitDb, weights } = settings
  const [libraryContent, weightsContent] = await Promise.all([libraryBytes(), weightsBytes(weights)])
  return { library: libraryContent, weights: weightsContent, attenuationLimitDb }
})

// ---- Loading ----

// So that it is there when a file is chosen.
openPool(settings.weights).catch((error) => fail(error.message))
navigator.serviceWorker?.register('service-worker.js').catch(() => {}) // works without, but not offline
