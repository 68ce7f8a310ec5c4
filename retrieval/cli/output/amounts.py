"""Numbers and lists as text: counts, sizes, durations."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from retrieval.service.printable import safe

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def count(number: int, noun: str, nouns: str = "") -> str:
    """`1 file`, `2,000 files`; `nouns` is an irregular plural."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def size(number: int) -> str:
    """Bytes in the unit that leaves up to three digits: `940 bytes`, `1.2 MB`."""
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return count(number, "byte")
    return f"{value:.1f} {_UNITS[unit]}" if value < 9.95 else f"{value:.0f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def listing(title: str, lines: Sequence[str], most: int = 20) -> str:
    """Lines under a title; beyond `most` they are only counted."""
    body = [textwrap.indent(safe(line), "  ") for line in lines[:most]]
    if len(lines) > most:
        body.append(f"  and {len(lines) - most:,} more; --json lists all")
    return "\n".join([title, *body]) + "\n"
