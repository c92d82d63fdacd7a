"""Meters against signals whose loudness, clipping, bandwidth, noise floor and SNR are known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluate.material import RATE, noise, speech
from imse.finish.loudness import LoudnessMeter
from imse.score.bandwidth import BandwidthMeter
from imse.score.clipping import ClippingMeter
from imse.score.excerpts import Excerpts
from imse.score.frames import LevelMeter, SpeechMeter
from imse.score.noise import Noise, estimate_noise

Floats = NDArray[np.float64]


def blocks(signal: Floats, size: int) -> Iterator[Floats]:
    yield from (signal[start : start + size] for start in range(0, len(signal), size))


def sine(hertz: float, peak_db: float, seconds: float, rate: int, channels: int = 1) -> Floats:
    wave = 10 ** (peak_db / 20) * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


def loudness(signal: Floats, rate: int, block: int | None = None) -> float | None:
    meter = LoudnessMeter(rate, signal.shape[1])
    for part in blocks(signal, block or rate):
        meter.add(part)
    return meter.lufs()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_reference_tones(rate: int) -> None:
    """EBU Tech 3341, test 1: 1 kHz at -23 dBFS, stereo, is -23 LUFS. BS.1770: 997 Hz at 0 dBFS is -3.01 LUFS."""
    assert loudness(sine(1000, -23, 20, rate, 2), rate) == pytest.approx(-23.0, abs=0.1)
    assert loudness(sine(997, 0, 5, rate), rate) == pytest.approx(-3.01, abs=0.05)


def test_reference_tone_with_quiet_parts() -> None:
    """EBU Tech 3341, test 3: parts at -36 dBFS around a minute at -23 dBFS are below the gate."""
    parts = [sine(1000, peak_db, seconds, RATE, 2) for peak_db, seconds in ((-36, 10), (-23, 60), (-36, 10))]
    assert loudness(np.concatenate(parts), RATE) == pytest.approx(-23.0, abs=0.1)


@given(size=st.integers(500, 60_000), channels=st.integers(1, 8), rate=st.sampled_from([8_000, 22_050, 48_000]))
@settings(max_examples=8, deadline=None)
def test_blocks_of_any_length_have_the_loudness_of_the_whole(size: int, channels: int, rate: int) -> None:
    signal = 0.1 * np.random.default_rng(0).standard_normal((3 * rate, channels))
    assert loudness(signal, rate, size) == pytest.approx(loudness(signal, rate, len(signal)), abs=0.01)


@given(
    flags=st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, -1.0])] * 2), min_size=1, max_size=60),
    size=st.integers(1, 20),
)
def test_clipping_counts_runs_of_three_in_each_channel(flags: list[tuple[float, float]], size: int) -> None:
    signal = np.array(flags)
    meter = ClippingMeter(2, "PCM_16")
    for block in blocks(signal, size):
        meter.add(block)
    lengths = [len(list(run)) for channel in signal.T for clipped, run in groupby(np.abs(channel) == 1) if clipped]
    runs = [length for length in lengths if length >= 3]
    assert meter.runs == len(runs)
    assert meter.share == pytest.approx(sum(runs) / signal.size)


@pytest.mark.parametrize(("subtype", "peak"), [("PCM_U8", 127 / 128), ("PCM_16", 32767 / 32768), ("FLOAT", 1.4)])
def test_full_scale_of_an_encoding(subtype: str, peak: float) -> None:
    for level, runs in ((peak, 1), (0.97, 0)):
        meter = ClippingMeter(1, subtype)
        meter.add(np.full((5, 1), level))
        assert meter.runs == runs


def bandwidth(signal: Floats, rate: int) -> float | None:
    meter = BandwidthMeter(rate)
    for block in blocks(signal if signal.ndim == 2 else signal[:, None], rate):
        meter.add(block)
    return meter.bandwidth_hz()


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("source", [8_000, 16_000])
def test_bandwidth_of_what_was_resampled(source: int, rate: int) -> None:
    """As 16-bit samples, whose rounding reaches to half the rate, and is no content."""
    narrow = np.random.default_rng(0).standard_normal(2 * source) * 0.01
    wide = np.round(soxr.resample(narrow, source, rate, "VHQ") * 32768) / 32768
    assert bandwidth(wide, rate) == pytest.approx(min(source, rate) / 2, abs=300)


def test_bandwidth_of_a_tone_and_of_silence() -> None:
    assert bandwidth(sine(5000, -1, 1, 48_000), 48_000) == pytest.approx(5000, abs=500)
    assert bandwidth(np.full((RATE, 1), 0.3), RATE) is None
    assert bandwidth(np.zeros(0), RATE) is None


def estimate(signal: Floats, rate: int = RATE) -> Noise:
    """Of a signal [samples, channels] at any rate."""
    levels, frames = LevelMeter(rate, signal.shape[1]), SpeechMeter()
    for block in blocks(signal, rate):
        levels.add(block)
    frames.add(soxr.resample(signal.mean(axis=1), rate, RATE, "VHQ"))
    return estimate_noise(levels.power(), frames.frames().bands)


@pytest.mark.parametrize("snr_db", [0, 5, 10, 15, 20])
def test_known_noise(snr_db: float) -> None:
    voice = speech(6)
    added = noise(voice, snr_db)
    found = estimate((voice + added)[:, None])
    assert found.floor_db == pytest.approx(10 * np.log10(np.mean(added**2)), abs=1)
    # The voice ends at 7.7 kHz, as what is looked at does: it has 96 % of the noise.
    assert found.snr_db == pytest.approx(snr_db, abs=1.5)


@given(
    rate=st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000]),
    channels=st.integers(1, 4),
    gain_db=st.floats(-20, 6),
    constant=st.floats(-0.2, 0.2),
    silence=st.integers(0, 30_000),
)
@settings(max_examples=10, deadline=None)
def test_noise_of_any_rate_level_and_padding(
    rate: int, channels: int, gain_db: float, constant: float, silence: int
) -> None:
    """Digital silence around the recording, and direct current, are no part of the pauses' level."""
    voice = speech(3)
    added = noise(voice, 10)
    mixed = 0.3 * soxr.resample(voice + added, RATE, rate, "VHQ") * 10 ** (gain_db / 20)
    padded = np.pad(mixed, silence)
    found = estimate(np.repeat(padded[:, None], channels, axis=1) + (constant if not silence else 0), rate)
    share = min(rate, RATE) / RATE  # of the noise, that is left of it at a lower rate
    assert found.floor_db == pytest.approx(10 * np.log10(0.09 * np.mean(added**2) * share) + gain_db, abs=1)
    assert found.snr_db is not None


@pytest.mark.parametrize("name", ["hum", "noise"])
def test_without_pauses_there_is_no_ratio(name: str) -> None:
    signal = {"hum": sine(400, -20, 2, RATE), "noise": 0.1 * np.random.default_rng(0).standard_normal((2 * RATE, 1))}
    found = estimate(signal[name])
    assert found.snr_db is None
    assert found.floor_db == pytest.approx({"hum": -23, "noise": -20}[name], abs=0.5)


def test_digital_silence_in_the_pauses() -> None:
    gated = np.where(np.arange(4 * RATE) // 4000 % 2, 0.1 * np.random.default_rng(0).standard_normal(4 * RATE), 0)
    found = estimate(gated[:, None])
    assert found.floor_db < -60
    assert found.snr_db is not None
    assert found.snr_db > 40


def test_voicing_tells_a_voice_from_noise() -> None:
    meters = [SpeechMeter(), SpeechMeter()]
    pulses = np.zeros(RATE)
    pulses[:: RATE // 120] = 1
    for meter, signal in zip(meters, (pulses, np.random.default_rng(0).standard_normal(RATE)), strict=True):
        meter.add(signal)
    voiced, unvoiced = (np.median(meter.frames().voicing) for meter in meters)
    assert voiced > 0.95
    assert unvoiced < 0.6


@given(seconds=st.floats(29.5, 400), block=st.integers(4_000, 60_000))
@settings(max_examples=10, deadline=None)
def test_excerpts_are_spread_over_a_long_recording(seconds: float, block: int) -> None:
    samples = round(seconds * RATE)
    excerpts = Excerpts(samples)
    for start in range(0, samples, block):
        excerpts.add(np.arange(start, min(start + block, samples), dtype=np.float32))
    windows = excerpts.windows
    starts = [int(window[0]) for window in windows]
    assert 10 <= len(windows) <= 20
    assert len(set(np.diff(starts))) == 1
    assert all(len(window) == 144_160 and window[-1] - window[0] == 144_159 for window in windows)
    assert samples - starts[-1] < 144_160 + samples / 20 + 1
    assert len(excerpts.head) == min(samples, 60 * RATE)
