"""Live enhancement between the callbacks of two devices. It knows no devices, only who calls it.

The callback of the input device calls `capture`, that of the output device `play`. Neither waits for the network, which
runs on a thread of its own. The program's main thread shows the meters and writes the recording.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

import numpy as np

from imse.live.enhancement import BLOCK_SECONDS, Enhancement, Wish, cost_of, from_best_to_cheapest
from imse.live.levels import Level
from imse.live.playout import Playout
from imse.signal.spectrum import Floats

_HIGHEST_LOAD = 0.85  # of one processor: what comes out of a step must be ready in time although others work, too
_LOAD_SECONDS = 2.0
_TRIALS = 3
_LONGEST_STEP = 1.3  # of a usual one
_JITTER_SECONDS = 0.02  # of the callbacks, and of the system that runs the threads

Pair = tuple[Floats, Floats]
_T = TypeVar("_T")


class Session:
    """Sound that comes in blocks is enhanced, and goes out in blocks, a fixed time later.

    Args:
        wish: What the user asked for. If this machine is too slow for it, the session begins with something cheaper.
        recorded: Whether what comes in and goes out is kept until `take_recorded` takes it.

    Attributes:
        hears_input: Whether the output is the input, as late as the output would be, for comparison.
        noisy: Level of the input.
        enhanced: Level of the output.
        load: Seconds of work per second of sound, of late.
        margin: Samples between `capture` and `play` beside the latency: the time for the longest step.

    Raises:
        ImseError: What the user asks for cannot be had.
    """

    def __init__(self, wish: Wish, recorded: bool = False) -> None:
        self._wish = wish
        self._ladder: Iterator[Enhancement] = from_best_to_cheapest(wish)
        self._events: SimpleQueue[str] = SimpleQueue()
        self._enhancement = next(self._ladder)
        self.load, step = self._trial()
        while self.load > _HIGHEST_LOAD:
            self._climb_down()
            self.load, step = self._trial()
        margin = _LONGEST_STEP * step + BLOCK_SECONDS + _JITTER_SECONDS
        self.margin = math.ceil(margin * wish.sample_rate)
        self._playout = Playout(wish.channels, wish.sample_rate, self.latency + self.margin)
        self.noisy, self.enhanced = Level(wish.sample_rate), Level(wish.sample_rate)
        self.hears_input = False
        self._error: BaseException | None = None
        self._captured = 0
        self._lost = 0
        self._blocks: SimpleQueue[Floats | None] = SimpleQueue()
        self._recorded: SimpleQueue[Pair] | None = SimpleQueue() if recorded else None
        self._busy, self._past = self.load * _LOAD_SECONDS, _LOAD_SECONDS
        self._dropouts_then = 0
        self._thread = Thread(target=self._work, name="imse live", daemon=True)

    @property
    def latency(self) -> int:
        """Samples by which the enhancement alone is late."""
        return self._enhancement.latency

    @property
    def dropouts(self) -> int:
        """How many times sound was lost or came too late."""
        return self._playout.dropouts + self._lost

    @property
    def grown(self) -> int:
        """Samples that the output is later than at the beginning, as the machine does not work evenly."""
        return self._playout.grown

    @property
    def seconds(self) -> float:
        """Of sound that came in."""
        return self._captured / self._wish.sample_rate

    def __enter__(self) -> Session:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Enhance what came in and end; the rest of the recording can be taken then."""
        self._blocks.put(None)
        self._thread.join()

    def capture(self, block: Floats, lost: bool = False) -> None:
        """Samples [n, channels] from the input device, and whether it lost some before them."""
        self._lost += lost
        self._blocks.put(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0))
        self._captured += len(block)

    def play(self, samples: int, lost: bool = False) -> Floats:
        """Samples [samples, channels] for the output device, and whether it had none to play before them."""
        self._lost += lost
        return self._playout.pull(samples, self._captured)

    def check(self) -> None:
        """Raise what ended the work early, if anything did."""
        if self._error is not None:
            raise self._error

    def events(self) -> Iterator[str]:
        """What happened since the last call that the user should know, one line each."""
        yield from _taken(self._events)

    def take_recorded(self) -> Iterator[Pair]:
        """What came in and went out since the last call: blocks of samples before and after enhancement."""
        if self._recorded is not None:
            yield from _taken(self._recorded)

    def _work(self) -> None:
        try:
            ended = False
            while not ended:
                blocks = [self._blocks.get(), *_taken(self._blocks)]
                sound = [block for block in blocks if block is not None]
                ended = len(sound) < len(blocks)
                for block in sound:
                    started = time.perf_counter()
                    pair = self._enhancement.feed(block)
                    self._count(time.perf_counter() - started, len(block) / self._wish.sample_rate)
                    self._send(pair)
                    self._keep_up()
            self._send(self._enhancement.flush())
        except BaseException as error:  # what ends a thread is printed, and the program goes on
            self._error = error

    def _send(self, pair: Pair) -> None:
        noisy, enhanced = pair
        self.noisy.add(noisy)
        self.enhanced.add(enhanced)
        if self._recorded is not None:
            self._recorded.put(pair)
        self._playout.push(noisy if self.hears_input else enhanced)

    def _count(self, busy: float, seconds: float) -> None:
        kept = math.exp(-seconds / _LOAD_SECONDS)
        self._busy, self._past = kept * self._busy + busy, kept * self._past + seconds
        self.load = self._busy / self._past

    def _keep_up(self) -> None:
        """Go on with something cheaper if sound comes too late because the work takes too long."""
        late = self._playout.dropouts - self._dropouts_then
        if self.load <= _HIGHEST_LOAD:
            self._dropouts_then += late
        elif late and self._enhancement.latency:  # the sound as it comes costs nothing
            self._send(self._enhancement.flush())
            self._climb_down()
            self._busy, self._past = 0.0, _LOAD_SECONDS  # so that it has some time to show its own load
            self._playout.lag = self.latency + self.margin

    def _trial(self) -> tuple[float, float]:
        """As of `cost_of`, at a moment at which nobody else needs the processor, if there is one."""
        for _ in range(_TRIALS):
            load, step = cost_of(self._enhancement, self._wish.sample_rate, self._wish.channels)
            if load <= _HIGHEST_LOAD:
                break
        return load, step

    def _climb_down(self) -> None:
        slow = self._enhancement
        self._enhancement = next(self._ladder)
        self._events.put(f"this machine is too slow for {slow.name}; from now on {self._enhancement.name}")


def _taken(queue: SimpleQueue[_T]) -> Iterator[_T]:
    """All that is in a queue."""
    with suppress(Empty):
        while True:
            yield queue.get_nowait()
