// The part of the page that cleans the microphone as it comes: a button, and how it goes.
import { Live } from './live.js'

/**
 * @param {HTMLElement} section with the elements of the class names below
 * @param {() => Promise<object>} open gives `library`, `weights` and `attenuationLimitDb` for Live.start
 */
export function setUpLive(section, open) {
  const [button, audible, status, numbers] = ['button', 'audible', 'status', 'numbers'].map((name) =>
    section.querySelector(`.live-${name}`),
  )
  let live = null

  button.onclick = async () => {
    button.disabled = true
    if (live) await stop('')
    else await start()
    button.disabled = false
  }
  audible.onchange = () => live && (live.audible = audible.checked)

  async function start() {
    status.textContent = 'Starting …'
    try {
      const fail = (error) => stop(error.message)
      live = await Live.start({ ...(await open()), audible: audible.checked, report: show, fail })
      show({ load: 0, underRuns: 0 })
    } catch (error) {
      return stop(error.message)
    }
    status.textContent = 'The microphone is on.'
    button.textContent = 'Stop'
  }

  async function stop(message) {
    await live?.stop()
    live = null
    numbers.hidden = true
    status.textContent = message
    button.textContent = 'Start'
  }

  function show({ load, underRuns, latencySeconds, tooSlow }) {
    if (!live) return
    numbers.hidden = false
    const texts = {
      latency: latencySeconds ? `${Math.round(1000 * latencySeconds)} ms` : '…',
      load: `${Math.round(100 * load)} % of a core`,
      'under-runs': String(underRuns),
    }
    for (const [name, text] of Object.entries(texts)) numbers.querySelector(`.live-${name}`).textContent = text
    status.textContent = tooSlow
      ? 'This machine is too slow, so sound is missing. The small weights take less.'
      : 'The microphone is on.'
  }
}
