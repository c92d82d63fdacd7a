"""The microphone live, as one hears it: Chromium's plays the noisy recording, and what the page plays is recorded."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import playwright.sync_api as playwright
import pytest
from playwright.sync_api import expect

from imse import Stream
from imse.signal.spectrum import Floats
from web.conftest import Site, Visit

RECORDER = Path(__file__).parent / "tap.js"
SECONDS = 7
COMPARED_SECONDS = 5
QUANTUM = 128
# For machines that do other things, too: sound is played later, so that it is there when the processor was away.
PATIENCE = {
    "live-worker.js": ("MARGIN_SECONDS = 0.01", "MARGIN_SECONDS = 1.5"),
    "live-worklet.js": ("LONGEST_BACKLOG_SECONDS = 1", "LONGEST_BACKLOG_SECONDS = 3"),
}


@pytest.fixture(scope="module")
def recorded_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page, more patient, with the recorder beside it."""
    site = Site(tmp_path_factory.mktemp("live"))
    (site.folder / RECORDER.name).write_bytes(RECORDER.read_bytes())
    for name, (hasty, patient) in PATIENCE.items():
        module = site.folder / name
        text = module.read_text()
        assert text.count(hasty) == 1
        module.write_text(text.replace(hasty, patient))
    yield site
    site.close()


def recorded(page: playwright.Page) -> tuple[Floats, Floats, int]:
    """What came from the microphone and what was played, both [samples], and the sample rate."""
    blocks = np.frombuffer(b64decode(page.evaluate("recorder.content()")), "<f4").reshape(-1, 2, QUANTUM)
    microphone, played = blocks.transpose(1, 0, 2).reshape(2, -1)
    return microphone, played, page.evaluate("recorder.sampleRate")


def delay(played: Floats, expected: Floats) -> int:
    """By how many samples what was played is later than what is expected."""
    size = 2 * len(played)
    correlation = np.fft.irfft(np.fft.rfft(played, size) * np.conj(np.fft.rfft(expected, size)))
    return int(np.argmax(correlation[: len(played)]))


def noise_floor_db(signal: Floats, rate: int) -> float:
    """Level of the quietest tenth of frames of 50 ms."""
    size = rate // 20
    frames = signal[: len(signal) // size * size].reshape(-1, size).astype(float)
    return 10 * float(np.log10(np.quantile(np.mean(frames**2, axis=1), 0.1)))


def listen(page: playwright.Page) -> playwright.Locator:
    """Begin, and give the part of the page that says how it goes."""
    live = page.locator(".live")
    live.get_by_role("button", name="Start").click()
    live.get_by_text("The microphone is on.").wait_for()
    return live


def milliseconds(number: playwright.Locator) -> float:
    return float(number.inner_text().split()[0])


@pytest.mark.slow
def test_the_microphone_comes_out_clean(recorded_site: Site, visit: Visit) -> None:
    page = visit(recorded_site.url, RECORDER, permissions=["microphone"])
    page.get_by_label("Network").select_option("small")
    live = listen(page)
    page.wait_for_timeout(1000 * SECONDS)
    latency_ms = milliseconds(live.locator(".live-latency"))
    expect(live.locator(".live-under-runs")).to_have_text("0")
    live.get_by_role("button", name="Stop").click()
    live.get_by_role("button", name="Start").wait_for()

    microphone, played, rate = recorded(page)
    assert len(played) > COMPARED_SECONDS * rate
    stream = Stream("small", rate, latency_ms=300)
    expected = np.concatenate([stream.feed(microphone), stream.flush()])
    last = slice(-COMPARED_SECONDS * rate, None)
    late = delay(played[last], expected[last])
    found = played[last][late:]
    noisy, expected = (signal[last][: len(found)] for signal in (microphone, expected))
    assert noise_floor_db(found, rate) < noise_floor_db(noisy, rate) - 10
    assert 10 * np.log10(np.sum(expected**2) / np.sum((found - expected) ** 2)) > 6
    assert 1000 * late / rate == pytest.approx(latency_ms, abs=100)


def test_a_refused_microphone(site: Site, visit: Visit) -> None:
    live = visit(site.url).locator(".live")
    live.get_by_role("button", name="Start").click()
    live.get_by_text("The microphone was refused.").wait_for()
    live.get_by_role("button", name="Start").wait_for()
