"""The worker of the live microphone, on machines as fast as the test says: it chooses the latency."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import playwright.sync_api as playwright
import pytest

from web.conftest import Site

MACHINE = Path(__file__).parent / "engine_of_a_machine.js"

# Sound of 16 kHz in blocks, as the audio thread gives it. `seconds` has what a step takes for each second of sound,
# `underRuns` how often sound was late until then. Of the blocks at `lost`, in order, the worker is told nothing.
_PLAY = """async ([measured, seconds, underRuns, lost]) => {
  const worker = new Worker('live-worker.js', { type: 'module' })
  const { port1, port2 } = new MessageChannel()
  const found = { delays: [], reports: [] }
  const answers = []
  let next = () => {}
  const change = () =>
    new Promise((resolve, reject) => {
      next = resolve
      setTimeout(() => reject(new Error('the worker says nothing')), 20000)
    })
  const hear = (answer) => { answers.push(answer); next() }
  const answer = async () => {
    while (!answers.length) await change()
    return answers.shift()
  }
  port1.onmessage = ({ data }) => {
    if (data.delay !== undefined) found.delays.push(data.delay)
    else hear(data)
  }
  worker.onmessage = ({ data }) => {
    if (data.ready || data.error) hear(data)
    else found.reports.push(data), next()
  }
  const weights = new TextEncoder().encode(String(measured))
  const options = { attenuationLimitDb: Infinity, sampleRate: 16000, bufferSeconds: 0.01 }
  worker.postMessage({ library: null, weights, ...options, port: port2 }, [port2])
  const { error } = await answer()
  if (error) throw new Error(error)
  const BLOCK = 512
  let heard = 0
  for (let block = 0; block < (seconds.length * 16000) / BLOCK; block++) {
    if (lost.includes(block)) continue
    heard++
    const second = Math.floor((block * BLOCK) / 16000)
    const samples = new Float32Array(BLOCK).fill(seconds[second])
    const delay = found.delays.at(-1)
    port1.postMessage({ start: block * BLOCK, samples, delay, underRuns: underRuns[second] })
    await answer()
  }
  while (found.reports.length < Math.floor(heard / 32)) await change()
  worker.terminate()
  return found
}"""

Play = Callable[..., tuple[list[int], list[dict[str, float]]]]


@pytest.fixture(scope="module")
def play(chromium: playwright.Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Run the worker where a step takes so many seconds while it measures, and so many in each second afterwards.

    Returns the hop in milliseconds of each stream that it began, and what it reported every second.
    """
    site = Site(tmp_path_factory.mktemp("machine"))
    shutil.copy(MACHINE, site.folder / "engine.js")
    page = chromium.new_page()
    page.goto(site.url + "live-worker.js")

    def played(
        measured: float, seconds: list[float], under_runs: list[int] | None = None, lost: list[int] | None = None
    ) -> tuple[list[int], list[dict[str, float]]]:
        found = page.evaluate(_PLAY, [measured, seconds, under_runs or [0] * len(seconds), lost or []])
        return [delay // 1_000_000 for delay in found["delays"]], found["reports"]

    yield played
    page.close()
    site.close()


@pytest.mark.parametrize(
    ("step_seconds", "expected_ms"), [(0.01, 50), (0.034, 50), (0.069, 100), (0.1, 200), (0.16, 500), (2, 500)]
)
def test_the_first_latency_follows_the_speed_of_the_machine(step_seconds: float, expected_ms: int, play: Play) -> None:
    """A step may take 0.7 of the hop."""
    hops_ms, reports = play(step_seconds, [])
    assert hops_ms == [expected_ms]
    assert reports == []


def test_a_machine_that_becomes_slow_gets_a_longer_latency(play: Play) -> None:
    hops_ms, reports = play(0.05, [0.05, 0.05, 0.15, 0.15, 0.15, 0.15, 0.15], [0, 0, 3, 5, 5, 5, 5])
    assert hops_ms == [100, 200]
    loads = [round(report["load"], 1) for report in reports]
    assert loads[0] == 0.5
    assert loads[-1] == pytest.approx(0.15 / 0.2, abs=0.06)
    assert any(report["tooSlow"] for report in reports)
    assert not reports[-1]["tooSlow"]
    assert reports[-1]["latencySeconds"] > reports[0]["latencySeconds"]


def test_a_busy_machine_without_gaps_keeps_its_latency(play: Play) -> None:
    hops_ms, _ = play(0.05, [0.098] * 4)
    assert hops_ms == [100]


def test_gaps_that_are_not_the_fault_of_the_network_keep_the_latency(play: Play) -> None:
    hops_ms, reports = play(0.05, [0.05] * 4, [0, 2, 4, 6])
    assert hops_ms == [100]
    assert [report["underRuns"] for report in reports] == [0, 4, 6]  # each after 1.02 s


def test_sound_that_was_dropped_makes_the_latency_longer(play: Play) -> None:
    hops_ms, _ = play(0.05, [0.05, 0.05], lost=list(range(20, 40)))
    assert hops_ms == [100, 200]


def test_there_is_a_longest_latency(play: Play) -> None:
    hops_ms, reports = play(2, [2] * 4, [1, 2, 3, 4])
    assert hops_ms == [500]
    assert reports[-1]["tooSlow"]
