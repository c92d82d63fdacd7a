"""Ctrl-C during a run: a step is never left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A run that was interrupted and saved; `imse train RUN --resume` goes on with it."""


class Interrupts:
    """What SIGINT does while a run trains.

    Alone, a process is interrupted at once, except within a step, which ends first. One of several processes only
    notes it, as all of them must stop after the same step.

    Args:
        several: Whether other processes take part in the run.

    Attributes:
        noted: Whether there was an interrupt.
        in_step: Whether a step has begun and not ended.
    """

    def __init__(self, *, several: bool) -> None:
        self.noted = False
        self.in_step = False
        self._several = several

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take over SIGINT, unless it is ignored or this is not the main thread."""
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
            yield
            return
        signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def after_step(self) -> Iterator[None]:
        """Let a step end before an interrupt raises `KeyboardInterrupt`; a second one raises it within the step."""
        self.in_step = True
        yield
        self.in_step = False
        if self.noted and not self._several:
            raise KeyboardInterrupt

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        again, self.noted = self.noted, True
        if not self._several and (again or not self.in_step):
            raise KeyboardInterrupt
