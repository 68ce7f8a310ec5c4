"""Rows of cells, whatever format they come from: whether the first names the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(
    r"[-+(]?[$€£¥]?\s*[-+]?(?:\d+(?:[.,' \u00a0\u202f]\d+)*|[.,]\d+)(?:[eE][-+]?\d+)?\s*[)%€$£]?"
)
_DATE = re.compile(
    r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(?::\d{2})?"
)
_YEAR = re.compile(r"(?:1[5-9]|20)\d{2}(?:[-/]\d{2})?|Q[1-4]\W?\d{0,4}", re.IGNORECASE)
_VALUE = re.compile(r"true|false|null|nan|-+|https?://\S+|\S+@\S+\.\w+", re.IGNORECASE)
_LONGEST_NAME = 80
_LOOKED_AT = 100
"""Rows that are compared with the first."""


def is_number(cell: str) -> bool:
    """Whether a cell holds nothing but a number, as people write them."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def names_columns(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether a table's first row names its columns, as far as its cells tell.

    It does if its cells are short, distinct (but for a few) and no values (numbers, dates,
    addresses), unless one of them is a value of its own column further down. Years and quarters
    name columns too.

    Args:
        first: the words of its cells.
        others: the rows below.
    """
    names = [cell.strip() for cell in first]
    named = [name for name in names if name]
    if 2 * len(named) < max(len(names), 1) or 4 * len({*named}) < 3 * len(named):
        return False
    periods = sum(_YEAR.fullmatch(name) is not None for name in named)
    for name in named:
        if len(name) > _LONGEST_NAME or _VALUE.fullmatch(name) or _DATE.fullmatch(name):
            return False
        is_period = _YEAR.fullmatch(name) is not None and (periods > 1 or len(named) > periods)
        if is_number(name) and not is_period:
            return False
    if periods and periods == len(named):
        return False
    below = others[:_LOOKED_AT]
    return not any(
        len(row) > at and name and row[at].strip() == name
        for at, name in enumerate(names)
        for row in below
    )
