"""Whether files have changed since they were indexed: a look that takes a bounded time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retrieval.documents import KnownFile, discover
from retrieval.documents.walk.source_file import times_of
from retrieval.errors import RetrievalError
from retrieval.index import Index
from retrieval.store.schema import DATABASE
from retrieval.sync.settings import judged_of, settings_of

LOOK_S = 0.05
"""Seconds that a look takes at most, about: what a search may wait for it."""

_AT_ONCE = 512
_CLOCK_EVERY = 32


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look found.

    Attributes:
        changed: ids of files that are not as they were indexed.
        gone: ids of files that are there no more.
        new: ids of files that came since the index was written last.
        complete: whether there was time to look at everything.
    """

    changed: tuple[str, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    complete: bool

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone or self.new)


NONE = Changes((), (), (), complete=True)


def changes(index: Index, seconds: float = LOOK_S) -> Changes:
    """Files that changed since they were indexed, as far as that is found within the time.

    Nothing is opened. A file that was changed within two seconds of being indexed is told by its
    size alone. Where none of the files is there, as on another machine, nothing has changed.
    """
    until = time.monotonic() + seconds
    base = index.path.parent
    known: dict[str, KnownFile] = {}
    changed: list[str] = []
    gone: list[str] = []
    complete = True
    for number, (id, size, times) in enumerate(_files(index), start=1):
        if number % _CLOCK_EVERY == 0 and time.monotonic() > until:
            complete = False
            break
        known[id] = KnownFile(size, times)
        try:
            status = os.stat(base / id)  # noqa: PTH116 -- the fastest there is, for many files
        except (FileNotFoundError, NotADirectoryError):
            if "\\" not in id:  # a name that is not UTF-8, whose id is not its path
                gone.append(id)
            continue
        except (OSError, ValueError):  # nobody knows
            continue
        if status.st_size != size or times not in (-1, times_of(status)):
            changed.append(id)
    if not known or len(gone) == len(known):
        return NONE
    new: list[str] = []
    if complete:
        new, complete = _new(index, known, until)
    return Changes(tuple(changed), tuple(gone), tuple(new), complete)


def _files(index: Index) -> Iterator[tuple[str, int, int]]:
    """Id, size and times of all files that the index knows, a few at a time."""
    after = ""
    while rows := index.known_files(after, _AT_ONCE):
        for row in rows:
            yield row.path, row.size, row.times
        after = rows[-1].path


class _OutOfTimeError(Exception):
    """There is no time to look further."""


def _new(index: Index, known: Mapping[str, KnownFile], until: float) -> tuple[list[str], bool]:
    """Files under the roots that are not known, and whether there was time for all.

    What is older than the index and not in it could not go in.
    """
    base = index.path.parent
    written = (index.path / DATABASE).stat().st_mtime_ns
    settings = settings_of(index.remembered)
    there = [base / root for root in settings.roots if (base / root).exists()]
    if not there:
        return [], True
    found: list[str] = []

    def check() -> None:
        if time.monotonic() > until:
            raise _OutOfTimeError

    try:
        for file in discover(
            there,
            base,
            exclude=[index.path],
            max_bytes=settings.max_bytes,
            options=settings.walk,
            known={**judged_of(index.remembered), **known},
            on_folder=check,
        ):
            if file.id not in known and file.ctime_ns > written:
                found.append(file.id)
            check()
    except (_OutOfTimeError, RetrievalError, OSError):  # what is wrong the next sync says
        return found, False
    return found, True
