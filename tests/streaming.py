"""A stream of imse.h, for tests of what is built on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imse import native

Floats = NDArray[np.float32]

_NULL = ctypes.c_void_p()


class Settings(ctypes.Structure):
    """`imse_stream_settings`."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("sample_rate", "window", "hop", "look_ahead", "fade")),
        ("attenuation_limit_db", ctypes.c_float),
    )


class Stream:
    """A stream of one channel.

    Args:
        weights: Content of a safetensors file.
        sample_rate: In Hz.
        latency_ms: For `imse_stream_settings_for`.
    """

    def __init__(self, weights: bytes, sample_rate: int, latency_ms: float) -> None:
        self._library = native.library()
        self._library.imse_stream_open.restype = ctypes.c_void_p
        self._library.imse_stream_latency.restype = ctypes.c_size_t
        self.settings = Settings()
        latency = ctypes.c_double(latency_ms)
        _expect_ok(self._library.imse_stream_settings_for(latency, sample_rate, ctypes.byref(self.settings), _NULL))
        self._network = ctypes.c_void_p(self._library.imse_open(weights, len(weights), 1, None))
        opened = self._library.imse_stream_open(self._network, ctypes.byref(self.settings), _NULL)
        self._stream = ctypes.c_void_p(opened)

    @property
    def latency(self) -> int:
        """Samples."""
        return int(self._library.imse_stream_latency(self._stream))

    def enhance(self, parts: Iterable[Floats]) -> Floats:
        """What comes out of a signal that is fed in parts, from its beginning to its end."""
        out = [self._call(self._library.imse_stream_feed, part) for part in parts]
        return np.concatenate([*out, self._call(self._library.imse_stream_flush)])

    def _call(self, function: Any, part: Floats | None = None) -> Floats:
        count = 0 if part is None else len(part)
        room, written = np.empty(count + self.latency, np.float32), ctypes.c_size_t()
        arguments = () if part is None else (part.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(count))
        out = room.ctypes.data_as(ctypes.c_void_p)
        _expect_ok(function(self._stream, *arguments, out, ctypes.byref(written), _NULL))
        return room[: written.value]

    def __del__(self) -> None:
        self._library.imse_stream_close(self._stream)
        self._library.imse_close(self._network)


def _expect_ok(status: int) -> None:
    assert status == 0
