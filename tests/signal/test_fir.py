"""Linear-phase filters: what they remove, that nothing moves, and that blocks are as good as the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imse.signal.fir import filter_stream, high_pass_kernel


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 192_000])
@pytest.mark.parametrize("cutoff_hz", [10, 80, 1_000])
def test_gain_at_every_frequency(sample_rate: int, cutoff_hz: float) -> None:
    """-60 dB an octave below, -6 dB at the cutoff, nothing from half as much above on; no delay."""
    kernel = high_pass_kernel(cutoff_hz, cutoff_hz, sample_rate)
    np.testing.assert_array_equal(kernel, kernel[::-1])
    hz = np.array([0, cutoff_hz / 4, cutoff_hz / 2, cutoff_hz, 1.5 * cutoff_hz, 3 * cutoff_hz])
    at = np.arange(len(kernel)) - len(kernel) // 2
    gain = np.cos(2 * np.pi * hz[:, None] * at / sample_rate) @ kernel
    assert np.abs(gain[:3]).max() < 10 ** (-59 / 20)
    assert 20 * np.log10(gain[3]) == pytest.approx(-6, abs=0.1)
    np.testing.assert_allclose(gain[4:], 1, atol=1.5e-3)


@given(lengths=st.lists(st.integers(0, 4_000), max_size=6), channels=st.integers(1, 3), dtype=st.sampled_from("fd"))
@settings(deadline=None, max_examples=25)
def test_blocks_of_any_length(lengths: list[int], channels: int, dtype: str) -> None:
    kernel = high_pass_kernel(200, 200, 8_000)
    x = np.random.default_rng(sum(lengths)).standard_normal((sum(lengths), channels)).astype(dtype)
    blocks = np.split(x, np.cumsum(lengths)[:-1]) if lengths else []
    y = np.concatenate([x[:0], *filter_stream(blocks, kernel)])
    assert y.dtype == x.dtype
    half = len(kernel) // 2
    expected = [
        np.convolve(np.pad(column.astype(float), half, mode="edge"), kernel, "valid") for column in x.T if len(x)
    ]
    np.testing.assert_allclose(y, np.reshape(expected, (channels, len(x))).T, atol=1e-5)


def test_direct_current_is_removed_without_a_click() -> None:
    y = np.concatenate(list(filter_stream([np.full((9_000, 2), 0.5)], high_pass_kernel(80, 80, 16_000))))
    assert np.abs(y).max() < 1e-12
