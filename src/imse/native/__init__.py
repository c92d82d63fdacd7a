"""Compiled kernels: a whole network with MALA attention and IDConv embedding here, training in `imse.nn.compiled`.

The library is compiled when the package is installed, if there is a C++ compiler (see hatch_build.py), and is called
through ctypes. Its kernels exist for AVX-512, for AVX2 with FMA and for any other processor; the best one is chosen
when it is opened.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imse.errors import ImseError

Floats = NDArray[np.float32]

LIBRARY = Path(__file__).with_name("imse_native.so")

_MESSAGE_SIZE = 512
_FLOATS = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")


def available() -> bool:
    """Whether the library was compiled when this package was installed."""
    return LIBRARY.is_file()


@cache
def library() -> ctypes.CDLL:
    """The compiled library, opened once.

    Raises:
        ImseError: It is not there.
    """
    try:
        opened = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise ImseError(
            "the compiled engine is not there: install a C++ compiler and then imse again, or use --engine onnx"
        ) from error
    pointers = ctypes.POINTER(ctypes.c_void_p)
    text = (ctypes.c_char_p, ctypes.c_int)
    opened.imse_open.argtypes = (
        *(ctypes.c_int,) * 4,
        ctypes.POINTER(ctypes.c_char_p),
        pointers,
        ctypes.POINTER(ctypes.c_long),
        ctypes.c_int,
        *text,
    )
    opened.imse_open.restype = ctypes.c_void_p
    opened.imse_run.argtypes = (ctypes.c_void_p, _FLOATS, _FLOATS, ctypes.c_int, _FLOATS, _FLOATS, _FLOATS, *text)
    opened.imse_run.restype = ctypes.c_int
    opened.imse_close.argtypes = (ctypes.c_void_p,)
    opened.imse_close.restype = None
    opened.imse_kernels.restype = ctypes.c_char_p
    return opened


@cache
def kernels() -> str:
    """The instruction set in use: "avx512", "avx2" or "baseline".

    Raises:
        ImseError: The library is not there.
    """
    name: bytes = library().imse_kernels()
    return name.decode()


class NativeNetwork:
    """A network whose weights are laid out for the compiled kernels. Safe to use from several threads, in turn.

    Args:
        channels: Width c of the network.
        blocks: Blocks per stage.
        bins: Frequency bins, a multiple of 128.
        tensors: Its parameters by their names in `imse.nn.Network.state_dict`.
        threads: Processor threads that it uses; the result does not depend on them.

    Raises:
        ImseError: The library is not there, or a tensor is missing or has another size.
    """

    def __init__(
        self, channels: int, blocks: int, bins: int, tensors: Mapping[str, NDArray[Any]], threads: int = 1
    ) -> None:
        self._library = library()
        arrays = [np.ascontiguousarray(tensor, dtype=np.float32) for tensor in tensors.values()]
        count = len(arrays)
        message = ctypes.create_string_buffer(_MESSAGE_SIZE)
        self._network = self._library.imse_open(
            channels,
            blocks,
            bins,
            threads,
            (ctypes.c_char_p * count)(*(name.encode() for name in tensors)),
            (ctypes.c_void_p * count)(*(array.ctypes.data for array in arrays)),
            (ctypes.c_long * count)(*(array.size for array in arrays)),
            count,
            message,
            _MESSAGE_SIZE,
        )
        if not self._network:
            raise ImseError(message.value.decode())
        self._bins = bins

    def __del__(self) -> None:
        if getattr(self, "_network", None):
            self._library.imse_close(self._network)

    def run(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats, Floats]:
        """Enhance one segment.

        Args:
            magnitude: Compressed magnitude [T, bins], T >= 1.
            phase: Phase in radians [T, bins].

        Returns:
            Enhanced compressed magnitude [T, bins], and its phase as real and imaginary part [T, bins] of a number of
            length 1.
        """
        magnitude, phase = (np.ascontiguousarray(x, dtype=np.float32) for x in (magnitude, phase))
        enhanced, real, imag = (np.empty_like(magnitude) for _ in range(3))
        message = ctypes.create_string_buffer(_MESSAGE_SIZE)
        if self._library.imse_run(
            self._network, magnitude, phase, len(magnitude), enhanced, real, imag, message, _MESSAGE_SIZE
        ):
            raise ImseError(message.value.decode())
        return enhanced, real, imag
