"""Cutting and joining, with networks whose output is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from imse.signal.segments import OverlappingSegments, PaperSegments, Segment, Segmentation, run_in_segments

Floats = NDArray[np.float32]

SMALL = OverlappingSegments(shortest=50, longest=100, overlap=20, fade=10)
SMALL_PAPER = PaperSegments(length=50)


def ramp(samples: int, channels: int = 1) -> Floats:
    return np.arange(channels * samples, dtype=np.float32).reshape(samples, channels)


def in_blocks(signal: Floats, length: int) -> Iterator[Floats]:
    for start in range(0, len(signal), length):
        yield signal[start : start + length]


def numbered() -> Callable[[list[Floats]], list[Floats]]:
    """A network whose output is 0 for the first segment, 1 for the second, ..."""
    numbers = iter(range(100))
    return lambda segments: [np.full_like(segment, next(numbers)) for segment in segments]


def joined(signal: Floats, segmentation: Segmentation, block: int = 7, at_once: int = 1) -> Floats:
    blocks = in_blocks(signal, block)
    return np.concatenate(
        [signal[:0], *run_in_segments(blocks, len(signal), segmentation, lambda segments: segments, at_once)]
    )


@given(samples=st.integers(0, 400), channels=st.integers(1, 3), block=st.integers(1, 120), at_once=st.integers(1, 4))
@pytest.mark.parametrize("segmentation", [SMALL, SMALL_PAPER])
def test_a_network_that_changes_nothing_changes_nothing(
    segmentation: Segmentation, samples: int, channels: int, block: int, at_once: int
) -> None:
    signal = ramp(samples, channels)
    np.testing.assert_allclose(joined(signal, segmentation, block, at_once), signal, rtol=1e-6)


@given(samples=st.integers(1, 3_000))
def test_overlapping_segments_have_one_length(samples: int) -> None:
    segments = list(SMALL.plan(samples))
    (length,) = {segment.stop - segment.start for segment in segments}
    assert 50 <= length <= 100
    assert segments[0] == Segment(0, length, 0)
    assert segments[-1].stop == max(samples, 50)
    assert len(segments) == 1 or samples > 100
    for before, after in pairwise(segments):
        assert before.stop - after.start >= 20
        assert after.start <= after.begin
        assert after.begin + 10 <= before.stop


@pytest.mark.parametrize("samples", [1, 49, 50, 51, 99, 100, 101, 333])
def test_paper_segments(samples: int) -> None:
    segments = list(SMALL_PAPER.plan(samples))
    assert {segment.stop - segment.start for segment in segments} == {50}
    assert [segment.start for segment in segments[:-1]] == list(range(0, samples - 50, 50))
    assert segments[-1].stop == max(samples, 50)


def test_overlapping_segments_discard_their_borders() -> None:
    """Errors in the 5 samples next to the borders of segments do not reach the output, except at its two ends."""

    def spoil(segments: list[Floats]) -> list[Floats]:
        outputs = [segment.copy() for segment in segments]
        for output in outputs:
            output[:5] = output[-5:] = 1e6
        return outputs

    signal = ramp(333)
    out = np.concatenate(list(run_in_segments(in_blocks(signal, 40), 333, SMALL, spoil)))
    np.testing.assert_allclose(out[5:-5], signal[5:-5], rtol=1e-6)


def test_a_fade_moves_from_one_segment_to_the_next_without_a_step() -> None:
    levels = iter(range(100))
    out = np.concatenate(
        list(
            run_in_segments([ramp(200)], 200, SMALL, lambda segments: [np.full_like(s, next(levels)) for s in segments])
        )
    )
    steps = np.diff(out[:, 0])
    assert (steps >= 0).all()
    assert 0 < steps.max() < 0.2  # of a jump of 1 over 10 samples


def test_short_signals_are_mirrored() -> None:
    seen: list[Floats] = []
    list(run_in_segments([ramp(20)], 20, SMALL, lambda segments: seen.extend(segments) or segments))  # type: ignore[func-returns-value]
    expected = [*range(20), *range(19, -1, -1), *range(10)]
    np.testing.assert_array_equal(seen[0][:, 0], expected)


def test_paper_pads_short_signals_with_zeros() -> None:
    seen: list[Floats] = []
    list(run_in_segments([ramp(20)], 20, SMALL_PAPER, lambda segments: seen.extend(segments) or segments))  # type: ignore[func-returns-value]
    np.testing.assert_array_equal(seen[0][:, 0], [*range(20), *[0] * 30])


def test_paper_uses_the_whole_last_segment() -> None:
    """As published: of 120 samples, the last 50 are the last segment's, and the second is cut to 70."""
    out = np.concatenate(list(run_in_segments([ramp(120)], 120, SMALL_PAPER, numbered())))
    np.testing.assert_array_equal(out[:, 0], [0] * 50 + [1] * 20 + [2] * 50)


def test_memory_does_not_grow_with_the_signal() -> None:
    """Nothing is read further ahead than the segment at hand."""
    read = 0

    def blocks() -> Iterator[Floats]:
        nonlocal read
        for _ in range(1_000):
            read += 10
            yield np.zeros((10, 1), np.float32)

    given_out = 0
    for block in run_in_segments(blocks(), 10_000, SMALL, lambda segments: segments):
        given_out += len(block)
        assert read - given_out <= 2 * SMALL.longest
    assert given_out == 10_000
