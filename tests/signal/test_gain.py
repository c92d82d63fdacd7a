"""Gains over time for known magnitudes, and cases in which they are 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imse.signal.gain import guide_gain, limiting_gain
from imse.signal.spectrum import COMPRESSION, HOP_LENGTH, Floats

SAMPLES = 40_000
FRAMES = 1 + SAMPLES // HOP_LENGTH


def _magnitude(seed: int = 0, batch: int = 1) -> Floats:
    return np.random.default_rng(seed).uniform(0.1, 1, (batch, 256, FRAMES)).astype(np.float32)


def _amplified(magnitude: Floats, gain_db: float) -> Floats:
    """As the magnitude of a signal with another amplitude."""
    return np.asarray(magnitude * 10 ** (gain_db / 20 * COMPRESSION), np.float32)


@pytest.mark.parametrize("gain_db", [-60.0, -3.0, 0.0, 0.4])
def test_what_is_not_louder_is_left_alone(gain_db: float) -> None:
    magnitude = _magnitude(batch=2)
    assert (limiting_gain(magnitude, _amplified(magnitude, gain_db), SAMPLES) == 1).all()


@pytest.mark.parametrize("gain_db", [1.0, 9.5, 20.0])
def test_what_is_louder_comes_back_to_half_a_decibel(gain_db: float) -> None:
    magnitude = _magnitude()
    gain = limiting_gain(magnitude, _amplified(magnitude, gain_db), SAMPLES)
    assert gain.shape == (1, SAMPLES)
    np.testing.assert_allclose(20 * np.log10(gain), 0.5 - gain_db, atol=1e-3)


def test_only_the_loud_part_is_limited() -> None:
    magnitude = _magnitude()
    louder = magnitude.copy()
    louder[:, :, FRAMES // 2 :] = _amplified(louder[:, :, FRAMES // 2 :], 12)
    gain = limiting_gain(magnitude, louder, SAMPLES)[0]
    border = 66 * HOP_LENGTH
    assert (gain[: SAMPLES // 2 - border] == 1).all()
    np.testing.assert_allclose(20 * np.log10(gain[SAMPLES // 2 :]), -11.5, atol=1e-2)


@pytest.mark.parametrize("loud_first", [True, False])
def test_a_quiet_part_beside_a_loud_one_is_not_amplified_either(loud_first: bool) -> None:
    """Windows that hold both parts allow much; the quiet part must not make use of it."""
    noisy, enhanced = _magnitude(), _magnitude()
    halves = slice(FRAMES // 2), slice(FRAMES // 2, FRAMES)
    loud, quiet = halves if loud_first else halves[::-1]
    noisy[:, :, quiet] = _amplified(noisy[:, :, quiet], -30)
    enhanced[:, :, loud] = _amplified(enhanced[:, :, loud], -40)
    enhanced[:, :, quiet] = _amplified(noisy[:, :, quiet], 20)
    power = [(magnitude[0] ** (2 / COMPRESSION)).sum(0) for magnitude in (noisy, enhanced)]
    gain = limiting_gain(noisy, enhanced, SAMPLES)[0, ::HOP_LENGTH]
    gain = np.append(gain, gain[-1:])[:FRAMES]
    before, after = (np.convolve(x, np.ones(65), "valid") for x in (power[0], power[1] * gain**2))
    assert (10 * np.log10(after / before)).max() < 0.51
    assert 10 * np.log10(np.convolve(power[1], np.ones(65), "valid") / before).max() > 19


@given(st.integers(1, 3_000), st.integers(0, 5))
def test_any_length_and_silence(samples: int, seed: int) -> None:
    frames = 1 + samples // HOP_LENGTH
    noisy, enhanced = _magnitude(seed)[:, :, :frames], _magnitude(seed + 1)[:, :, :frames]
    for before in (noisy, np.zeros_like(noisy)):
        for gain in (limiting_gain(before, enhanced, samples), guide_gain(before, enhanced, samples)):
            assert gain.shape == (1, samples)
            assert ((gain >= 0) & (gain <= 1)).all()


def test_the_guide_follows_the_band_below_8_khz() -> None:
    magnitude = _magnitude()
    lower = _amplified(magnitude, -40)
    lower[:, 170:235] = _amplified(magnitude[:, 170:235], -6)  # 5.3 to 7.4 kHz
    np.testing.assert_allclose(20 * np.log10(guide_gain(magnitude, lower, SAMPLES)), -6, atol=1e-3)
