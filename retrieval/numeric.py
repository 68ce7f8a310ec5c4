"""Numbers as callers give them: Python's own, NumPy's and others', all taken alike."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, TypeGuard


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, NaN and infinity included; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def plain_number(value: Any) -> Any:
    """A number as Python's own, which JSON knows and which does not overflow; else the value."""
    if is_whole(value):
        return int(value)
    return float(value) if is_number(value) else value
