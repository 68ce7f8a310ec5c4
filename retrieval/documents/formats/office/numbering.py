"""Numbers of list items and headings, as office programs count and write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_LEVELS = 9
BULLET = "-"

_PLACE = re.compile(r"%([1-9])")
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_MOST_ROMAN = 5000


@dataclass(frozen=True, slots=True)
class Level:
    """How one level of a list is numbered.

    Attributes:
        kind: `decimal`, `lowerLetter`, `upperRoman`, ... as OOXML calls them; `bullet`; `none`.
        pattern: what is written, `%1` for the number of the first level.
        start: the first number.
    """

    kind: str = "decimal"
    pattern: str = "%1."
    start: int = 1


@dataclass(slots=True)
class Counter:
    """Counts the items of a list, level by level."""

    levels: Sequence[Level]
    _numbers: list[int] = field(default_factory=list)

    def next(self, depth: int) -> str:
        """What the next item at a depth from 0 begins with: a number, `-`, or "" for nothing."""
        depth = min(max(depth, 0), MAX_LEVELS - 1)
        del self._numbers[depth + 1 :]
        while len(self._numbers) < depth:
            self._numbers.append(self._level(len(self._numbers)).start)
        if len(self._numbers) == depth:
            self._numbers.append(self._level(depth).start)
        else:
            self._numbers[depth] += 1
        level = self._level(depth)
        if level.kind in ("bullet", "none"):
            return BULLET if level.kind == "bullet" else ""
        return _PLACE.sub(lambda place: self._written(int(place[1]) - 1), level.pattern).strip()

    def restart(self, depth: int, number: int) -> None:
        """Let the next item at a depth have this number."""
        while len(self._numbers) <= depth:
            self._numbers.append(self._level(len(self._numbers)).start)
        del self._numbers[depth + 1 :]
        self._numbers[depth] = number - 1

    def _level(self, depth: int) -> Level:
        return self.levels[depth] if depth < len(self.levels) else Level(pattern=f"%{depth + 1}.")

    def _written(self, depth: int) -> str:
        if depth >= len(self._numbers):
            return ""
        return written(self._numbers[depth], self._level(depth).kind)


def written(number: int, kind: str) -> str:
    """A number as a kind of numbering writes it; decimal for kinds that are not known."""
    if kind in ("none", "bullet"):
        return ""
    if "Roman" in kind and 0 < number < _MOST_ROMAN:
        said, rest = "", number
        for value, letters in _ROMAN:
            said += letters * (rest // value)
            rest %= value
        return said.upper() if kind.startswith("upper") else said
    if "Letter" in kind and number > 0:
        letter = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 20)
        return letter.upper() if kind.startswith("upper") else letter
    if kind == "decimalZero" and 0 <= number < 10:
        return f"0{number}"
    return str(number)


def whole(value: str | None, otherwise: int = 0) -> int:
    """A whole number from an attribute of a file, or another value."""
    try:
        return max(-(10**9), min(int(value or ""), 10**9))
    except ValueError:
        return otherwise
