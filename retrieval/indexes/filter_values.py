"""What a filter compares with, given as Python values."""

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
    """A Python value as a literal.

    Args:
        given: a text, number, boolean or None, also as an enum's or numpy's; a UUID, which is its
            text; a date or time, which is compared as a time.
        where: names its place, for the message.

    Raises:
        FilterError: it is none of these.
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
    """Several Python values as literals.

    Raises:
        FilterError: it is no list, or one of them is no literal.
    """
    if not is_list(given) and not isinstance(given, set | frozenset):
        raise FilterError(f"{where} is {ascii(given)[:60]}; give a list of values")
    return tuple(as_value(one, f"a value of {where}") for one in given)


def is_list(given: Any) -> bool:
    """Whether it is a list, a tuple or an array of numpy."""
    if isinstance(given, list | tuple):
        return True
    return type(given).__module__ == "numpy" and getattr(given, "shape", ()) != ()


def as_list(values: Sequence[Value], where: str) -> tuple[str | int | float | bool | None, ...]:
    """Literals that a whole list is compared with, element by element.

    Raises:
        FilterError: one is a time, which is compared with by `<`, `==` and the like alone.
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
