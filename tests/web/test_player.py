"""Recordings before and after, heard by turns: no click, and the same position."""

from __future__ import annotations

import numpy as np

from web.conftest import Site, Visit

RATE, FREQUENCY = 8_000, 200
SWITCHED, PAUSED = 0.5, 1.0  # seconds

# The player in a context that is not heard. It is halted to switch, and to pause.
_PLAY = """async ([rate, frequency, switched, paused]) => {
  let context
  const resume = OfflineAudioContext.prototype.resume
  globalThis.AudioContext = class extends OfflineAudioContext {
    constructor({ sampleRate }) {
      super(1, 1.5 * sampleRate, sampleRate)
      context = this
    }
    async resume() {}
  }
  const { Player } = await import('./player.js')
  const tone = (sign) => ({
    samples: 10 * rate,
    sampleRate: rate,
    read: async (start, stop) => {
      const sample = (i) => sign * Math.sin((2 * Math.PI * frequency * (start + i)) / rate)
      return [Float32Array.from({ length: stop - start }, (_, i) => sample(i))]
    },
  })
  const player = new Player([tone(1), tone(-1)], () => {})
  player.play()
  await new Promise((resolve) => setTimeout(resolve, 100)) // what is read is there
  const then = (seconds, act) => context.suspend(seconds).then(() => (act(), resume.call(context)))
  then(switched, () => (player.shares = [1, 0]))
  then(paused, () => player.pause())
  const buffer = await context.startRendering()
  return Array.from(buffer.getChannelData(0))
}"""


def test_switching_and_pausing_make_no_click(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    heard = np.array(page.evaluate(_PLAY, [RATE, FREQUENCY, SWITCHED, PAUSED]))
    begin, fade = int(np.flatnonzero(heard)[0]) - 1, RATE // 20
    tone = np.sin(2 * np.pi * FREQUENCY * (np.arange(len(heard)) - begin) / RATE)
    switched, paused = (int(seconds * RATE) for seconds in (SWITCHED, PAUSED))
    np.testing.assert_allclose(heard[begin : switched - 128], -tone[begin : switched - 128], atol=1e-4)
    np.testing.assert_allclose(heard[switched + fade : paused - 128], tone[switched + fade : paused - 128], atol=1e-4)
    assert not heard[paused + fade :].any()
    assert np.abs(np.diff(heard)).max() < 1.1 * np.abs(np.diff(tone)).max()
