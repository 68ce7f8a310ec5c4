"""Checks of numbers from callers, which accept Python's, NumPy's and other number types alike."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, TypeGuard


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, including NaN and infinity; True and False are not.

    Nor is one beyond all floats, such as 10**400, with which no float can be compared or added.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def plain_number(value: Any) -> Any:
    """A number as Python's int, which cannot overflow, or float, for JSON; else the value as is."""
    if type(value) in (int, float):  # the usual case; the rest is slow
        return value
    if is_whole(value):
        return int(value)
    return float(value) if is_number(value) else value
