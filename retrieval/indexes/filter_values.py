"""Python values that a filter compares with, checked and converted to literals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from retrieval.errors import FilterError
from retrieval.indexes.filter_functions import microseconds
from retrieval.indexes.filter_nodes import Time, Value, is_comparable


def as_value(given: Any, where: str) -> Value:
    """Convert a Python value to a literal.

    Args:
        given: a text, number, boolean or None, also as an enum or a numpy scalar; a UUID, which is
            compared as its text; a date or time, which is compared as a time.
        where: what the value is, for the error message.

    Raises:
        FilterError: it is something else.
    """
    if isinstance(given, Enum):
        given = given.value
    elif type(given).__module__ == "numpy" and getattr(given, "shape", None) == ():
        given = given.item()
    if given is None or isinstance(given, bool):
        return given
    if isinstance(given, str | UUID):
        text = str(given)
        if not is_comparable(text):
            raise FilterError(
                f"{where} is {ascii(text)[:60]}; give text without NUL and lone surrogates"
            )
        return text
    if isinstance(given, date):
        time = (
            given if isinstance(given, datetime) else datetime(*given.timetuple()[:3], tzinfo=UTC)
        )
        return Time(microseconds(time))
    if isinstance(given, int | float | Decimal):
        return _number(given, where)
    raise FilterError(
        f"{where} is {ascii(given)[:60]}; give a text, a number, a date, a time, a boolean or None"
    )


def as_values(given: Any, where: str) -> tuple[Value, ...]:
    """Convert a list of Python values to literals.

    Raises:
        FilterError: it is not a list, or one of the values cannot be a literal.
    """
    if not is_list(given) and not isinstance(given, set | frozenset):
        raise FilterError(f"{where} is {ascii(given)[:60]}; give a list of values")
    return tuple(as_value(one, f"a value of {where}") for one in given)


def is_list(given: Any) -> bool:
    """Whether it is a list, a tuple or a numpy array."""
    if isinstance(given, list | tuple):
        return True
    return type(given).__module__ == "numpy" and getattr(given, "shape", ()) != ()


def as_list(values: Sequence[Value], where: str) -> tuple[str | int | float | bool | None, ...]:
    """The literals to compare a whole list with, element by element.

    Raises:
        FilterError: one is a time, which only comparison operators take.
    """
    for one in values:
        if isinstance(one, Time):
            raise FilterError(
                f"{where} holds a date or a time; give it as a text, as the metadata has it"
            )
    return tuple(one for one in values if not isinstance(one, Time))


def _number(given: float | Decimal, where: str) -> int | float:
    whole = given if isinstance(given, int) else None
    if isinstance(given, Decimal) and given.is_finite() and given == given.to_integral_value():
        whole = int(given)
    if whole is not None and -(2**63) <= whole < 2**63:
        return int(whole)
    try:
        number = float(given)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise FilterError(f"{where} is {str(given)[:60]}; give a number that is finite")
    return number
