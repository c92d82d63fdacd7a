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
    border = 33 * HOP_LENGTH
    assert (gain[: SAMPLES // 2 - border] == 1).all()
    np.testing.assert_allclose(20 * np.log10(gain[SAMPLES // 2 + border :]), -11.5, atol=1e-2)


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
    lower = magnitude.copy()
    lower[:, 200:] = _amplified(lower[:, 200:], -6)  # from 6.3 kHz on
    lower[:, :170] = _amplified(lower[:, :170], -40)
    gain = guide_gain(magnitude, lower, SAMPLES)
    assert (gain > 10 ** (-6 / 20)).all()
    assert (gain < 1).all()
