"""PESQ as the target of the discriminator, and the metrics of validation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pesq import pesq

from imse.signal.spectrum import Floats
from imse.train.quality import METRICS, metrics, quality


def test_quality_is_pesq_on_a_scale_from_0_to_1_at_any_level(recording: Floats) -> None:
    noisy = recording + 0.01 * np.random.default_rng(0).standard_normal(len(recording)).astype(np.float32)
    expected = (pesq(16_000, recording, noisy, "wb") - 1) / 3.5
    assert quality(recording, noisy) == pytest.approx(expected, abs=1e-3)
    assert quality(recording * 40, noisy * 40) == pytest.approx(expected, abs=5e-3)


def test_what_pesq_cannot_score_is_nan() -> None:
    silence = np.zeros(16_000, np.float32)
    assert math.isnan(quality(silence, silence))
    assert "pesq_wb" not in metrics((silence, silence))
    assert "balanced" not in metrics((silence, silence))


def test_metrics_of_a_recording_at_half_its_level(recording: Floats) -> None:
    scores = metrics((recording, recording * np.float32(0.5)))
    assert tuple(scores) == METRICS
    assert scores["level_db"] == pytest.approx(-6.02, abs=0.01)
    assert scores["balanced"] == pytest.approx(scores["pesq_wb"] + 10 * scores["stoi"])
