"""Arrays of samples as users have them: floats, or integers of known full scale.

uint8, int16 and int32 are what WAV files hold and what `scipy.io.wavfile.read` returns, so their full scale is known,
and what was read can be enhanced and written again without a conversion. A wrong guess would do no harm: the network
does not depend on the level. Of other integers the full scale is unknown, and they are refused with the line that
converts them.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imse.errors import WrongTypeError, WrongValueError

Samples = TypeVar("Samples", bound="np.number[Any]")
Floats = NDArray[np.floating[Any]]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_INTEGERS = {np.dtype(np.uint8): (128, 2**7), np.dtype(np.int16): (0, 2**15), np.dtype(np.int32): (0, 2**31)}
"""Silence and full scale of each type of integer."""


def check_samples(x: object, most_channels: int) -> None:
    """Whether x is an array [samples] or [samples, channels] that can be enhanced.

    Raises:
        WrongTypeError: Not an array, or one of another type.
        WrongValueError: Another shape, or NaN or infinite samples.
    """
    if isinstance(x, np.ma.MaskedArray):
        raise WrongTypeError("x is a masked array, whose masked samples have no value; fill them first: x.filled(0)")
    if not isinstance(x, np.ndarray):
        raise WrongTypeError(f"x must be a numpy array, not {type(x).__name__}: np.asarray(x, np.float32) makes one")
    if x.dtype not in (*_FLOATS, *_INTEGERS):
        raise WrongTypeError(f"x must be an array of float32, float64, int16, int32 or uint8, not {_conversion(x)}")
    if x.ndim not in (1, 2) or (x.ndim == 2 and not 1 <= x.shape[1] <= most_channels):
        is_turned = x.ndim == 2 and 1 <= x.shape[0] <= most_channels < x.shape[1]
        hint = "; channels are the second axis: pass x.T" if is_turned else ""
        raise WrongValueError(f"x must be [samples] or [samples, channels], not {list(x.shape)}{hint}")
    if not np.isfinite(x).all():
        raise WrongValueError("x contains NaN or infinite samples")


def as_floats(x: NDArray[Any]) -> Floats:
    """Samples with full scale at +-1, in a type that holds them exactly; floats as they are."""
    if x.dtype not in _INTEGERS:
        return x
    silence, full_scale = _INTEGERS[x.dtype]
    wide: Floats = x.astype(np.float64 if x.dtype.itemsize == 4 else np.float32)
    wide -= silence
    wide /= full_scale
    return wide


def like(x: NDArray[Samples], y: Floats) -> NDArray[Samples]:
    """Floats in the type of x. As integers they are rounded and clipped, and a warning tells how many were beyond."""
    if x.dtype not in _INTEGERS:
        return y.astype(x.dtype, copy=False)
    silence, full_scale = _INTEGERS[x.dtype]
    if clipped := count_clipped(y):
        warnings.warn(f"{clipped} samples beyond full scale were clipped", stacklevel=3)
    scaled = np.rint(y.astype(np.float64) * full_scale + silence)
    return np.clip(scaled, silence - full_scale, silence + full_scale - 1).astype(x.dtype)


def count_clipped(y: Floats) -> int:
    """Samples beyond full scale: those that become others by more than rounding where integers are written."""
    return int(np.count_nonzero(np.abs(y) > 1))


def _conversion(x: NDArray[Any]) -> str:
    """The type of an array that cannot be taken, and how to convert it."""
    if x.dtype.kind == "f":
        return f"{x.dtype}: x.astype(np.float32)"
    if x.dtype.kind in "iu":
        return f"{x.dtype}, whose full scale is unknown: if it is 2**15, x / np.float32(2**15)"
    return str(x.dtype)
