"""The gain that levels a segment: what it brings to the same level, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imse.signal.level import Levelling
from imse.signal.segments import SEGMENT

Floats = NDArray[np.float32]

RANGE_DB = Levelling().range_db


def noise(samples: int = 2 * SEGMENT, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((1, samples)).astype(np.float32)


def rms_db(signal: Floats) -> float:
    return float(20 * np.log10(np.sqrt(np.square(signal, dtype=np.float64).mean())))


def step(level_db: float) -> Floats:
    """Noise whose second half has another level."""
    signal = noise()
    signal[:, SEGMENT:] *= np.float32(10 ** (level_db / 20))
    return signal


@pytest.mark.parametrize("level_db", [-RANGE_DB + 2, 0.0, RANGE_DB - 2])
def test_what_stays_within_the_range_gets_one_gain(level_db: float) -> None:
    signal = step(level_db)
    gain = Levelling().gain(signal)
    assert np.ptp(20 * np.log10(gain)) < 0.1
    assert rms_db(gain * signal) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("level_db", [-40.0, -20.0, 20.0, 40.0])
def test_a_step_comes_to_within_the_range_at_once(level_db: float) -> None:
    signal = step(level_db)
    levelled = Levelling().gain(signal) * signal
    # 0.1 s on either side of the step: what lasts shorter counts as a burst.
    first, second = (levelled[:, part] for part in (slice(SEGMENT - 1_600), slice(SEGMENT + 1_600, None)))
    assert abs(rms_db(second) - rms_db(first)) == pytest.approx(RANGE_DB, abs=1)
    after = levelled[:, SEGMENT + 320 : SEGMENT + 1_600]
    assert rms_db(after) == pytest.approx(rms_db(second), abs=1)


def test_a_burst_does_not_lower_the_rest() -> None:
    signal = noise()
    burst = slice(SEGMENT, SEGMENT + 160)
    signal[:, burst] *= 100
    gain = Levelling().gain(signal)
    rest = np.delete(gain * signal, np.arange(SEGMENT - 480, SEGMENT + 640), axis=1)
    assert rms_db(rest) > -4  # with one gain, -14
    assert rms_db((gain * signal)[:, burst]) < 2 * RANGE_DB + 6
    assert rms_db(signal[:, burst]) == pytest.approx(40, abs=1)


def test_a_pause_shorter_than_a_window_stays_quiet() -> None:
    signal = noise()
    pause = slice(SEGMENT, SEGMENT + 2_000)
    signal[:, pause] *= np.float32(0.001)
    levelled = Levelling().gain(signal) * signal
    assert rms_db(levelled[:, pause]) == pytest.approx(-60, abs=1)


def test_a_channel_does_not_depend_on_the_others() -> None:
    signals = np.concatenate([noise(seed=1), step(-30), np.zeros((1, 2 * SEGMENT), np.float32)])
    together = Levelling().gain(signals)
    assert (together[2] == 1).all()
    for number, gain in enumerate(together):
        np.testing.assert_array_equal(Levelling().gain(signals[number : number + 1])[0], gain)


@given(
    level=st.integers(-60, 120),
    samples=st.integers(SEGMENT, 2 * SEGMENT),
    edges=st.lists(st.tuples(st.floats(0, 1), st.floats(-100, 60)), max_size=6),
)
@settings(deadline=None, max_examples=50)
def test_any_levels(level: int, samples: int, edges: list[tuple[float, float]]) -> None:
    """The gain is finite, above 0, and in inverse proportion to the level of the whole."""
    signal = noise(samples)
    for start, level_db in edges:
        signal[:, int(start * samples) :] *= np.float32(10 ** (level_db / 20))
    signal /= np.abs(signal).max()
    gain = Levelling().gain(signal)
    assert gain.shape == signal.shape
    assert np.isfinite(gain).all()
    assert (gain > 0).all()
    assert rms_db(gain * signal) == pytest.approx(0, abs=0.01)
    scaled = Levelling().gain(signal * np.float32(2.0**level))
    np.testing.assert_allclose(np.log2(scaled, dtype=np.float64) + level, np.log2(gain, dtype=np.float64), atol=1e-4)
