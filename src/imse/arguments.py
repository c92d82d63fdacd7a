"""Checks of arguments, whose errors name the argument."""

from __future__ import annotations

import operator
import reprlib
from numbers import Real
from typing import SupportsIndex

from imse.errors import WrongTypeError, WrongValueError


def whole_number(name: str, value: object) -> int:
    """A whole number from 1 up, given as any type of integer, or as a float such as 16000.0.

    Raises:
        WrongTypeError: A truth value, text, or anything else that is no number.
        WrongValueError: Another number.
    """
    refusal = f"{name} must be a whole number, not {reprlib.repr(value)}"
    if isinstance(value, bool) or not isinstance(value, (SupportsIndex, Real)):
        raise WrongTypeError(refusal)
    if isinstance(value, SupportsIndex):
        number = operator.index(value)
    elif float(value).is_integer():
        number = int(float(value))
    else:
        raise WrongValueError(refusal)
    if number < 1:
        raise WrongValueError(f"{name} must be at least 1, not {number}")
    return number


def number_from_zero(name: str, value: object) -> float:
    """A number from 0 up, given as any type of real number; it may be infinite.

    Raises:
        WrongTypeError: A truth value, text, or anything else that is no number.
        WrongValueError: The value is below 0, or NaN.
    """
    number = _real(name, value)
    if not number >= 0:
        raise WrongValueError(f"{name} must be at least 0, not {number:g}")
    return number


def number_within(name: str, value: object, lowest: float, highest: float) -> float:
    """A number in a range, its ends included, given as any type of real number.

    Raises:
        WrongTypeError: A truth value, text, or anything else that is no number.
        WrongValueError: The value is out of range, or NaN.
    """
    number = _real(name, value)
    if not lowest <= number <= highest:
        raise WrongValueError(f"{name} must be from {lowest:g} to {highest:g}, not {number:g}")
    return number


def _real(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise WrongTypeError(f"{name} must be a number, not {reprlib.repr(value)}")
    return float(value)
