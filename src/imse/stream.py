"""Sound that is enhanced as it comes: blocks in, blocks out, with a fixed latency.

The network sees the last half second or more again at every step, and what it makes of the newest part comes out. The
compiled library does all of it, for any program that streams: `native/include/imse.h` says how.
"""

from __future__ import annotations

import math
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from imse.arguments import number_from_zero, whole_number
from imse.engine.native import NativeEngine
from imse.enhancer import MOST_CHANNELS, checked_rate
from imse.errors import WrongValueError
from imse.processors import usable_threads
from imse.samples import Samples, as_floats, check_samples, like
from imse.weights import DEFAULT, find

_LOUDEST = 1e15  # that the library takes


class Stream:
    """A signal of any length, enhanced block by block. Safe to use from several threads, one after another.

    In all, as many samples come out as went in, and the i-th that comes out belongs to the i-th that went in. How the
    input is cut into blocks changes nothing, to the last bit.

    Args:
        weights: Name of weights in the package, or a safetensors file; or another stream, to share its opened network.
        sample_rate: In Hz, 8,000 to 192,000.
        channels: Channels of a block, which are enhanced independently.
        latency_ms: The most that the output may be late. The best quality within it is chosen.
        threads: Processor threads that the network uses; those of the other stream, where one is given.
        attenuation_limit_db: The most by which noise is turned down; None sets no limit.

    Attributes:
        latency: Samples: when n were fed, at least n - latency have come out. The least such number.

    Raises:
        ImseError: Also a ValueError or a TypeError: numbers out of range, a latency that no setting has. Neither:
            unreadable weights, or no compiled engine.
    """

    def __init__(
        self,
        weights: str | Path | Stream = DEFAULT,
        sample_rate: int = 16_000,
        channels: int = 1,
        latency_ms: float = 140.0,
        threads: int = 1,
        attenuation_limit_db: float | None = None,
    ) -> None:
        rate, self._channels = checked_rate(sample_rate), whole_number("channels", channels)
        if self._channels > MOST_CHANNELS:
            raise WrongValueError(f"{channels} channels; at most {MOST_CHANNELS} can be enhanced")
        latency_ms = number_from_zero("latency_ms", latency_ms)
        limit = (
            math.inf if attenuation_limit_db is None else number_from_zero("attenuation_limit_db", attenuation_limit_db)
        )
        self._engine: NativeEngine
        if isinstance(weights, Stream):
            self._engine = weights._engine
        else:
            self._engine = NativeEngine(find(weights, ".safetensors"), usable_threads(threads))
        self._streams = [self._engine.stream(rate, latency_ms, limit) for _ in range(self._channels)]
        self._lock = Lock()
        self._nothing: NDArray[Any] = np.empty((0,) if self._channels == 1 else (0, self._channels), np.float32)
        self.latency = self._streams[0].latency

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Stream cannot be copied or pickled: make another one")

    def feed(self, block: NDArray[Samples]) -> NDArray[Samples]:
        """Feed a block, and take what is ready.

        Args:
            block: Samples [n] of one channel, or [n, channels], n >= 0, in a type that `Enhancer.enhance` takes.

        Returns:
            Samples [m] or [m, channels], of the block's type.

        Raises:
            ImseError: Also a ValueError or a TypeError: not such an array, NaN or infinite samples. The stream is as
                before, and can go on.
        """
        check_samples(block, self._channels)
        if (block.ndim == 1 and self._channels > 1) or (block.ndim == 2 and block.shape[1] != self._channels):
            raise WrongValueError(f"the block must be [samples, {self._channels}], not {list(block.shape)}")
        if np.abs(block).max(initial=0) > _LOUDEST:  # of any channel, before the first one is fed
            raise WrongValueError(f"samples beyond {_LOUDEST:g} cannot be processed")
        signal = as_floats(block).astype(np.float32).reshape(len(block), self._channels)
        with self._lock:
            self._nothing = block[:0]
            ready = [stream.feed(signal[:, i]) for i, stream in enumerate(self._streams)]
        return _joined(ready, block)

    def flush(self) -> NDArray[Any]:
        """The last samples, in the shape and type of the blocks; the stream is at its beginning again."""
        with self._lock:
            return _joined([stream.flush() for stream in self._streams], self._nothing)

    def reset(self) -> None:
        """Go back to the beginning; what has not come out is lost."""
        with self._lock:
            for stream in self._streams:
                stream.reset()


def _joined(channels: list[NDArray[np.float32]], block: NDArray[Samples]) -> NDArray[Samples]:
    """Channels [m] in the shape and type of a block."""
    return like(block, channels[0] if block.ndim == 1 else np.stack(channels, axis=1))
