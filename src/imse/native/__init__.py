"""Compiled kernels: a whole network with MALA attention and IDConv embedding in `engine/`, training in `training/`.

The engine is compiled when the package is installed, if there is a C++ compiler (see hatch_build.py), and is called
through ctypes. A library that was compiled from other sources than those in this folder is not called.

Its kernels exist for AVX-512, for AVX2 with FMA and for any other processor; the best ones are chosen when it is
opened. The environment variable ``IMSE_KERNELS`` ("avx512", "avx2" or "baseline") asks for others.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from imse.arguments import whole_number
from imse.errors import ImseError
from imse.native.build import LIBRARY, fingerprint
from imse.processors import usable_threads

Floats = NDArray[np.float32]

BINS_MULTIPLE = 128
"""Bins of a spectrum that compiled code takes are a multiple of this, so that its vectors fit at every resolution."""

_MESSAGE_SIZE = 512
_LARGEST_INT = 2**31 - 1
_FLOATS = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")


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
    pointers, ints, lengths = (ctypes.POINTER(kind) for kind in (ctypes.c_void_p, ctypes.c_int, ctypes.c_int64))
    text = (ctypes.c_char_p, ctypes.c_int)
    names = ctypes.POINTER(ctypes.c_char_p)
    opened.imse_open.argtypes = (*(ctypes.c_int,) * 5, names, pointers, ints, lengths, *text)
    opened.imse_open.restype = ctypes.c_void_p
    opened.imse_run.argtypes = (ctypes.c_void_p, _FLOATS, _FLOATS, ctypes.c_int, _FLOATS, _FLOATS, _FLOATS, *text)
    opened.imse_run.restype = ctypes.c_int
    opened.imse_close.argtypes = (ctypes.c_void_p,)
    opened.imse_close.restype = None
    opened.imse_instruction_set.argtypes = text
    opened.imse_instruction_set.restype = ctypes.c_char_p
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
    message = ctypes.create_string_buffer(_MESSAGE_SIZE)
    name: bytes | None = library().imse_instruction_set(message, _MESSAGE_SIZE)
    if name is None:
        raise _error(message)
    return name.decode()


class NativeNetwork:
    """A network whose weights are laid out for the compiled kernels. Safe to use from several threads at once.

    Args:
        channels: Width c of the network, a multiple of 8.
        blocks: Blocks per stage.
        bins: Frequency bins, a multiple of 128.
        tensors: Its parameters by their names in `imse.nn.Network.state_dict`, all of them and no others.
        threads: Processor threads that it uses, at most as many as this process has processors; the result does not
            depend on them.

    Raises:
        ImseError: The library is not there; a size is none that it has; a tensor is missing, unknown, of another shape,
            or has a value that is no finite number or larger than any trained one.
    """

    def __init__(
        self, channels: int, blocks: int, bins: int, tensors: Mapping[str, NDArray[Any]], threads: int = 1
    ) -> None:
        sizes = [_size(value, name) for value, name in ((channels, "channels"), (blocks, "blocks"), (bins, "bins"))]
        threads = usable_threads(threads)
        self._library = library()
        arrays = [_floats(name, tensor) for name, tensor in tensors.items()]
        count = len(arrays)
        lengths = [length for array in arrays for length in array.shape]
        message = ctypes.create_string_buffer(_MESSAGE_SIZE)
        self._network = self._library.imse_open(
            *sizes,
            threads,
            count,
            (ctypes.c_char_p * count)(*(name.encode() for name in tensors)),
            (ctypes.c_void_p * count)(*(array.ctypes.data for array in arrays)),
            (ctypes.c_int * count)(*(array.ndim for array in arrays)),
            (ctypes.c_int64 * len(lengths))(*lengths),
            message,
            _MESSAGE_SIZE,
        )
        if not self._network:
            raise _error(message)
        self._bins = sizes[-1]

    def __del__(self) -> None:
        if getattr(self, "_network", None):
            self._library.imse_close(self._network)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a NativeNetwork cannot be copied or pickled: open its weights again")

    def run(self, magnitude: Floats, phase: Floats) -> tuple[Floats, Floats, Floats]:
        """Enhance one segment.

        Args:
            magnitude: Compressed magnitude [T, bins], T >= 1.
            phase: Phase in radians [T, bins].

        Returns:
            Enhanced compressed magnitude [T, bins], and its phase as real and imaginary part [T, bins] of a number of
            length 1.

        Raises:
            ValueError: An array has another shape.
            ImseError: There is not enough memory, or there are too few threads.
        """
        magnitude, phase = (np.ascontiguousarray(x, dtype=np.float32) for x in (magnitude, phase))
        if magnitude.shape != phase.shape or magnitude.shape[1:] != (self._bins,) or len(magnitude) < 1:
            raise ValueError(
                f"magnitude and phase must both be [frames, {self._bins}], not {magnitude.shape} and {phase.shape}"
            )
        enhanced, real, imag = (np.empty_like(magnitude) for _ in range(3))
        message = ctypes.create_string_buffer(_MESSAGE_SIZE)
        frames = _size(len(magnitude), "frames")
        if self._library.imse_run(
            self._network, magnitude, phase, frames, enhanced, real, imag, message, _MESSAGE_SIZE
        ):
            raise _error(message)
        return enhanced, real, imag


def _size(value: object, name: str) -> int:
    """A size as it can be given to C, where an `int` has 32 bits."""
    size = whole_number(name, value)
    if size > _LARGEST_INT:
        raise ImseError(f"{name} must be below 2**31, not {size}")
    return size


def _floats(name: str, tensor: NDArray[Any]) -> Floats:
    if not np.issubdtype(tensor.dtype, np.floating):
        raise ImseError(f"tensor '{name}' holds {tensor.dtype} instead of floating-point numbers")
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, and is refused
        return np.asarray(tensor, dtype=np.float32, order="C")


def _error(message: ctypes.Array[ctypes.c_char]) -> ImseError:
    return ImseError(message.value.decode(errors="replace"))
