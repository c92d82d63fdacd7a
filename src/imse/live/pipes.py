"""Raw samples from standard input, enhanced, to standard output: `arecord | imse live - - | aplay`, and services."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from imse.audio.callbacks import heeded_interrupts
from imse.errors import ImseError
from imse.live.enhancement import Enhancement
from imse.live.recording import Recording
from imse.samples import as_floats, like
from imse.signal.spectrum import Floats

TYPES = {"uint8": "u1", "int16": "<i2", "int32": "<i4", "float32": "<f4"}
"""Of raw samples, little-endian."""

_BYTES_PER_READ = 65_536
_WAV = b"RIFF"


class _EndedError(Exception):
    """A signal came that asks this program to end."""


class RawPipes:
    """Standard input and output, with frames of samples in them. A context manager, in which signals end the input.

    Args:
        dtype: One of `TYPES`.
        channels: Samples in a frame.

    Raises:
        ImseError: One of them is closed, or a terminal.
    """

    def __init__(self, dtype: str, channels: int) -> None:
        self._type = np.dtype(TYPES[dtype])
        self._channels = channels
        self._input, self._output = _descriptor(sys.stdin, "input"), _descriptor(sys.stdout, "output")
        self._is_waiting = self._is_ended = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> RawPipes:
        self._handlers = {number: signal.signal(number, self._end) for number in heeded_interrupts()}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore_handlers()

    def blocks(self) -> Iterator[Floats]:
        """All samples [n, channels], as they come.

        Raises:
            ImseError: They begin like a file, or end within a frame.
        """
        rest = b""
        began = False
        while data := self._read():
            rest += data
            if not began and rest.startswith(_WAV):
                raise ImseError("standard input is a WAV file, not raw samples: 'arecord -t raw' sends those")
            began = began or len(rest) >= len(_WAV)
            size = len(rest) - len(rest) % (self._type.itemsize * self._channels)
            frames: NDArray[Any] = np.frombuffer(rest[:size], self._type).reshape(-1, self._channels)
            rest = rest[size:]
            floats = as_floats(frames.astype(self._type.newbyteorder("="))).astype(np.float32)
            yield np.nan_to_num(floats, nan=0, posinf=0, neginf=0)
        if rest and not self._is_ended:
            raise ImseError("standard input ended within a sample: it has another --dtype, or other --channels")

    def write(self, samples: Floats) -> None:
        """Write samples [n, channels]; integers are clipped at full scale.

        Raises:
            ImseError: Nobody reads them any more.
            OSError: The disk is full, or failing.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # how many were clipped
            data = like(np.empty(0, self._type.newbyteorder("=")), samples).astype(self._type).tobytes()
        try:
            while data:
                data = data[os.write(self._output, data) :]
        except BrokenPipeError:
            if not self._is_ended:  # Ctrl-C ends all programs of a pipeline
                raise ImseError("standard output was closed by the program that reads it") from None

    def _read(self) -> bytes:
        """What there is, waiting for it if need be; nothing at the end."""
        if self._is_ended:
            return b""
        try:
            try:
                self._is_waiting = True
                return os.read(self._input, _BYTES_PER_READ)
            finally:
                self._is_waiting = False
        except _EndedError:
            return b""

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        """End the input now; a second signal ends the program."""
        self._restore_handlers()
        self._is_ended = True
        if self._is_waiting:
            self._is_waiting = False
            raise _EndedError

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)


def enhance_raw(pipes: RawPipes, enhancement: Enhancement, recording: Recording | None) -> None:
    """Enhance what comes until it ends, or until a signal asks for the end.

    Raises:
        ImseError: As of `RawPipes`. All that came before is in the recording.
        OSError: As of `RawPipes.write`.
    """

    def record(noisy: Floats, enhanced: Floats) -> Floats:
        if recording:
            recording.write(noisy, enhanced)
        return enhanced

    with pipes:
        try:
            for block in pipes.blocks():
                pipes.write(record(*enhancement.feed(block)))
        except (ImseError, OSError):
            record(*enhancement.flush())
            raise
        pipes.write(record(*enhancement.flush()))


def _descriptor(file: TextIO | None, name: str) -> int:
    if file is None:  # as after <&-
        raise ImseError(f"standard {name} is closed")
    if file.isatty():
        raise ImseError(f"standard {name} is a terminal: '-' is for raw samples of another program")
    return file.fileno()
