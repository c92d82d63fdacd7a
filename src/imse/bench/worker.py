"""Worker processes: each opens one task with its own number of threads, then does one turn of it on request."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imse.processors import THREAD_VARIABLES

if TYPE_CHECKING:
    from imse.signal.spectrum import Floats

PRODUCT_SIZE, PRODUCTS_PER_TURN = 1024, 8

Task = tuple[Any, Callable[[], object]]  # what was found when it was opened, and what one turn of it calls


class Took(NamedTuple):
    """Seconds that a turn took: processor time of all threads together, and wall time."""

    cpu: float
    wall: float


class Worker(ProcessPoolExecutor):
    """One process whose libraries use a number of threads. It opens a task at once: `found` is what that found."""

    def __init__(self, threads: int, open_task: Callable[..., Task], *arguments: object) -> None:
        # Ctrl-C ends the process without a traceback of its own.
        super().__init__(1, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_DFL))
        with _environment(threads):
            self.found = self.submit(_open, open_task, arguments).result()

    def turn(self) -> Took:
        """Do the task once."""
        return self.submit(_turn).result()


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """What processes started meanwhile inherit: a number of threads, and no GPU, whose time is not processor time."""
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)), CUDA_VISIBLE_DEVICES="")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# What follows runs in the worker. It imports what it needs when it is called, so that opening includes the imports.
_do_turn: Callable[[], object]


def _open(open_task: Callable[..., Task], arguments: tuple[object, ...]) -> Any:
    global _do_turn
    found, _do_turn = open_task(*arguments)
    return found


def _turn() -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    _do_turn()
    return Took(time.process_time() - cpu, time.perf_counter() - wall)


def enhance(engine: str, weights: Path, segments: str, threads: int, noisy: Floats) -> Task:
    """Enhance a signal [samples] at 16 kHz; finds the seconds of opening and of a first call, and its output."""
    started = time.perf_counter()
    from imse.enhancer import Enhancer
    from imse.signal.spectrum import SAMPLE_RATE

    enhancer = Enhancer(weights, engine, threads, segments)
    opened = time.perf_counter()
    output = enhancer.enhance(noisy, SAMPLE_RATE)
    found = (opened - started, time.perf_counter() - opened, output)
    return found, lambda: enhancer.enhance(noisy, SAMPLE_RATE)


def product() -> Task:
    """Multiply float32 matrices with numpy; finds nothing."""
    import numpy as np

    a, b = np.random.default_rng(0).standard_normal((2, PRODUCT_SIZE, PRODUCT_SIZE), np.float32)
    out = np.matmul(a, b)
    return None, lambda: [np.matmul(a, b, out) for _ in range(PRODUCTS_PER_TURN)]


def count(weights: Path) -> Task:
    """Nothing to time; finds the configuration of the network in a file, its parameters and GMAC per second."""
    from imse.nn.cost import costs
    from imse.weights.info import network_config

    config = network_config(weights)
    total = costs(config)["total"]
    return (asdict(config), total.parameters, total.gmacs), lambda: None
