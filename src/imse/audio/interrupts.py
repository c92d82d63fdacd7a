"""Ctrl-C while a library in C is calling back: cffi would print it and go on, as if nothing had happened."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block ends, if Python code handles them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread only
        return
    caught: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):
            handlers[number] = handler
            signal.signal(number, lambda *arguments: caught.append(arguments))
    try:
        yield
    finally:
        for held_back, handler in handlers.items():
            signal.signal(held_back, handler)
        for came, frame in caught:
            handlers[came](came, frame)
