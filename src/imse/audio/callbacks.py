"""Files written by libraries in C, which call back into Python for every write.

No exception passes through such a call: cffi prints it, and the library goes on as if nothing had happened. So errors
of the disk are kept for later, and Ctrl-C waits for the end of the call.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import BinaryIO

INTERRUPTS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask a program to end. Windows has no SIGHUP."""


def heeded_interrupts() -> list[int]:
    """Those of `INTERRUPTS` that are not ignored, as by `nohup` or in a background job of a script: they stay so."""
    return [number for number in INTERRUPTS if signal.getsignal(number) != signal.SIG_IGN]


class CallbackFile:
    """A binary file for such a library: the first error is kept, and what is written after it is thrown away.

    Args:
        file: Where the bytes go.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write the data; returns their length, whatever happens."""
        if self._error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of any file."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        return self._file.read(size)

    def raise_error(self) -> None:
        """Raise the error that was kept, if there was one."""
        if self._error is not None:
            raise self._error


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Hold `INTERRUPTS` back until the block ends, if Python code handles them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread only
        return
    caught: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
    for number in INTERRUPTS:
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
