"""Keeping libraries in C from printing on standard error.

libmpg123, which libsndfile decodes MP3 with, prints a line about everything that it finds odd in a file, and nothing in
libsndfile's interface turns that off. To redirect the file descriptor would swallow what all other threads print in the
meantime, in Python too. So it is the C library's variable `stderr`, used by C alone, that points to another stream
while a decoder runs. That stream drops what the decoding threads print, and passes on what comes from any other thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

_STDERR = 2
_UNBUFFERED = 2  # _IONBF
_EVERY_THREAD = 0  # which is no thread's identifier
_Write = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _Functions(ctypes.Structure):
    """glibc's cookie_io_functions_t: what a stream does when it is read, written, moved and closed."""

    _fields_ = (("read", ctypes.c_void_p), ("write", _Write), ("seek", ctypes.c_void_p), ("close", ctypes.c_void_p))


class _Stderr:
    """The variable `stderr` of glibc, and the stream that takes its place."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        libc.fopencookie.argtypes = (ctypes.c_void_p, ctypes.c_char_p, _Functions)
        libc.fopencookie.restype = ctypes.c_void_p
        libc.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t)
        self._variable = ctypes.c_void_p.in_dll(libc, "stderr")
        self._original = self._variable.value
        self._write = _Write(self._pass_on)  # kept: C has only a pointer to it
        self._stream = libc.fopencookie(None, b"w", _Functions(write=self._write))
        libc.setvbuf(self._stream, None, _UNBUFFERED, 0)
        self._quiet: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def quiet(self, thread: int) -> Iterator[None]:
        """Drop what a thread prints in the block, or what all print."""
        with self._lock:
            if not self._quiet:
                self._original, self._variable.value = self._variable.value, self._stream
            self._quiet.add(thread)
        try:
            yield
        finally:
            with self._lock:
                self._quiet.discard(thread)
                if not self._quiet:
                    self._variable.value = self._original

    def _pass_on(self, _cookie: int | None, data: int, size: int) -> int:
        if self._quiet.isdisjoint({threading.get_ident(), _EVERY_THREAD}):
            with suppress(OSError):
                os.write(_STDERR, ctypes.string_at(data, size))
        return size


@contextmanager
def quiet_in_c(every_thread: bool = False) -> Iterator[None]:
    """Drop what libraries in C print on standard error; blocks for one thread are not nested.

    Python's own standard error, and all that other threads print, is left alone. Works on Linux with glibc; elsewhere
    the block runs as it is.

    Args:
        every_thread: Whether what any thread prints is dropped, and not what this one prints alone.
    """
    stderr = _stderr()
    if stderr is None:
        yield
    else:
        with stderr.quiet(_EVERY_THREAD if every_thread else threading.get_ident()):
            yield


@cache
def _stderr() -> _Stderr | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    # musl's variable cannot be written to.
    return _Stderr(libc) if hasattr(libc, "gnu_get_libc_version") else None
