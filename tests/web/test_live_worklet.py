"""The audio thread of the live microphone, with a worker of the test that gives every block back as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import playwright.sync_api as playwright
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from web.conftest import Site

QUANTUM = 128  # samples that the browser asks for at once
DELAY = 2_000  # that the worker asks for
LONGEST_WAIT = 8_000

# The i-th sample of the input is i + 1. Blocks come back at once, but while `blocked` has the number of the quantum.
_SIMULATION = """
globalThis.AudioWorkletProcessor = class { port = {} }
globalThis.registerProcessor = (_, Processor) => (globalThis.Processor = Processor)
globalThis.sampleRate = 16000
globalThis.simulate = (delay, quanta, blocked) => {
  const processor = new Processor()
  const waiting = []
  let underRuns = 0
  let next
  const worker = { postMessage: (message) => waiting.push(message) }
  processor.port.onmessage({ data: { worker } })
  const played = new Float32Array(128 * quanta)
  for (let quantum = 0; quantum < quanta; quantum++) {
    const input = Float32Array.from({ length: 128 }, (_, i) => 128 * quantum + i + 1)
    processor.process([[input]], [[played.subarray(128 * quantum, 128 * (quantum + 1))]])
    if (blocked.includes(quantum)) continue
    for (const message of waiting.splice(0)) {
      const { start, samples } = message
      const begin = start === next ? {} : { begin: start, delay }
      next = start + samples.length
      worker.onmessage({ data: { read: next, samples, ...begin } })
      underRuns = message.underRuns
    }
  }
  const quantumAt = (i) => played.subarray(128 * i, 128 * (i + 1))
  const isWhole = (block) => block.every((sample, i) => sample === block[0] + i)
  const first = (block) => (isWhole(block) ? block[0] - 1 : -1)
  return { played: Array.from({ length: quanta }, (_, i) => first(quantumAt(i))), underRuns }
}
"""


Simulate = Callable[..., tuple[NDArray[np.int64], int]]


@pytest.fixture(scope="module")
def simulate(chromium: playwright.Browser, site: Site) -> Simulate:
    """Play so many quanta, with the worker blocked at some.

    Returns [quanta] with the number of the first sample that is played, -1 where it is silence or fades, and the number
    of under-runs.
    """
    page = chromium.new_page()
    page.add_init_script(_SIMULATION)
    page.goto(site.url + "live-worklet.js")
    page.evaluate("() => import('./live-worklet.js').then(() => {})")

    def simulated(quanta: int, blocked: Iterable[int] = ()) -> tuple[NDArray[np.int64], int]:
        found = page.evaluate("(arguments) => simulate(...arguments)", [DELAY, quanta, list(blocked)])
        return np.array(found["played"], int), found["underRuns"]

    return simulated


def lags(played: NDArray[np.int64]) -> NDArray[np.int64]:
    """By how many samples the quanta that are played are late."""
    heard = np.flatnonzero(played >= 0)
    return np.asarray(QUANTUM * heard - played[heard])


def test_what_comes_in_time(simulate: Simulate) -> None:
    """The first quantum fades in."""
    played, under_runs = simulate(100)
    first = DELAY // QUANTUM + 2
    assert (played[:first] == -1).all()
    assert (played[first:] >= 0).all()
    assert set(lags(played).tolist()) == {DELAY}
    assert under_runs == 0


def test_what_comes_late_is_waited_for(simulate: Simulate) -> None:
    """Then all later sound is late by as much, and the same delay of the worker does no harm again."""
    played, under_runs = simulate(300, [*range(100, 130), *range(200, 230)])
    before, after = sorted(set(lags(played).tolist()))
    assert before == DELAY
    assert DELAY < after <= DELAY + 30 * QUANTUM
    assert under_runs == 1
    assert np.count_nonzero(played[50:] == -1) <= (after - before) / QUANTUM + 2  # which fade


def test_what_comes_much_too_late_is_skipped(simulate: Simulate) -> None:
    played, under_runs = simulate(300, range(100, 200))
    assert set(lags(played).tolist()) == {DELAY, DELAY + LONGEST_WAIT}
    assert under_runs == 1


def test_a_worker_that_does_not_keep_up_begins_anew(simulate: Simulate) -> None:
    """After a second, sound is dropped. It is silent while the worker is blocked, and where it begins anew."""
    played, under_runs = simulate(500, range(100, 300))
    assert lags(played)[-1] == DELAY
    assert under_runs == 2


_PAUSES = st.lists(st.tuples(st.integers(0, 299), st.integers(1, 120)), max_size=6)


@settings(deadline=None, max_examples=30)
@given(pauses=_PAUSES)
def test_any_pauses_of_the_worker(simulate: Simulate, pauses: list[tuple[int, int]]) -> None:
    """Nothing is played twice or early, and silence in between is counted."""
    played, under_runs = simulate(300, {i for start, length in pauses for i in range(start, start + length)})
    heard = np.flatnonzero(played >= 0)
    assert (np.diff(played[heard]) > 0).all()
    assert ((lags(played) >= DELAY) & (lags(played) <= DELAY + LONGEST_WAIT)).all()
    gaps = np.count_nonzero(np.diff(heard) > 1)
    assert under_runs >= gaps
