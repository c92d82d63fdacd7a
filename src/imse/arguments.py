"""Checks of arguments, whose errors name the argument."""

from __future__ import annotations

import operator
import reprlib

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
