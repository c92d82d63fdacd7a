"""Streams: blocks of any sizes, rates and channels; latency; the same enhancement as of files; bad input."""

from __future__ import annotations

import copy
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import imse
from imse import Enhancer, Stream, native
from imse.errors import ImseError
from imse.signal.spectrum import Floats

pytestmark = pytest.mark.skipif(
    not native.available() and not any(map(shutil.which, ("c++", "g++", "clang++"))),
    reason="needs a C++ compiler when imse is installed",
)


@pytest.fixture(scope="module")
def small(small_weights: Path) -> Stream:
    """A stream whose opened network others share."""
    return Stream(small_weights)


def cut(signal: Floats, sizes: list[int]) -> list[Floats]:
    """A signal in blocks of these sizes, again and again."""
    blocks: list[Floats] = []
    at = 0
    while at < len(signal):
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(signal[at : at + size])
        at += size
    return blocks


def through(stream: Stream, blocks: list[Any]) -> NDArray[Any]:
    return np.concatenate([*(stream.feed(block) for block in blocks), stream.flush()])


def snr_db(reference: Floats, signal: Floats) -> float:
    return float(10 * np.log10(np.square(reference).sum() / np.square(reference - signal).sum()))


@settings(max_examples=15, deadline=None)
@given(
    rate=st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000, 192_000]) | st.integers(8_000, 192_000),
    channels=st.integers(1, 2),
    latency_ms=st.floats(100, 400),
    seconds=st.floats(0, 0.6),
    sizes=st.lists(st.integers(0, 40_000), min_size=1, max_size=4).filter(any),
)
def test_any_block_sizes_rates_and_channels(
    small: Stream, rate: int, channels: int, latency_ms: float, seconds: float, sizes: list[int]
) -> None:
    """The blocks change no bit, the length is the input's, and nothing comes out later than the latency says."""
    samples = int(seconds * rate)
    signal = np.random.default_rng(samples).standard_normal((samples, channels), np.float32)
    stream = Stream(small, rate, channels, latency_ms)
    whole = through(stream, [signal])
    assert whole.shape == signal.shape
    assert stream.latency <= latency_ms / 1000 * rate + 2

    fed, ready, out = 0, 0, []
    for block in cut(signal, sizes):
        out.append(stream.feed(block))
        fed, ready = fed + len(block), ready + len(out[-1])
        assert fed - stream.latency <= ready <= fed
    np.testing.assert_array_equal(np.concatenate([signal[:0], *out, stream.flush()]), whole)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_latency_is_reached(small: Stream, rate: int) -> None:
    """Sample by sample, the output is once exactly as late as stated."""
    stream = Stream(small, rate, latency_ms=130)
    late = []
    ready = 0
    for fed in range(1, rate // 2):
        ready += len(stream.feed(np.zeros(1, np.float32)))
        late.append(fed - ready)
    assert max(late) == stream.latency


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_as_a_file(recording: Floats, rate: int) -> None:
    """With the default weights the output is near to that of the whole recording, of which a stream knows less."""
    signal = soxr.resample(recording[:32_000], 16_000, rate)
    stream = Stream(sample_rate=rate, latency_ms=150)
    streamed = through(stream, cut(signal, [rate // 50]))
    whole = Enhancer().enhance(signal, rate)
    aligned = snr_db(whole, streamed)
    assert aligned > 11
    for shift in (-rate // 8_000, rate // 8_000):  # by two samples at 16 kHz
        assert snr_db(whole[100:-100], np.roll(streamed, shift)[100:-100]) < aligned - 1


def test_the_best_setting_within_a_latency(small: Stream) -> None:
    """The latency says what was given: of n samples, the last is known to be late after the next one."""
    for asked_ms, rate, given_ms in ((66, 16_000, 66), (115, 16_000, 108), (116, 16_000, 116), (141, 16_000, 133)):
        assert Stream(small, rate, latency_ms=asked_ms).latency == given_ms * rate // 1000 - 1
    assert Stream(small, 48_000).latency <= 140 * 48


def test_what_is_above_8_khz_follows_what_is_below() -> None:
    """Noise at all frequencies is removed at all frequencies."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(72_000, np.float32)
    streamed = through(Stream(sample_rate=48_000, latency_ms=150), [noise])
    power = np.square(np.abs(np.fft.rfft(streamed[24_000:]))) / np.square(np.abs(np.fft.rfft(noise[24_000:]))).mean()
    for low, high in ((500, 7_000), (8_500, 15_000), (15_000, 23_000)):
        assert 10 * np.log10(power[low:high].mean()) < -10


def test_attenuation_limit(small: Stream, recording: Floats) -> None:
    signal = recording[:16_000]
    np.testing.assert_array_equal(through(Stream(small, attenuation_limit_db=0), [signal]), signal)
    full, limited = (through(Stream(small, attenuation_limit_db=limit), [signal]) for limit in (None, 20))
    np.testing.assert_allclose(limited, 0.1 * signal + 0.9 * full, atol=1e-6)


def test_silence_stays_silent(small: Stream) -> None:
    assert not through(Stream(small, 48_000), [np.zeros(30_000, np.float32)]).any()


def test_a_first_word_is_as_loud_as_without_silence_before_it(recording: Floats) -> None:
    """After a second of a quiet room, speech is as loud as at the beginning of a stream, within 3 dB."""
    word = recording[4_000:12_000]
    room = 1e-3 * np.random.default_rng(0).standard_normal(16_000, np.float32)
    first = Stream()
    alone, later = through(first, [word]), through(Stream(first), [np.concatenate([room, word])])[16_000:]
    assert abs(10 * np.log10(np.square(later).mean() / np.square(alone).mean())) < 3


def test_a_slam_does_not_turn_down_the_rest(recording: Floats) -> None:
    """A burst 30 dB above the speech changes the level of the half second behind it by less than 2 dB."""
    signal = recording[4_000:26_000].copy()
    slammed = signal.copy()
    slammed[12_000:12_800] += 3 * np.random.default_rng(0).standard_normal(800).astype(np.float32)
    without, with_slam = (through(Stream(latency_ms=150), [x])[13_600:21_600] for x in (signal, slammed))
    assert abs(10 * np.log10(np.square(with_slam).mean() / np.square(without).mean())) < 2


def test_bad_blocks_leave_the_stream_as_it_was(small: Stream, recording: Floats) -> None:
    signal = np.stack([recording[:9_000]] * 2, axis=1)
    stream = Stream(small, channels=2)
    expected = through(stream, [signal])
    first = stream.feed(signal[:5_000])
    broken = signal[:10].copy()
    broken[5, 1] = np.nan
    for block, message in (
        (broken, "NaN or infinite"),
        (signal[:, 0], r"must be \[samples, 2\], not \[9000\]"),
        (signal[:, :1], r"must be \[samples, 2\], not \[9000, 1\]"),
        (signal * np.array([1, 1e30], np.float32), r"beyond 1e\+15"),
    ):
        with pytest.raises(ValueError, match=message):
            stream.feed(block)
    with pytest.raises(TypeError, match="numpy array"):
        stream.feed([0.0])  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.concatenate([first, stream.feed(signal[5_000:]), stream.flush()]), expected)


def test_reset_and_flush_begin_anew(small: Stream, recording: Floats) -> None:
    stream = Stream(small)
    expected = through(stream, [recording[:9_000]])
    stream.feed(recording[5_000:12_000])
    stream.reset()
    np.testing.assert_array_equal(through(stream, [recording[:9_000]]), expected)
    assert len(stream.flush()) == 0


def test_types_are_those_of_the_blocks(small: Stream, recording: Floats) -> None:
    floats = through(Stream(small), [recording[:9_000]])
    integers = np.rint(recording[:9_000] * 2**15).astype(np.int16)
    out = through(Stream(small), [integers])
    assert out.dtype == np.int16
    np.testing.assert_allclose(out / 2**15, floats, atol=1e-3)
    assert through(Stream(small), [recording[:900].astype(np.float64)]).dtype == np.float64


def test_several_streams_share_a_network_and_nothing_else(small: Stream, recording: Floats) -> None:
    signals = [recording[start : start + 8_000] for start in (0, 20_000, 40_000)]
    streams = [Stream(small) for _ in signals]
    expected = [through(Stream(small), [signal]) for signal in signals]
    blocks = zip(*(cut(signal, [999]) for signal in signals), strict=True)
    out: list[list[Floats]] = [[] for _ in signals]
    for turn in blocks:
        for i, block in enumerate(turn):
            out[i].append(streams[i].feed(block))
    for parts, stream, whole in zip(out, streams, expected, strict=True):
        np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()]), whole)


def test_one_thread_feeds_while_another_resets(small: Stream) -> None:
    stream = Stream(small)
    ended = threading.Event()

    def reset() -> None:
        while not ended.is_set():
            stream.reset()

    thread = threading.Thread(target=reset)
    thread.start()
    try:
        for _ in range(30):
            assert np.isfinite(stream.feed(np.ones(400, np.float32))).all()
    finally:
        ended.set()
        thread.join()


def test_arguments_that_do_not_fit(small: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        ({"latency_ms": 20}, "the lowest latency is 66 ms"),
        ({"latency_ms": 66, "sample_rate": 48_000}, "the lowest latency is 72 ms"),
        ({"latency_ms": float("nan")}, "latency_ms must be at least 0"),
        ({"sample_rate": 7_999}, "out of range"),
        ({"channels": 0}, "channels must be at least 1"),
        ({"channels": 129}, "at most 128"),
        ({"attenuation_limit_db": -1}, "attenuation_limit_db must be at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Stream(small, **arguments)
    with pytest.raises(ValueError, match=r"^threads must be at least 1"):
        Stream(threads=0)
    with pytest.raises(TypeError, match="sample_rate must be a whole number"):
        Stream(small, "16000")  # type: ignore[arg-type]
    with pytest.raises(ImseError, match="no such weights"):
        Stream("nothing")
    with pytest.raises(TypeError, match="a Stream cannot be copied or pickled"):
        copy.copy(small)
    assert "Stream" in dir(imse)
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "nothing.so")
    with pytest.raises(ImseError, match="the compiled engine is not there"):
        Stream()
