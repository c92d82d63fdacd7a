"""Streams that give back their input beside their output, and the cheaper ones that a slow machine goes on with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imse.signal.spectrum import Floats
from imse.stream import Stream

CHEAP_WEIGHTS = "small"
_LONGER_MS = (140.0, 266.0)
"""Latencies at which a step comes seldom enough to cost less than at the shorter ones."""

BLOCK_SECONDS = 0.01
_TRIAL_SECONDS = 1.0


class Enhancement:
    """A stream that gives back what it was fed beside what it made of it, sample for sample.

    Args:
        stream: The stream, at its beginning; None lets the sound pass as it is.
        channels: Of the sound.
        name: What a user knows it by.

    Attributes:
        latency: As of the stream, in samples.
    """

    def __init__(self, stream: Stream | None, channels: int, name: str) -> None:
        self.name = name
        self.latency = stream.latency if stream else 0
        self._stream = stream
        self._waiting: Floats = np.zeros((0, channels), np.float32)

    def feed(self, block: Floats) -> tuple[Floats, Floats]:
        """Samples [n, channels] in; those that are ready, [m, channels], before and after enhancement."""
        if self._stream is None:
            return block, block
        self._waiting = np.concatenate([self._waiting, block])
        return self._taken(self._stream.feed(block))

    def flush(self) -> tuple[Floats, Floats]:
        """The last samples, before and after; then it is at its beginning again."""
        if self._stream is None:
            return self._waiting, self._waiting
        # The shape is that of the blocks, of which there may have been none.
        return self._taken(self._stream.flush().reshape(-1, self._waiting.shape[1]))

    def _taken(self, enhanced: Floats) -> tuple[Floats, Floats]:
        noisy, self._waiting = self._waiting[: len(enhanced)], self._waiting[len(enhanced) :]
        return noisy, enhanced


@dataclass(frozen=True)
class Wish:
    """What a user asks for; see `imse.Stream`."""

    weights: str
    sample_rate: int
    channels: int
    latency_ms: float
    threads: int = 1
    attenuation_limit_db: float | None = None

    def stream(self, weights: str, latency_ms: float) -> Stream:
        """A stream as wished, but for these."""
        return Stream(weights, self.sample_rate, self.channels, latency_ms, self.threads, self.attenuation_limit_db)


def from_best_to_cheapest(wish: Wish) -> Iterator[Enhancement]:
    """What was asked for, and then what costs less and less: a smaller network, longer latencies, no enhancement.

    Raises:
        ImseError: When the first is asked for: what the user wishes cannot be had.
    """
    longer = (latency_ms for latency_ms in _LONGER_MS if latency_ms > wish.latency_ms)
    tried = set()
    for weights, latency_ms in (
        (wish.weights, wish.latency_ms),
        (CHEAP_WEIGHTS, wish.latency_ms),
        *((CHEAP_WEIGHTS, latency_ms) for latency_ms in longer),
    ):
        stream = wish.stream(weights, latency_ms)
        if (weights, stream.latency) not in tried:
            tried.add((weights, stream.latency))
            name = f"weights '{weights}' at {1000 * stream.latency / wish.sample_rate:.0f} ms"
            yield Enhancement(stream, wish.channels, name)
    yield Enhancement(None, wish.channels, "the sound as it comes, without enhancement")


def cost_of(enhancement: Enhancement, sample_rate: int, channels: int) -> tuple[float, float]:
    """What an enhancement, at its beginning, costs on this machine; it is at its beginning afterwards.

    Returns:
        The load, seconds of work per second of sound, and how long a step takes, in seconds: blocks between two steps
        take next to nothing, so this is the mean over the time that passed, not over the blocks.
    """
    block = np.random.default_rng(0).normal(0, 0.1, (round(BLOCK_SECONDS * sample_rate), channels))
    times = []
    for _ in range(round(_TRIAL_SECONDS / BLOCK_SECONDS)):
        started = time.perf_counter()
        enhancement.feed(block.astype(np.float32))
        times.append(time.perf_counter() - started)
    enhancement.flush()
    work = sum(times)
    return work / _TRIAL_SECONDS, sum(seconds**2 for seconds in times) / work
