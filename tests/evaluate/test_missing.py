"""Missing scores: reported with a reason, counted, and excluded from means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from evaluate.material import RATE, Floats, noise, speech, write
from imse.errors import ImseError
from imse.evaluate import MEASURES, evaluate, score

WITH_REFERENCE = [name for name, measure in MEASURES.items() if measure.needs_clean]


def test_silence_has_no_scores() -> None:
    voice, silence = speech(1), np.zeros(RATE)
    scores = score(voice, silence)
    assert not scores.values
    assert set(scores.missing.values()) == {"file is silent"}


def test_silent_reference_leaves_what_needs_none() -> None:
    voice = speech(0.6)
    scores = score(np.full_like(voice, 1e-6), voice)
    assert list(scores.values) == ["dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"]
    assert set(scores.missing.values()) == {"clean file is silent"}


def test_not_a_number() -> None:
    broken = speech(1)
    broken[5] = np.nan
    assert set(score(speech(1), broken).missing.values()) == {"file has samples that are not numbers"}


def test_empty() -> None:
    assert set(score(np.empty(0), np.empty(0)).missing.values()) == {"file is empty"}


def test_too_short() -> None:
    clean = speech(1)[4000:4500]
    missing = score(clean, clean + noise(clean, 10), WITH_REFERENCE).missing
    assert missing["pesq_wb"] == missing["csig"] == "Buffer needs to be at least 1/4 of a second long"
    assert missing["stoi"] == missing["estoi"] == "shorter than 0.4 s"
    assert missing["llr"] == missing["ssnr_db"] == missing["fwsnrseg_db"] == "shorter than 600 samples"
    assert missing["lsd_db"] == "shorter than 512 samples"
    assert "si_sdr_db" not in missing


def test_too_little_speech_for_stoi() -> None:
    clean = np.zeros(2 * RATE)
    clean[:3000] = speech(1)[4000:7000]
    assert score(clean, clean + 1e-3, ["stoi"]).missing == {"stoi": "less than 0.4 s of speech"}


def test_too_long_for_pesq() -> None:
    clean = np.tile(speech(2), 26)
    assert score(clean, clean, ["pesq_wb"]).missing["pesq_wb"].startswith("longer than 50 s")


@pytest.mark.parametrize("other", [np.full(RATE, 0.5), np.eye(1, RATE, 5)[0], np.tile([1.0, -1.0], RATE // 2)])
def test_odd_signals_have_finite_scores_or_reasons(other: Floats) -> None:
    for clean, enhanced in ((speech(1), other), (other, speech(1)), (other, other)):
        scores = score(clean, enhanced, WITH_REFERENCE)
        assert np.isfinite(list(scores.values.values())).all()
        assert {*scores.values, *scores.missing} == set(WITH_REFERENCE)


def test_signals_that_cannot_be_compared() -> None:
    with pytest.raises(ImseError, match="one length"):
        score(speech(1), speech(0.9))


def test_missing_scores_are_counted_and_in_no_mean(tmp_path: Path) -> None:
    voices = {f"{name}.wav": speech(1, seed) for seed, name in enumerate("abc")}
    noisy = {name: voice + noise(voice, 10) for name, voice in voices.items()}
    clean = write(tmp_path / "clean", voices)
    enhanced = write(tmp_path / "enhanced", noisy | {"b.wav": np.zeros(RATE)})
    evaluation = evaluate(clean, enhanced, measures=["pesq_wb", "si_sdr_db"])
    [system] = evaluation.enhanced
    summary = evaluation.summary(system, "si_sdr_db")
    assert (summary.scored, summary.missing) == (2, {"file is silent": 1})
    scores = [file.values.get("si_sdr_db") for file in system.files]
    assert scores[1] is None
    assert summary.mean == pytest.approx(np.mean([scores[0] or 0, scores[2] or 0]))
    assert system.files[1].delay_samples is None


def test_nothing_to_average(tmp_path: Path) -> None:
    clean = write(tmp_path / "clean", {"a.wav": speech(1)})
    enhanced = write(tmp_path / "enhanced", {"a.wav": np.zeros(RATE)})
    evaluation = evaluate(clean, enhanced, measures=["stoi"])
    summary = evaluation.summary(evaluation.enhanced[0], "stoi")
    assert (summary.scored, summary.mean, summary.low) == (0, None, None)


def test_damaged_file(tmp_path: Path) -> None:
    """One whose header is right and whose sound ends too early."""
    clean = write(tmp_path / "clean", {"a.flac": speech(1), "b.flac": speech(1, 1)})
    enhanced = write(tmp_path / "enhanced", {"a.flac": speech(1), "b.flac": speech(1, 1)})
    content = (enhanced / "a.flac").read_bytes()
    (enhanced / "a.flac").write_bytes(content[: len(content) // 2])
    evaluation = evaluate(clean, enhanced, measures=["si_sdr_db"])
    first, second = evaluation.enhanced[0].files
    assert "damaged" in first.missing["si_sdr_db"]
    assert second.values["si_sdr_db"] == 100


def test_not_a_number_in_a_file(tmp_path: Path) -> None:
    clean = write(tmp_path / "clean", {"a.wav": speech(1)})
    broken = speech(1)
    broken[7] = np.inf
    soundfile.write(tmp_path / "a.wav", broken, RATE, "FLOAT")
    (tmp_path / "enhanced").mkdir()
    (tmp_path / "a.wav").rename(tmp_path / "enhanced" / "a.wav")
    evaluation = evaluate(clean, tmp_path / "enhanced", measures=["si_sdr_db"])
    assert "NaN or infinite" in evaluation.enhanced[0].files[0].missing["si_sdr_db"]
