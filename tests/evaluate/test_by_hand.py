"""Measures against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluate.material import RATE, Floats, noise, speech
from imse.evaluate import score
from imse.evaluate.delays import delay


def value(measure: str, clean: Floats, enhanced: Floats) -> float:
    return score(clean, enhanced, [measure]).values[measure]


def orthogonal(clean: Floats, snr_db: float) -> Floats:
    """Noise at exactly that signal-to-noise ratio, without any correlation with the signal."""
    added = noise(clean, snr_db)
    added -= (added @ clean) / (clean @ clean) * clean
    return added * np.sqrt((clean @ clean) / (added @ added)) * 10 ** (-snr_db / 20)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 20.0])
def test_si_sdr_of_orthogonal_noise_is_its_snr_at_any_scale(snr_db: float) -> None:
    clean = speech(0.5)
    noisy = clean + orthogonal(clean, snr_db)
    assert value("si_sdr_db", clean, noisy) == pytest.approx(snr_db, abs=1e-9)
    assert value("si_sdr_db", clean, -0.1 * noisy) == pytest.approx(snr_db, abs=1e-9)


def test_si_sdr_of_nothing_in_common_is_the_lower_limit() -> None:
    clean = speech(0.5)
    assert value("si_sdr_db", clean, orthogonal(clean, 0)) == -100


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_gain(gain: float) -> None:
    clean = speech(0.5)
    gain_db = 20 * math.log10(gain)
    assert value("level_db", clean, gain * clean) == pytest.approx(gain_db)
    # The noise is (1 - gain) of the signal in every frame.
    assert value("ssnr_db", clean, gain * clean) == pytest.approx(-20 * math.log10(abs(1 - gain)), abs=1e-6)
    # Neither looks at the level.
    assert value("fwsnrseg_db", clean, gain * clean) == pytest.approx(35)
    assert value("llr", clean, gain * clean) == pytest.approx(0, abs=1e-9)


def test_log_spectral_distance_of_a_gain_is_the_gain() -> None:
    white = 0.1 * np.random.default_rng(0).standard_normal(RATE)  # no bin near the 50 dB floor
    assert value("lsd_db", white, 0.5 * white) == pytest.approx(20 * math.log10(2), abs=0.05)


def test_segmental_snr_is_limited() -> None:
    clean = speech(0.5)
    assert value("ssnr_db", clean, clean + orthogonal(clean, 90)) <= 35
    assert value("ssnr_db", clean, clean + orthogonal(clean, -60)) == -10


@pytest.mark.parametrize("samples", [-317, -1, 0, 1, 4000])
@pytest.mark.parametrize("polarity", [1, -1])
def test_delay(samples: int, polarity: int) -> None:
    clean = speech(1.5)
    moved = np.roll(clean, samples)
    assert delay(clean, polarity * moved + noise(clean, 3)) == samples


def test_delay_of_silence_is_not_known() -> None:
    assert delay(speech(0.1), np.zeros(1600)) is None
