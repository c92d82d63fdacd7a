// The settings of the page, kept from visit to visit.
import { shareKept } from './recording.js'

const KEY = 'imse'

export class Settings extends EventTarget {
  #strength = document.querySelector('#strength')
  #weights = document.querySelector('#weights')

  constructor() {
    super()
    try {
      const { strength, weights } = JSON.parse(localStorage.getItem(KEY)) ?? {}
      if (strength !== undefined) this.#strength.value = strength
      if ([...this.#weights.options].some(({ value }) => value === weights)) this.#weights.value = weights
    } catch {
      // Nothing is kept where the browser does not allow it.
    }
    this.#show()
    for (const control of [this.#strength, this.#weights]) {
      control.addEventListener('input', () => {
        this.#show()
        this.#keep()
        this.dispatchEvent(new Event('change'))
      })
    }
  }

  /** In dB; Infinity for no limit. */
  get attenuationLimitDb() {
    const { value, max } = this.#strength
    return value === max ? Infinity : Number(value)
  }

  /** The share of the recording in what comes out. */
  get kept() {
    return shareKept(this.attenuationLimitDb)
  }

  /** A name of weights. */
  get weights() {
    return this.#weights.value
  }

  weightsTitle(name) {
    return this.#weights.querySelector(`[value="${name}"]`).textContent
  }

  #show() {
    const text = this.attenuationLimitDb === Infinity ? 'full' : `${this.attenuationLimitDb} dB`
    document.querySelector('#strength-value').textContent = text
    this.#strength.setAttribute('aria-valuetext', text)
  }

  #keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify({ strength: this.#strength.value, weights: this.weights }))
    } catch {
      // As above.
    }
  }
}
