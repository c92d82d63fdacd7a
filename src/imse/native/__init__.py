"""Compiled code: the network from waveform to waveform behind a C interface, and kernels for training.

`include/imse.h` is the interface, for programs in any language; Python calls it through ctypes. The library is compiled
when the package is installed, if there is a C++ compiler (see hatch_build.py). One that was compiled from other sources
than those in this folder is not called.

Its kernels exist for AVX-512, for AVX2 with FMA and for any other processor; the best ones are chosen when it is
opened. The environment variable ``IMSE_KERNELS`` ("avx512", "avx2" or "baseline") asks for others.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from imse.errors import ImseError, UnsupportedWeightsError
from imse.native.build import LIBRARY as LIBRARY
from imse.native.build import fingerprint
from imse.processors import usable_threads

Floats = NDArray[np.float32]

BINS_MULTIPLE = 128
"""Bins of a spectrum that compiled code takes are a multiple of this, so that its vectors fit at every resolution."""

_BINS, _HOP_LENGTH = 256, 100
_FLOATS = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
_UNSUPPORTED_WEIGHTS = 3  # IMSE_UNSUPPORTED_WEIGHTS


class _Error(ctypes.Structure):
    """`imse_error` of imse.h."""

    _fields_ = (("status", ctypes.c_int32), ("text", ctypes.c_char * 508))


def available() -> bool:
    """Whether the library was compiled when this package was installed, and for this machine."""
    try:
        library()
    except ImseError:
        return False
    return True


def library() -> ctypes.CDLL:
    """The compiled library, opened once.

    Raises:
        ImseError: It is not there, cannot be loaded, or was compiled from other sources than those beside this file.
    """
    if not LIBRARY.is_file():
        raise ImseError(
            "the compiled engine is not there: install a C++ compiler and then imse again, or use --engine onnx"
        )
    try:
        return _opened(LIBRARY)
    except OSError as error:  # of another machine, or of newer libraries than this system has
        raise ImseError(
            f"the compiled engine cannot be loaded: {' '.join(str(error).split())}; install imse again, or use "
            "--engine onnx"
        ) from error


@cache
def _opened(path: Path) -> ctypes.CDLL:
    opened = ctypes.CDLL(str(path))
    _check_fingerprint(opened)
    network = stream = optional = ctypes.c_void_p  # the last: an array or null
    size = ctypes.c_size_t
    error, settings, written = (ctypes.POINTER(kind) for kind in (_Error, StreamSettings, size))
    for name, result, arguments in (
        ("instruction_set", ctypes.c_char_p, (error,)),
        ("multiply_accumulate", ctypes.c_double, (ctypes.c_long,)),
        ("open", network, (ctypes.c_char_p, size, ctypes.c_int, error)),
        ("close", None, (network,)),
        ("stream_settings_for", ctypes.c_int, (ctypes.c_double, ctypes.c_int, settings, error)),
        ("stream_open", stream, (network, settings, error)),
        ("stream_close", None, (stream,)),
        ("stream_latency", size, (stream,)),
        ("stream_feed", ctypes.c_int, (stream, _FLOATS, size, _FLOATS, written, error)),
        ("stream_flush", ctypes.c_int, (stream, _FLOATS, written, error)),
        ("stream_reset", None, (stream,)),
        ("run_waveform", ctypes.c_int, (network, _FLOATS, size, _FLOATS, optional, optional, error)),
        ("run_spectrum", ctypes.c_int, (network, _FLOATS, _FLOATS, size, _FLOATS, _FLOATS, _FLOATS, error)),
    ):
        function = getattr(opened, f"imse_{name}")
        function.restype, function.argtypes = result, arguments
    return opened


def _check_fingerprint(opened: ctypes.CDLL) -> None:
    """Functions of a library that was compiled from other sources may have other arguments: none is called."""
    function = getattr(opened, "imse_fingerprint", None)
    if function is not None:
        function.argtypes, function.restype = (), ctypes.c_char_p
        if function() == fingerprint("engine").encode():
            return
    raise ImseError(
        "the compiled engine was made from other sources than this imse has: install imse again "
        "(in a checkout: pip install -e .), or use --engine onnx"
    )


@cache
def instruction_set() -> str:
    """The instruction set in use: "avx512", "avx2" or "baseline".

    Raises:
        ImseError: The library is not there, or ``IMSE_KERNELS`` asks for what this processor does not have.
    """
    error = _Error()
    name: bytes | None = library().imse_instruction_set(error)
    if name is None:
        raise _exception(error)
    return name.decode()


def multiply_accumulate(rounds: int) -> float:
    """Multiply and add numbers in registers on one thread, as fast as it can be done, for benchmarks.

    Returns:
        How many multiply-accumulates that were.

    Raises:
        ImseError: The library is not there.
    """
    count: float = library().imse_multiply_accumulate(rounds)
    return count


class StreamSettings(ctypes.Structure):
    """`imse_stream_settings` of imse.h."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("sample_rate", "window", "recomputed", "hop", "look_ahead", "fade")),
        ("attenuation_limit_db", ctypes.c_float),
    )


class NativeNetwork:
    """A network whose weights are laid out for the compiled kernels. Safe to use from several threads at once.

    Args:
        weights: Content of a safetensors file of imse, with numbers of 16, 32 or 64 bits.
        threads: Processor threads that it uses, at most as many as this process has processors; the result does not
            depend on them.

    Raises:
        UnsupportedWeightsError: Another kind of file, or of network than one with MALA attention, IDConv embedding and
            256 bins.
        ImseError: The library is not there; a tensor is missing, unknown, of another shape, or has a value that is no
            finite number or larger than any trained one.
    """

    def __init__(self, weights: bytes, threads: int = 1) -> None:
        threads = usable_threads(threads)
        self._library = library()
        error = _Error()
        self.handle = self._library.imse_open(weights, len(weights), threads, error)
        if not self.handle:
            raise _exception(error)

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._library.imse_close(self.handle)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a NativeNetwork cannot be copied or pickled: open its weights again")

    def run_waveform(self, waveform: Floats) -> tuple[Floats, Floats, Floats]:
        """Enhance one segment.

        Args:
            waveform: [samples] at 16 kHz, at least one, scaled to the level that the network expects.

        Returns:
            The enhanced waveform [samples], and the compressed magnitude before and after the network, both
            [1 + samples // 100, 256].

        Raises:
            ValueError: The waveform has another shape.
            ImseError: There is not enough memory, or there are too few threads.
        """
        waveform = np.ascontiguousarray(waveform, dtype=np.float32)
        if waveform.ndim != 1 or len(waveform) < 1:
            raise ValueError(f"the waveform must be [samples], not {list(waveform.shape)}")
        enhanced = np.empty_like(waveform)
        noisy, magnitude = (np.empty((1 + len(waveform) // _HOP_LENGTH, _BINS), np.float32) for _ in range(2))
        magnitudes = (array.ctypes.data for array in (noisy, magnitude))
        self._call(self._library.imse_run_waveform, waveform, len(waveform), enhanced, *magnitudes)
        return enhanced, noisy, magnitude

    def run_spectrum(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats, Floats]:
        """Enhance the spectrum of one segment.

        Args:
            magnitude: Compressed magnitude [T, 256], T >= 1.
            phase: Phase in radians [T, 256].

        Returns:
            Enhanced compressed magnitude [T, 256], and its phase as real and imaginary part [T, 256] of a number of
            length 1.

        Raises:
            ValueError: An array has another shape.
            ImseError: There is not enough memory, or there are too few threads.
        """
        magnitude, phase = (np.ascontiguousarray(x, dtype=np.float32) for x in (magnitude, phase))
        if magnitude.shape != phase.shape or magnitude.shape[1:] != (_BINS,) or len(magnitude) < 1:
            raise ValueError(
                f"magnitude and phase must both be [frames, {_BINS}], not {magnitude.shape} and {phase.shape}"
            )
        enhanced, real, imag = (np.empty_like(magnitude) for _ in range(3))
        self._call(self._library.imse_run_spectrum, magnitude, phase, len(magnitude), enhanced, real, imag)
        return enhanced, real, imag

    def _call(self, function: Any, *arguments: Any) -> None:
        error = _Error()
        if function(self.handle, *arguments, error):
            raise _exception(error)


def stream_settings(latency_ms: float, sample_rate: int, attenuation_limit_db: float = math.inf) -> StreamSettings:
    """The settings for the best quality.

    Args:
        latency_ms: The most that the stream may be late.
        sample_rate: In Hz, 8,000 to 192,000.
        attenuation_limit_db: The most by which noise is turned down, or infinity.

    Raises:
        ImseError: No setting has so little latency.
    """
    error, settings = _Error(), StreamSettings()
    if library().imse_stream_settings_for(latency_ms, sample_rate, settings, error):
        raise _exception(error)
    settings.attenuation_limit_db = attenuation_limit_db
    return settings


class NativeStream:
    """One channel of sound that is enhanced as it comes. For one thread at a time; many may share a network.

    Args:
        network: What it is enhanced with.
        settings: Of `stream_settings`, or others.

    Attributes:
        latency: When n samples were fed, at least n - latency have come out; the least such number.

    Raises:
        ImseError: The settings do not fit each other, or there is not enough memory.
    """

    def __init__(self, network: NativeNetwork, settings: StreamSettings) -> None:
        self._network = network  # which has to outlive the stream
        self._library = library()
        error = _Error()
        self._stream = self._library.imse_stream_open(network.handle, settings, error)
        if not self._stream:
            raise _exception(error)
        self.latency: int = self._library.imse_stream_latency(self._stream)

    def __del__(self) -> None:
        if getattr(self, "_stream", None):
            self._library.imse_stream_close(self._stream)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a NativeStream cannot be copied or pickled: open another one")

    def feed(self, samples: Floats) -> Floats:
        """Feed samples [n], n >= 0, and take those that are ready, [m]."""
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        return self._take(len(samples), self._library.imse_stream_feed, samples, len(samples))

    def flush(self) -> Floats:
        """The last samples [m], at most the latency; the stream is at its beginning again."""
        return self._take(0, self._library.imse_stream_flush)

    def reset(self) -> None:
        """Go back to the beginning; what has not come out is lost."""
        self._library.imse_stream_reset(self._stream)

    def _take(self, samples: int, function: Any, *arguments: Any) -> Floats:
        enhanced = np.empty(samples + self.latency, np.float32)
        error, written = _Error(), ctypes.c_size_t()
        if function(self._stream, *arguments, enhanced, written, error):
            raise _exception(error)
        return enhanced[: written.value].copy()


def _exception(error: _Error) -> ImseError:
    kind = UnsupportedWeightsError if error.status == _UNSUPPORTED_WEIGHTS else ImseError
    return kind(error.text.decode(errors="replace"))
