"""What is said of an enhanced recording: nothing where the noise went, something where speech went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from evaluate.material import RATE, Floats, noise, speech
from imse.evaluate.dnsmos import Rating
from imse.score.harm import compare, warnings
from imse.score.recording import Recording, measure

VOICE = speech(4)
NOISE = noise(VOICE, 15)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNSMOS is slow, and not what is tested here."""
    monkeypatch.setattr("imse.score.excerpts.dnsmos", lambda _: Rating(3.0, 3.0, 3.0))


def recording(folder: Path, signal: Floats, rate: int = RATE) -> Recording:
    soundfile.write(folder / "a.wav", signal, rate, "FLOAT")
    return measure(folder / "a.wav")


def muted(signal: Floats) -> Floats:
    """A fifth of a second in each second is 40 dB weaker."""
    return np.where(np.arange(len(signal)) % RATE < RATE // 5, 0.01, 1) * signal


def strongly_limited(signal: Floats) -> Floats:
    return np.clip(4 * signal, -1, 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda signal: signal, ""),
        (lambda signal: 0.6 * signal, ""),
        (lambda signal: np.roll(signal, 3200), ""),
        (lambda signal: signal[:-500], ""),
        (muted, "of the clear speech is more than 10 dB weaker than the rest"),
        (lambda signal: np.roll(muted(signal), -1600), "of the clear speech is more than 10 dB weaker than the rest"),
        (lambda signal: 0.2 * signal, "the level of the speech changed by -14"),
        (strongly_limited, "more places are clipped"),
        (
            lambda signal: soxr.resample(soxr.resample(signal, RATE, 8000), 8000, RATE),
            "the bandwidth falls from 8.0 to",
        ),
        (lambda signal: signal[: 2 * RATE], "the length changes from 4.0 to 2.0 s"),
        (np.zeros_like, "nothing is left"),
    ],
)
def test_enhanced(tmp_path: Path, change: Callable[[Floats], Floats], expected: str) -> None:
    """With a tenth of the noise, and something else that may be harm."""
    before = recording(tmp_path, VOICE + NOISE)
    after = recording(tmp_path, change(VOICE + 0.1 * NOISE))
    found = warnings(before.quality, after.quality, compare(before, after))
    assert len(found) == bool(expected) or change is strongly_limited
    assert expected in " ".join(found)


def test_ratings_that_fall(tmp_path: Path) -> None:
    before = recording(tmp_path, VOICE + NOISE)
    change = compare(before, before)
    worse = replace(before.quality, dnsmos_sig=2.6, dnsmos_ovrl=2.8)
    sig, ovrl = warnings(before.quality, worse, change)
    assert sig == "DNSMOS SIG, the rating of the speech, falls from 3.00 to 2.60"
    assert ovrl == "DNSMOS OVRL, the rating of the whole, falls from 3.00 to 2.80"
    assert not warnings(before.quality, replace(worse, dnsmos_sig=2.8, dnsmos_ovrl=2.95), change)
    assert not warnings(worse, before.quality, change)


def test_without_speech_nothing_is_said_of_it(tmp_path: Path) -> None:
    before = recording(tmp_path, NOISE)
    assert compare(before, recording(tmp_path, 0.01 * NOISE)).speech_lost is None
    silent = recording(tmp_path, np.zeros(RATE))
    assert compare(silent, before) == compare(silent, silent)
    assert compare(silent, before).delay_samples is None


@pytest.mark.parametrize("delay", [-4000, -160, 0, 37, 8000])
def test_delay(tmp_path: Path, delay: int) -> None:
    before = recording(tmp_path, VOICE)
    change = compare(before, recording(tmp_path, np.roll(VOICE, delay)))
    assert change.delay_samples == delay
    assert change.speech_lost == pytest.approx(0, abs=0.02)
