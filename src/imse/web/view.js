// One recording on the page: its progress, pictures, player and download.
import { Player } from './player.js'
import { blend } from './recording.js'
import { clear, draw } from './spectrogram.js'

export const COLUMNS = 1000

let count = 0

/** Minutes and seconds, with hours if there are any. */
export function clock(seconds) {
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor)
  const two = (number) => String(number).padStart(2, '0')
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

export class View {
  #root
  #settings
  #abort = new AbortController()
  #player = null
  #result = null // { original, enhanced, blob, weights }
  #url = null
  #urlKept = null // the share of the recording in what the address is of
  #begun = 0

  /**
   * @param {File} file
   * @param {import('./settings.js').Settings} settings
   * @param {(view: View) => void} again asked to clean it once more
   */
  constructor(file, settings, again) {
    this.file = file
    this.#settings = settings
    this.#root = document.querySelector('#result').content.cloneNode(true).firstElementChild
    document.querySelector('#results').prepend(this.#root)
    this.#find('.name').textContent = file.name
    this.#find('.name').id = `name-${++count}`
    this.#find('article').setAttribute('aria-labelledby', `name-${count}`)
    this.#find('progress').setAttribute('aria-label', `Progress of ${file.name}`)
    this.#radios.forEach((radio) => (radio.name = `heard-${count}`))
    this.#find('.cancel').onclick = () => this.#abort.abort(new DOMException('Cancelled.', 'AbortError'))
    this.#find('.remove').onclick = () => this.#remove()
    this.#find('.again').onclick = () => {
      this.#dropResult()
      again(this)
    }
    settings.addEventListener('change', () => this.#follow())
  }

  get signal() {
    return this.#abort.signal
  }

  wait() {
    this.#abort = new AbortController()
    this.#show({ working: true })
    this.#state('Waiting', 0)
  }

  /** @param {number} seconds that are decoded */
  read(seconds = 0) {
    this.#state(seconds ? `Reading: ${clock(seconds)}` : 'Reading', 0)
  }

  /** @param source what `openRecording` returns */
  begin(source) {
    const { channels, sampleRate, samples } = source
    const sound = { 1: 'mono', 2: 'stereo' }[channels] ?? `${channels} channels`
    this.#find('.facts').textContent = `${clock(samples / sampleRate)}, ${sampleRate / 1000} kHz, ${sound}`
    this.#show({ working: true, pictures: true })
    for (const [name, canvas] of this.#pictures) {
      clear(canvas, COLUMNS)
      canvas.setAttribute('aria-label', `Spectrogram ${name}`)
    }
    this.#begun = performance.now()
    this.#state('Cleaning', 0)
  }

  progress({ share, before, after }) {
    for (const [name, canvas] of this.#pictures) draw(canvas, { before, after }[name])
    const left = ((performance.now() - this.#begun) / 1000) * (1 / share - 1)
    this.#state(`${Math.floor(100 * share)} %, ${left < 1 ? 'less than a second' : clock(left)} left`, share)
  }

  /** @param result with the sources `original` and `enhanced`, and `blob`, `weights` */
  finish(result) {
    this.#result = result
    this.#player = new Player([result.original, result.enhanced], () => this.#tick())
    this.#handOver('.play', () => this.#show({ pictures: true, player: true, done: true }))
    this.#setUpPlayer()
    this.#setUpDownload()
    this.#follow()
    this.#tick()
  }

  /** @param {boolean} isCalm it was the user's wish */
  fail(message, isCalm = false) {
    const failure = this.#find('article > .failure')
    failure.textContent = message
    failure.classList.toggle('calm', isCalm)
    this.#offerAgain('Try again')
    this.#handOver('.again', () => this.#show({ failure: true, done: true }))
  }

  // The keyboard goes on where the button to cancel was.
  #handOver(selector, show) {
    const hadFocus = this.#find('.cancel') === document.activeElement
    show()
    if (hadFocus) this.#find(selector).focus()
  }

  #find(selector) {
    return this.#root.querySelector(selector)
  }

  get #radios() {
    return [...this.#root.querySelectorAll('.switch input')]
  }

  get #pictures() {
    return ['before', 'after'].map((name) => [name, this.#find(`canvas.${name}`)])
  }

  #show({ working = false, failure = false, pictures = false, player = false, done = false }) {
    for (const [name, shown] of Object.entries({ working, pictures, player, done })) this.#find(`.${name}`).hidden = !shown
    this.#find('article > .failure').hidden = !failure
    this.#find('.download').hidden = !player
    this.#find('.playhead').hidden = !player
    this.#find('.pictures').classList.toggle('seekable', player)
  }

  #state(text, share) {
    this.#find('.state').textContent = text
    this.#find('progress').value = share
  }

  #offerAgain(text) {
    const button = this.#find('.again')
    button.textContent = text
    button.hidden = !text
  }

  #setUpPlayer() {
    const player = this.#player
    const seek = (sample) => this.#guarded(() => player.seek(sample))
    const position = this.#find('.position')
    position.max = player.samples / player.rate
    position.step = Math.min(1, player.samples / player.rate / 100)
    position.oninput = () => seek(position.value * player.rate)
    this.#find('.play').onclick = () => (player.isPlaying ? player.pause() : this.#guarded(() => player.play()))
    this.#radios.forEach((radio) => (radio.onchange = () => this.#follow()))
    const pictures = this.#find('.pictures')
    pictures.onclick = ({ clientX }) => {
      const { left, width } = pictures.getBoundingClientRect()
      seek(((clientX - left) / width) * player.samples)
    }
  }

  #tick() {
    const player = this.#player
    if (!player) return
    const seconds = player.position / player.rate
    this.#find('.play').textContent = player.isPlaying ? 'Pause' : 'Play'
    const position = this.#find('.position')
    position.value = seconds
    position.setAttribute('aria-valuetext', clock(seconds))
    this.#find('.time').textContent = `${clock(seconds)} / ${clock(player.samples / player.rate)}`
    this.#find('.playhead').style.left = `${(100 * player.position) / player.samples}%`
  }

  // What is heard and what can be downloaded follow the settings.
  #follow() {
    if (!this.#player) return
    const { kept } = this.#settings
    const isBefore = this.#radios.find((radio) => radio.checked).value === 'before'
    this.#player.shares = isBefore ? [1, 0] : [kept, 1 - kept]
    const { weights } = this.#settings
    this.#offerAgain(weights === this.#result.weights ? '' : `Clean again: ${this.#settings.weightsTitle(weights).toLowerCase()}`)
    if (kept === 0 && this.#urlKept !== 0) this.#offer(this.#result.blob, kept)
  }

  #setUpDownload() {
    const link = this.#find('.download')
    link.download = `${this.file.name.replace(/\.[^.]*$/, '')}.enhanced.wav`
    this.#offer(this.#result.blob, 0)
    link.onclick = (event) => {
      const { kept } = this.#settings
      if (kept === this.#urlKept) return
      event.preventDefault()
      this.#guarded(async () => {
        link.textContent = 'Mixing …'
        const { original, enhanced } = this.#result
        this.#offer(await blend(original, enhanced, kept), kept)
        link.textContent = 'Download'
        link.click()
      })
    }
  }

  #offer(blob, kept) {
    if (this.#url) URL.revokeObjectURL(this.#url)
    this.#url = URL.createObjectURL(blob)
    this.#urlKept = kept
    this.#find('.download').href = this.#url
  }

  async #guarded(work) {
    try {
      await work()
    } catch (error) {
      const { name } = this.file
      const lost = error.name === 'NotReadableError' || error.name === 'NotFoundError'
      this.fail(lost ? `${name} was moved or changed since it was chosen.` : error.message)
    }
  }

  #dropResult() {
    this.#player?.close()
    this.#player = this.#result = null
    if (this.#url) URL.revokeObjectURL(this.#url)
    this.#url = null
    this.#urlKept = null
    this.#offerAgain('')
  }

  #remove() {
    this.#dropResult()
    const next = this.#root.nextElementSibling ?? this.#root.previousElementSibling
    this.#root.remove()
    const target = next?.querySelector('.remove') ?? document.querySelector('#files')
    target.focus()
  }
}
