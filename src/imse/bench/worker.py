"""Worker processes. Each opens one task with its own number of threads, then runs it once per request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imse.workers import SpawnedPool

if TYPE_CHECKING:
    from imse.signal.spectrum import Floats

PEAK_ROUNDS = 40_000_000  # about a tenth of a second

Task = tuple[Any, Callable[[], object]]  # a result of opening it, and the function to time


class Took(NamedTuple):
    """Seconds of one turn: processor time summed over all threads, and wall time."""

    cpu: float
    wall: float


class Worker(SpawnedPool):
    """One process whose libraries use a given number of threads.

    It opens the task at construction. `found` is the result of opening it.
    """

    def __init__(self, threads: int, open_task: Callable[..., Task], *arguments: object) -> None:
        super().__init__(1, threads)
        try:
            self.found = self.submit(_open, open_task, arguments).result()
        except BaseException:
            self.terminate()
            raise

    def turn(self) -> Took:
        """Run the task once."""
        return self.submit(_turn).result()


# The rest of the module runs in the worker. Tasks import packages when opened, so that the opening time includes it.
_do_turn: Callable[[], object]


def _open(open_task: Callable[..., Task], arguments: tuple[object, ...]) -> Any:
    global _do_turn
    found, _do_turn = open_task(*arguments)
    return found


def _turn() -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    _do_turn()
    return Took(time.process_time() - cpu, time.perf_counter() - wall)


def open_enhancer(engine: str, weights: Path, segments: str, threads: int, noisy: Floats) -> Task:
    """Open an enhancer, to be run on a signal [samples] at 16 kHz.

    The result: seconds to open, seconds of a first call, and the output of that call.
    """
    started = time.perf_counter()
    from imse.enhancer import Enhancer
    from imse.signal.spectrum import SAMPLE_RATE

    enhancer = Enhancer(weights, engine, threads, segments)
    opened = time.perf_counter()
    output = enhancer.enhance(noisy, SAMPLE_RATE)
    found = (opened - started, time.perf_counter() - opened, output)
    return found, lambda: enhancer.enhance(noisy, SAMPLE_RATE)


def peak() -> Task:
    """Multiply and add in registers, as fast as the core can. The result is the number of multiply-accumulates.

    Raises:
        ImseError: The compiled engine, which does it, is not there.
    """
    from imse import native

    return native.multiply_accumulate(PEAK_ROUNDS), lambda: native.multiply_accumulate(PEAK_ROUNDS)


def count(weights: Path) -> Task:
    """Describe the network in a file: its configuration, parameters, and GMAC per second of audio. Nothing is timed."""
    from imse.cost import costs, shapes_of
    from imse.info import network_config

    config = network_config(weights)
    total = costs(shapes_of(config))["total"]
    return (asdict(config), total.parameters, total.gmacs), lambda: None
