"""Gains over time for known signals, and cases in which they are 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from imse.signal.gain import follow_guide, guide_gain, limiting_gain
from imse.signal.spectrum import COMPRESSION, HOP_LENGTH, Floats

SAMPLES = 40_000
FRAMES = 1 + SAMPLES // HOP_LENGTH


def _magnitude(seed: int = 0, batch: int = 1) -> Floats:
    return np.random.default_rng(seed).uniform(0.1, 1, (batch, 256, FRAMES)).astype(np.float32)


def _amplified(magnitude: Floats, gain_db: float) -> Floats:
    """As the magnitude of a signal with another amplitude."""
    return np.asarray(magnitude * 10 ** (gain_db / 20 * COMPRESSION), np.float32)


def _noise(seed: int = 0, batch: int = 1, samples: int = SAMPLES) -> Floats:
    return np.random.default_rng(seed).standard_normal((batch, samples)).astype(np.float32)


def _factor(gain_db: float) -> np.float32:
    return np.float32(10 ** (gain_db / 20))


def _power_db(signal: Floats, window: int = 6_400) -> NDArray[np.float64]:
    """The power of every window of 0.4 s of a signal [samples]."""
    sums = np.cumsum(np.concatenate([[0], np.square(signal, dtype=np.float64)]))
    return np.asarray(10 * np.log10((sums[window:] - sums[:-window]) / window))


@pytest.mark.parametrize("gain", [0.0, 0.3, 1.0])
def test_the_strip_below_8_khz_follows_the_guide_and_the_rest_the_network(gain: float) -> None:
    before, after = _noise(0, batch=2), _noise(1, batch=2)
    mended = follow_guide(before, after, np.full_like(before, gain))
    inner = slice(1_000, -1_000)  # at the ends, a cut is in every band
    window = np.hanning(SAMPLES - 2_000)
    noisy, network, output = (np.fft.rfft(x[:, inner] * window) for x in (before, after, mended))
    hz = np.fft.rfftfreq(SAMPLES - 2_000, 1 / 16_000)
    for where, expected in ((hz < 7_500, network), (hz > 7_700, gain * noisy)):
        error = np.square(np.abs(output - expected))[:, where].mean()
        assert error < 1e-5 * np.square(np.abs(network))[:, where].mean()
    assert mended.dtype == np.float32


def test_silence_stays_silence_in_the_strip() -> None:
    silence = np.zeros((1, SAMPLES), np.float32)
    assert not follow_guide(silence, silence, silence + 1).any()


@pytest.mark.parametrize("gain_db", [-60.0, -3.0, 0.0, 0.4])
def test_what_is_not_louder_is_left_alone(gain_db: float) -> None:
    noise = _noise(batch=2)
    assert (limiting_gain([noise], _factor(gain_db) * noise) == 1).all()


@pytest.mark.parametrize("gain_db", [1.0, 9.5, 20.0])
def test_what_is_louder_comes_back_to_half_a_decibel(gain_db: float) -> None:
    noise = _noise()
    gain = limiting_gain([noise], _factor(gain_db) * noise)
    assert gain.shape == (1, SAMPLES)
    np.testing.assert_allclose(20 * np.log10(gain), 0.5 - gain_db, atol=1e-3)


def test_only_the_loud_part_is_limited() -> None:
    noise = _noise()
    louder = noise.copy()
    louder[:, SAMPLES // 2 :] *= _factor(12)
    gain = limiting_gain([noise], louder)[0]
    border = 67 * HOP_LENGTH
    assert (gain[: SAMPLES // 2 - border] == 1).all()
    np.testing.assert_allclose(20 * np.log10(gain[SAMPLES // 2 :]), -11.5, atol=1e-2)


@pytest.mark.parametrize("loud_first", [True, False])
def test_a_quiet_part_beside_a_loud_one_is_not_amplified_either(loud_first: bool) -> None:
    """Windows that hold both parts allow much; the quiet part must not make use of it."""
    noisy = _noise()
    halves = slice(SAMPLES // 2), slice(SAMPLES // 2, SAMPLES)
    loud, quiet = halves if loud_first else halves[::-1]
    noisy[:, quiet] *= _factor(-30)
    enhanced = noisy.copy()
    enhanced[:, loud] *= _factor(-40)
    enhanced[:, quiet] *= _factor(20)
    limited = limiting_gain([noisy], enhanced) * enhanced
    before, without, after = (_power_db(signal[0]) for signal in (noisy, enhanced, limited))
    assert (without - before).max() > 19
    assert (after - before).max() < 0.6


@given(st.integers(1, 3_000), st.integers(0, 5))
def test_any_length_and_silence(samples: int, seed: int) -> None:
    frames = 1 + samples // HOP_LENGTH
    noisy, enhanced = _noise(seed, samples=samples), _noise(seed + 1, samples=samples)
    magnitudes = _magnitude(seed)[:, :, :frames], _magnitude(seed + 1)[:, :, :frames]
    for present in (1, 0):
        limiting = limiting_gain([present * noisy], enhanced)
        guide = guide_gain(present * magnitudes[0], magnitudes[1], samples)
        for gain in (limiting, guide):
            assert gain.shape == (1, samples)
            assert ((gain >= 0) & (gain <= 1)).all()


def test_the_guide_follows_the_band_below_8_khz() -> None:
    magnitude = _magnitude()
    lower = _amplified(magnitude, -40)
    lower[:, 170:235] = _amplified(magnitude[:, 170:235], -6)  # 5.3 to 7.4 kHz
    np.testing.assert_allclose(20 * np.log10(guide_gain(magnitude, lower, SAMPLES)), -6, atol=1e-3)
