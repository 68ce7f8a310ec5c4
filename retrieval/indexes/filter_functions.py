"""The Python functions that a filter's SQL calls: globs, regular expressions, times, unusual keys.

They take texts as bytes, because Python refuses text from SQLite with half a surrogate pair.
"""

from __future__ import annotations

import fnmatch
import json
import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from retrieval.cancellation import check_cancelled
from retrieval.files.packed import unpacked

if TYPE_CHECKING:
    import re2

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_MISSING = object()
_LOOKED_EVERY = 1024  # components between checks for cancellation
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def register_functions(connection: sqlite3.Connection) -> None:
    """Register the functions that the SQL calls."""
    for function, arguments in (
        (path_glob, 2),
        (json_member, 2),
        (icontains, 2),
        (matches, 2),
        (instant, 1),
        (characters, 1),
        (unpacked, 1),
    ):
        connection.create_function(function.__name__, arguments, function, deterministic=True)


def characters(value: bytes | None) -> int | None:
    """How many characters a text has; SQLite's own `length` ends at a NUL."""
    return None if value is None else len(_text(value))


def icontains(part: str, value: bytes | None) -> bool:
    """Whether a text contains a part, ignoring case (Unicode case folding)."""
    return value is not None and part.casefold() in _text(value).casefold()


def matches(pattern: str, value: bytes | None) -> bool:
    """Whether a regular expression matches anywhere in a text, in time linear in its length."""
    return value is not None and compiled(pattern).search(_text(value)) is not None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re2._Regexp:
    """Compile a regular expression of RE2: Perl's syntax without look-around and references.

    Raises:
        ValueError: it is not valid; the message says why.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def instant(value: str | bytes | None) -> int | None:
    """Microseconds from the beginning of 1970 (UTC) to a date or time of ISO 8601, else None.

    A date counts as its midnight; a time without a zone is read as UTC.
    """
    if value is None:
        return None
    text = _text(value)
    if _TIME.fullmatch(text) is None:
        return None
    try:
        return microseconds(datetime.fromisoformat(text))
    except ValueError:
        return None


def microseconds(time: datetime) -> int:
    """Microseconds from the beginning of 1970 (UTC); a time without a zone is in UTC."""
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def path_glob(pattern: str, value: str | bytes | None) -> bool:
    """Whether the whole path matches a glob, as in git's `:(glob)`, case-sensitively.

    `*`, `?` and `[a-z]` (`[!a-z]`) match within one component. A component `**` matches any number
    of components, or at least one at the end of the pattern: `**/*.py` matches `a.py` and
    `src/b/a.py`, `src/**` everything in `src`, `*.py` only files at the top. A leading `./` of the
    pattern is ignored if the path has none. The time is at worst proportional to the product of the
    two lengths.
    """
    if value is None:
        return False
    path = _text(value)
    if not path.startswith("./"):
        pattern = pattern.removeprefix("./")
    pieces, names = _glob_pieces(pattern), path.split("/")
    at = retry = 0
    piece, stars = 0, -1
    while at < len(names):
        if piece < len(pieces) and (test := pieces[piece]) is None:
            stars, retry = piece, at
            piece += 1
        elif piece < len(pieces) and test is not None and test.match(names[at]):
            piece, at = piece + 1, at + 1
        elif stars >= 0:  # let the last ** match one more component
            retry += 1
            piece, at = stars + 1, retry
            if retry % _LOOKED_EVERY == 0:
                check_cancelled()
        else:
            return False
    return all(rest is None for rest in pieces[piece:])


@lru_cache(maxsize=256)
def _glob_pieces(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """A regular expression for each component, or None for `**`."""
    names = pattern.split("/")
    if names[-1] == "**":
        names.append("*")
    return tuple(None if n == "**" else re.compile(fnmatch.translate(_closed(n))) for n in names)


def _closed(name: str) -> str:
    """The component with each `[` that nothing closes escaped as `[[]`.

    Otherwise fnmatch would search to the end of the component for each of them. After one that
    nothing closes there is no other that something does.
    """
    at = name.find("[")
    while at >= 0:
        first = at + 1 + name.startswith("!", at + 1)
        end = name.find("]", first + name.startswith("]", first))
        if end < 0:
            return name[:at] + name[at:].replace("[", "[[]")
        at = name.find("[", end + 1)
    return name


def json_member(document: str, path: str) -> str | None:
    """The member of a JSON document at a path (a JSON list of keys), as JSON; None if missing.

    Where the path leads through a list, the result is a list of that member of each object in it
    that has one. SQLite's own paths do not lead through lists, cannot express every key, and their
    syntax differs between releases.
    """
    try:
        found = _member(json.loads(document), json.loads(path))
        return None if found is _MISSING else json.dumps(found)
    except (ValueError, RecursionError):  # reading the document reports the damage
        return None


def _member(value: Any, path: Sequence[str]) -> Any:
    for at, key in enumerate(path):
        if isinstance(value, list):
            return _members(value, path[at:])
        if not isinstance(value, dict) or key not in value:
            return _MISSING
        value = value[key]
    return value


def _members(values: Sequence[Any], path: Sequence[str]) -> Any:
    found: list[Any] = []
    for value in values:
        own = _member(value, path) if isinstance(value, dict) else _MISSING
        if own is not _MISSING:
            found += own if isinstance(own, list) else [own]
    return found or _MISSING
