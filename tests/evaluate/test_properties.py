"""Properties for any speech: a copy has the best score, and more noise lowers scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.material import Floats, noise, speech
from imse.evaluate import MEASURES, score

CEILING = {
    "pesq_wb": 4.644,
    "pesq_nb": 4.549,
    "csig": 5,
    "cbak": 5,
    "covl": 5,
    "stoi": 1,
    "estoi": 1,
    "si_sdr_db": 100,
    "ssnr_db": 35,
    "fwsnrseg_db": 35,
    "llr": 0,
    "wss": 0,
    "lsd_db": 0,
    "level_db": 0,
}
seeds = st.integers(0, 2**16)


def test_every_measure_with_a_reference_has_a_ceiling() -> None:
    assert CEILING.keys() == {measure.name for measure in MEASURES.values() if measure.needs_clean}


@settings(max_examples=10, deadline=None)
@given(seed=seeds, seconds=st.floats(1.0, 2.5))
def test_a_copy_scores_the_ceiling(seed: int, seconds: float) -> None:
    clean = speech(seconds, seed)
    scores = score(clean, clean.copy(), list(CEILING))
    assert not scores.missing
    assert scores.values == pytest.approx(CEILING, abs=1e-3)


@settings(max_examples=6, deadline=None)
@given(seed=seeds)
def test_more_noise_scores_worse(seed: int) -> None:
    assert_falling(speech(2.0, seed), (30, 20, 10), seed + 1)


def test_more_noise_scores_worse_on_a_real_voice(data: Path) -> None:
    clean, _ = soundfile.read(data / "test" / "voicebank_demand" / "clean" / "p232_057.flac")
    assert_falling(clean, (30, 20, 10, 0), 0)


def assert_falling(clean: Floats, snrs_db: tuple[int, ...], seed: int) -> None:
    falling = [name for name in CEILING if name != "level_db"]
    ladder = [score(clean, clean + noise(clean, snr_db, seed), falling).values for snr_db in snrs_db]
    for name in falling:
        qualities = [MEASURES[name].quality(values[name]) for values in ladder]
        assert qualities == sorted(qualities, reverse=True), name


@settings(max_examples=25, deadline=None)
@given(seed=seeds, samples=st.integers(0, 6000), gain=st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 30.0]))
def test_every_measure_is_a_finite_score_or_a_reason(seed: int, samples: int, gain: float) -> None:
    clean = speech(0.5, seed)[:samples]
    other = np.random.default_rng(seed).standard_normal(samples) * gain
    names = list(CEILING)
    for first, second in ((clean, other), (other, clean)):
        scores = score(first, second, names)
        assert sorted([*scores.values, *scores.missing]) == sorted(names)
        assert np.isfinite(list(scores.values.values())).all()
        assert all(scores.missing.values())
