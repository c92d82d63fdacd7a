"""Checks of arguments, whose errors name the argument."""

from __future__ import annotations

import operator
import reprlib
from numbers import Real

from imse.errors import ImseError


def whole_number(name: str, value: object) -> int:
    """A whole number from 1 up, given as any type of integer.

    Raises:
        ImseError: The value is another number, a truth value, or no number.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]  # checked here
    except TypeError:
        number = None
    if number is None:
        raise ImseError(f"{name} must be a whole number, not {reprlib.repr(value)}")
    if number < 1:
        raise ImseError(f"{name} must be at least 1, not {number}")
    return number


def number_from_zero(name: str, value: object) -> float:
    """A number from 0 up, given as any type of real number; it may be infinite.

    Raises:
        ImseError: The value is below 0, not a number, or a truth value.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ImseError(f"{name} must be a number, not {reprlib.repr(value)}")
    number = float(value)
    if not number >= 0:
        raise ImseError(f"{name} must be at least 0, not {number:g}")
    return number
