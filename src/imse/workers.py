"""Worker processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from types import TracebackType
from typing import ParamSpec, TypeVar

from imse.processors import THREAD_VARIABLES

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class SpawnedPool(ProcessPoolExecutor):
    """Processes that compute on the CPU, each with its own number of threads.

    They are spawned: a fork of a process that has used threads or CUDA is not safe. They ignore Ctrl-C, which is for
    the process that started them. As a context manager, the pool waits for its tasks at the end of the block; if an
    exception ends the block, as Ctrl-C does, it ends the processes at once.

    Args:
        workers: Processes. Each is started when a task finds no idle one.
        threads: Threads that the numerical libraries of each process use.
    """

    def __init__(self, workers: int, threads: int = 1) -> None:
        super().__init__(workers, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))
        self._environment = {**dict.fromkeys(THREAD_VARIABLES, str(threads)), "CUDA_VISIBLE_DEVICES": ""}

    def submit(
        self, fn: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Future[_Result]:
        """Have a function called by one of the processes, see `concurrent.futures.Executor.submit`."""
        with _environment(self._environment), _interrupt_blocked():  # both are inherited by a process that this starts
            return super().submit(fn, *args, **kwargs)

    def terminate(self) -> None:
        """End the processes at once, without their tasks."""
        for process in list((self._processes or {}).values()):  # Python 3.14 has terminate_workers
            process.terminate()
        self.shutdown(cancel_futures=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.shutdown()
        else:
            self.terminate()


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables that processes started in this block inherit."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Processes started in this block do not get Ctrl-C while they import modules, before they ignore it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
