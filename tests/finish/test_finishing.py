"""What is done after enhancement: rumble, loudness, and what was taken away."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from imse import Enhancer, ImseError
from imse.errors import describe
from imse.finish import TRUE_PEAK_LIMIT_DB, Finishing, spooled
from imse.finish.loudness import gain_to, measure

Floats = NDArray[np.float32]


def sine(hz: float, seconds: float, sample_rate: int, level_db: float, channels: int = 1) -> NDArray[np.float64]:
    """[frames, channels], its peaks at a level relative to full scale."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.repeat((10 ** (level_db / 20) * np.sin(2 * np.pi * hz * t))[:, None], channels, axis=1)


def true_peak_db(x: NDArray[np.floating]) -> float:
    return float(20 * np.log10(np.abs(soxr.resample(x, 1, 16, "VHQ")).max()))


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize(("channels", "lufs"), [(1, -26.0), (2, -23.0)])
def test_a_tone_of_known_loudness(sample_rate: int, channels: int, lufs: float) -> None:
    """EBU Tech 3341, case 1: 1 kHz at -23 dB in both channels is -23 LUFS; in one, 3 dB less."""
    measured = measure([sine(1_000, 5, sample_rate, -23, channels)], sample_rate, channels)
    assert measured.lufs == pytest.approx(lufs, abs=0.1)
    assert 20 * np.log10(measured.true_peak) == pytest.approx(-23, abs=0.1)


def test_pauses_do_not_count() -> None:
    """EBU Tech 3341, case 3: what is 13 LU below -23 LUFS is left out by the relative gate."""
    parts = [sine(1_000, seconds, 16_000, level_db, 2) for seconds, level_db in ((5, -36), (30, -23), (5, -36))]
    assert measure(parts, 16_000, 2).lufs == pytest.approx(-23, abs=0.1)


def test_peaks_between_samples_count() -> None:
    """A tone at a quarter of the rate whose samples all lie beside its peaks: 3 dB more than the largest sample."""
    x = np.tile([0.5, 0.5, -0.5, -0.5], 8_000)[:, None]
    assert measure([x], 16_000, 1).true_peak == pytest.approx(0.5 * np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("x", [np.zeros((40_000, 1)), np.zeros((0, 1)), np.full((4_000, 1), 0.1)])
def test_what_has_no_loudness_is_left_as_it_is(x: NDArray[np.float64]) -> None:
    assert gain_to(-16, measure([x], 16_000, 1)) == (1, None)


@pytest.mark.parametrize("lufs", [-40.0, -23.0, -10.0])
def test_loudness_and_its_limit(small_weights: Path, example: Path, tmp_path: Path, lufs: float) -> None:
    """The loudness is what was asked for, or less with the true peak at its limit; nothing is clipped."""
    target = tmp_path / "out.wav"
    result = Enhancer(small_weights, loudness_lufs=lufs).enhance_file(example, target)
    y, _ = soundfile.read(target)
    reached = measure([y[:, None]], 16_000, 1).lufs
    assert result.lufs == pytest.approx(reached, abs=0.05)
    assert result.clipped == 0
    assert true_peak_db(y) < TRUE_PEAK_LIMIT_DB + 0.3
    if lufs < -20:
        assert reached == pytest.approx(lufs, abs=0.05)
    else:
        assert reached is not None
        assert reached < lufs
        assert true_peak_db(y) > TRUE_PEAK_LIMIT_DB - 0.3


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_arrays_and_files_are_finished_alike(
    small_weights: Path, recording: Floats, tmp_path: Path, sample_rate: int
) -> None:
    """And the input is the output before the loudness was set, plus what was taken away."""
    source, target, residual = (tmp_path / f"{name}.wav" for name in ("in", "out", "residual"))
    x = np.stack([recording[:50_000], recording[:50_000][::-1]], axis=1)
    soundfile.write(source, x, sample_rate, "FLOAT")
    enhancer = Enhancer(small_weights, high_pass_hz=100, loudness_lufs=-30)
    enhancer.enhance_file(source, target, residual=residual)
    y, taken = (soundfile.read(path, dtype="float32")[0] for path in (target, residual))
    np.testing.assert_allclose(y, enhancer.enhance(x, sample_rate), atol=1e-7)
    filtered = Enhancer(small_weights, high_pass_hz=100).enhance(x, sample_rate)
    np.testing.assert_allclose(taken, x - filtered, atol=1e-6)
    assert soundfile.info(residual).subtype == "FLOAT"


def test_rumble_is_removed_and_the_voice_is_not(small_weights: Path, recording: Floats) -> None:
    rumble = (0.2 * np.sin(2 * np.pi * 15 * np.arange(len(recording)) / 16_000)).astype(np.float32)
    plain, filtered = (
        Enhancer(small_weights, high_pass_hz=hz).enhance(recording + rumble, 16_000) for hz in (None, 60)
    )
    powers = [np.square(np.abs(np.fft.rfft(y * np.hanning(len(y))))) for y in (plain, filtered)]
    hz = np.fft.rfftfreq(len(recording), 1 / 16_000)
    below, voice = ([power[where].sum() for power in powers] for where in (hz < 25, hz > 100))
    assert below[1] < 1e-4 * below[0]
    assert voice[1] == pytest.approx(voice[0], rel=1e-3)


def test_samples_beyond_full_scale_are_counted(small_weights: Path, recording: Floats, tmp_path: Path) -> None:
    """In formats of integers, which clip them; floats hold them."""
    loud = 2 * recording / np.abs(recording).max()
    soundfile.write(tmp_path / "in.wav", loud, 16_000, "FLOAT")
    expected = np.count_nonzero(np.abs(Enhancer(small_weights).enhance(loud, 16_000)) > 1)
    assert expected > 0
    enhancer = Enhancer(small_weights)
    assert enhancer.enhance_file(tmp_path / "in.wav", tmp_path / "out.flac").clipped == expected
    assert enhancer.enhance_file(tmp_path / "in.wav", tmp_path / "out.wav").clipped == 0


def test_attenuation_limit_of_zero_is_finished_too(small_weights: Path, recording: Floats, tmp_path: Path) -> None:
    source, target, residual = (tmp_path / f"{name}.wav" for name in ("in", "out", "residual"))
    soundfile.write(source, recording, 16_000)
    Enhancer(small_weights, attenuation_limit_db=0).enhance_file(source, target, residual=residual)
    assert not soundfile.read(residual)[0].any()
    assert source.read_bytes() == target.read_bytes()
    result = Enhancer(small_weights, attenuation_limit_db=0, loudness_lufs=-40).enhance_file(source, target)
    assert result.lufs == pytest.approx(-40, abs=0.05)


def test_outputs_in_one_file_are_refused(small_weights: Path, example: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImseError, match=r"out\.flac: the output and what was taken away would be written to one file$"):
        Enhancer(small_weights).enhance_file(
            example, tmp_path / "out.flac", residual=tmp_path / "folder" / ".." / "out.flac"
        )
    assert not (tmp_path / "out.flac").exists()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"high_pass_hz": 5}, ValueError, "high_pass_hz must be from 10 to 1000, not 5"),
        ({"high_pass_hz": float("nan")}, ValueError, "high_pass_hz must be from 10 to 1000, not nan"),
        ({"high_pass_hz": "80"}, TypeError, "high_pass_hz must be a number, not '80'"),
        ({"loudness_lufs": 16}, ValueError, "loudness_lufs must be from -60 to 0, not 16"),
    ],
)
def test_wrong_settings(settings: dict[str, float], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$") as caught:
        Finishing(**settings)
    assert isinstance(caught.value, ImseError)


def test_without_pyav_only_loudness_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    Finishing(high_pass_hz=80)
    with pytest.raises(ModuleNotFoundError) as caught:
        Finishing(loudness_lufs=-16)
    assert describe(caught.value) == "this needs the module 'av': pip install 'imse[av]'"


def test_more_channels_than_loudness_knows() -> None:
    with pytest.raises(ImseError, match="9 channels; loudness can be set of at most 8"):
        measure([np.zeros((10, 9))], 16_000, 9)


def test_memory_does_not_grow_with_the_length() -> None:
    """A minute of stereo would be 8 MB in memory."""
    block = np.random.default_rng(0).uniform(-0.1, 0.1, (4_000, 2)).astype(np.float32)
    finishing = Finishing(high_pass_hz=80, loudness_lufs=-23)
    tracemalloc.start()
    try:
        with spooled(finishing.filtered((block for _ in range(256)), 16_000)) as signal:
            assert finishing.loudness(signal, 16_000, 2).lufs == pytest.approx(-23)
            assert sum(map(len, signal)) == 256 * 4_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4e6
