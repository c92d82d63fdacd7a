"""What the benchmarks measure by themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from held_out import pauses_db

RATE = 16_000


def test_attenuation_in_pauses() -> None:
    """Speech in the first of three seconds; the rest of a frame at the end is left out."""
    clean = np.zeros(3 * RATE + 100, np.float32)
    clean[:RATE] = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    noise = np.float32(0.1) * np.random.default_rng(0).standard_normal(len(clean), np.float32)
    after = clean + noise * np.float32(0.1)
    after[: RATE // 2] = 0  # what happens to the speech does not count
    assert pauses_db(clean + noise, after, clean) == pytest.approx(20, abs=1e-3)
    after[RATE : 2 * RATE] = clean[RATE : 2 * RATE] + noise[RATE : 2 * RATE]  # the mean is that of the power
    assert pauses_db(clean + noise, after, clean) == pytest.approx(10 * math.log10(2), abs=0.1)


def test_speech_without_pauses() -> None:
    clean = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE).astype(np.float32)
    assert math.isnan(pauses_db(clean, clean, clean))
