"""Numbers in sentences."""

from __future__ import annotations


def plural(number: int, one: str, many: str) -> str:
    """`1 query has`, `2,000 queries have`: the number, and what is said of one or of many."""
    return f"{number:,} {one if number == 1 else many}"
