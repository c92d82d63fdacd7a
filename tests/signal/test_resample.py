"""Resampling block by block makes the same samples as resampling the whole."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from imse.signal.resample import Block, resample_stream

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000]) | st.integers(
    8_000, 192_000
)


@given(RATES, RATES, st.integers(0, 3000), st.integers(1, 3), st.lists(st.integers(0, 3000), max_size=9), st.booleans())
def test_blocks_make_the_same_samples_as_the_whole(
    from_rate: int, to_rate: int, frames: int, channels: int, cuts: list[int], double: bool
) -> None:
    dtype: type[np.floating[Any]] = np.float64 if double else np.float32
    signal: Block = np.random.default_rng(frames).standard_normal((frames, channels)).astype(dtype)
    edges = [0, *sorted(min(cut, frames) for cut in cuts), frames]
    blocks = [signal[start:stop] for start, stop in pairwise(edges)]
    resampled = list(resample_stream(blocks, from_rate, to_rate, channels))
    joined = np.concatenate([np.empty((0, channels), dtype), *resampled])
    whole = signal if from_rate == to_rate else soxr.resample(signal, from_rate, to_rate)
    np.testing.assert_array_equal(joined, whole)
    assert joined.dtype == dtype
    assert abs(len(joined) - frames * to_rate / from_rate) <= 0.5


@pytest.mark.parametrize("to_rate", [16_000, 44_100])
def test_no_blocks_make_none(to_rate: int) -> None:
    assert list(resample_stream([], 44_100, to_rate, 1)) == []


def test_there_and_back_is_sample_aligned() -> None:
    seconds = np.arange(44_100) / 44_100
    tone = np.sin(2 * np.pi * 440 * seconds)[:, None]
    down = resample_stream([tone], 44_100, 16_000, 1)
    back = np.concatenate(list(resample_stream(down, 16_000, 44_100, 1)))
    assert len(back) == len(tone)
    np.testing.assert_allclose(back[1000:-1000], tone[1000:-1000], atol=1e-4)
