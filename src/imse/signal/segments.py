"""Cutting a signal of any length into the segments a network sees, and joining what it made of them.

The network attends and normalises over everything it is given, and was trained on segments of 30,700 samples; given
much more, or much less, it answers differently. So a long signal is cut into overlapping segments, and where two meet,
one fades into the other away from the borders of both. The choices are measured: see docs/enhancer.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from imse.signal.spectrum import Floats

SEGMENT = 30_700
"""Samples of a segment: 1.92 s at 16 kHz, 308 frames, the length the published networks were trained on."""


@dataclass(frozen=True)
class Segment:
    """One segment of a signal.

    Attributes:
        start: First sample of the segment.
        stop: Sample after its last; past the end of a signal that is shorter than a segment.
        begin: Sample from which its output is used, faded in over `Segmentation.fade` samples.
    """

    start: int
    stop: int
    begin: int


class Segmentation(Protocol):
    """A way of cutting."""

    @property
    def fade(self) -> int:
        """Samples over which one segment's output fades into the next one's."""

    def plan(self, samples: int) -> Iterator[Segment]:
        """Segments of a signal of a given length (at least 1), in order, covering it."""

    def extend(self, segment: Floats, samples: int) -> Floats:
        """Lengthen what there is of a short signal, [n, channels], to `samples`."""


@dataclass(frozen=True)
class OverlappingSegments:
    """The fewest segments of one length that cover the signal; they overlap, with a cross-fade amid each overlap.

    A signal up to `longest` is one segment, as it is. One shorter than `shortest` is lengthened by its own mirror
    image: the network enhances very short signals, and signals padded with zeros, less well.

    Attributes:
        shortest: Samples that a segment has at least.
        longest: Samples that it has at most, at least twice `shortest`.
        overlap: Samples that a segment shares with the one before, or a little more.
        fade: Samples of the cross-fade, at most `overlap`; what is left of the overlap on both sides is discarded.
    """

    shortest: int = SEGMENT
    longest: int = 2 * SEGMENT
    overlap: int = 3_200
    fade: int = 1_600

    def plan(self, samples: int) -> Iterator[Segment]:
        """See `Segmentation.plan`."""
        count = max(1, math.ceil((samples - self.overlap) / (self.longest - self.overlap)))
        length = max(self.shortest, math.ceil((samples + (count - 1) * self.overlap) / count))
        before = 0
        for i in range(count):
            start = i * (samples - length) // (count - 1) if i else 0
            middle = (start + before + length) // 2
            yield Segment(start, start + length, middle - self.fade // 2 if i else 0)
            before = start

    def extend(self, segment: Floats, samples: int) -> Floats:
        """Continue with the mirror image, repeated as often as it takes."""
        return np.pad(segment, [(0, samples - len(segment)), (0, 0)], mode="symmetric")


@dataclass(frozen=True)
class PaperSegments:
    """The authors' cutting, for their numbers: independent segments, joined hard, short signals padded with zeros.

    A rest shorter than a segment is covered by the signal's last `length` samples, whose whole output is used.
    """

    length: int = SEGMENT
    fade: int = 0

    def plan(self, samples: int) -> Iterator[Segment]:
        """See `Segmentation.plan`."""
        for start in range(0, samples, self.length):
            begin = start if start + self.length <= samples else max(samples - self.length, 0)
            yield Segment(begin, begin + self.length, begin)

    def extend(self, segment: Floats, samples: int) -> Floats:
        """Pad with zeros."""
        return np.pad(segment, [(0, samples - len(segment)), (0, 0)])


def run_in_segments(
    blocks: Iterable[Floats],
    samples: int,
    segmentation: Segmentation,
    network: Callable[[list[Floats]], list[Floats]],
    at_once: int = 1,
) -> Iterator[Floats]:
    """Run a network over a signal in segments, in memory that does not grow with the signal. Time is the first axis.

    Args:
        blocks: The signal in blocks of any length, [n, channels] each.
        samples: Its whole length.
        segmentation: How it is cut and joined.
        network: Maps segments [length, channels] to outputs [length, width].
        at_once: Segments that the network is given in one call.

    Yields:
        The joined output in order, [n, width] each, `samples` in all.
    """
    if samples == 0:
        return
    plan = segmentation.plan(samples)
    source = _Window(blocks)
    position = np.arange(segmentation.fade, dtype=np.float32)[:, np.newaxis] + np.float32(0.5)
    fade_in = np.float32(0.5) - np.float32(0.5) * np.cos(np.pi * position / max(segmentation.fade, 1))
    previous: tuple[Segment, Floats] | None = None
    while group := list(islice(plan, at_once)):
        inputs = []
        for segment in group:
            cut = source.cut(segment.start, min(segment.stop, samples))
            inputs.append(segmentation.extend(cut, segment.stop - segment.start))
        for segment, output in zip(group, network(inputs), strict=True):
            if previous is not None:
                before, tail = previous
                yield tail[: segment.begin - before.begin]
                overlap = tail[segment.begin - before.begin :][: segmentation.fade]
                begun = output[segment.begin - segment.start :].copy()
                begun[: segmentation.fade] = overlap + fade_in * (begun[: segmentation.fade] - overlap)
            else:
                begun = output
            previous = segment, begun
    assert previous is not None
    last, tail = previous
    yield tail[: samples - last.begin]


class _Window:
    """The part of a stream of blocks that is still needed, read on demand."""

    def __init__(self, blocks: Iterable[Floats]) -> None:
        self._blocks = iter(blocks)
        self._held: list[Floats] = []
        self._start = 0  # of what is held
        self._stop = 0

    def cut(self, start: int, stop: int) -> Floats:
        """Samples from start to stop; what lies before start is forgotten."""
        while self._stop < stop:
            block = next(self._blocks)
            self._held.append(block)
            self._stop += len(block)
        held = np.concatenate(self._held)[start - self._start :]
        self._held, self._start = [held], start
        return held[: stop - start]
