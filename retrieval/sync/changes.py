"""Whether files have changed since they were indexed: a check that takes a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from retrieval.documents import SourceFile, discover
from retrieval.errors import RetrievalError
from retrieval.index import Index
from retrieval.store import FileRow
from retrieval.store.schema import DATABASE
from retrieval.sync.roots import state_of
from retrieval.sync.settings import judged_of, settings_of, synced_ns_of

LOOK_S = 0.05
"""About the maximum seconds of a check, which a search may wait for."""

_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Changes:
    """What a check found.

    Attributes:
        changed: ids of files that have changed.
        gone: ids of files that would leave: they are gone, or are left out now.
        new: ids of files that were added since the start of the last sync that found any.
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
    """Files that changed since they were indexed, as far as they are found within the time.

    One walk in the order of ids, which opens files whose size or times have changed. A file that
    was changed within two seconds of being indexed is compared by size only. If none of the files
    exists, as on another machine, nothing is reported as changed.
    """
    base = index.path.parent
    settings = settings_of(index.remembered)
    states = {root: state_of(base / root) for root in settings.roots}
    there = [base / root for root, state in states.items() if state == "there"]
    closed = [root for root, state in states.items() if state not in ("there", "gone")]
    if not there:
        return NONE
    known = _Known(index.known_files)
    watch = _Watch(time.monotonic() + seconds)
    walk = discover(
        there,
        base,
        exclude=[index.path],
        max_bytes=settings.max_bytes,
        options=settings.walk,
        known=known,
        judged=judged_of(index.remembered),
        on_folder=watch.at_folder,
    )
    found: list[SourceFile] = []
    complete = True
    try:
        for file in walk:
            found.append(file)
            watch.at(file.id)
    except (_OutOfTimeError, RetrievalError, OSError):  # problems are reported by the next sync
        complete = False
    # Up to here all files were checked; with several roots, files are not in order of ids.
    until = None if complete else watch.place if len(there) == 1 else ""
    met = {*walk.unchanged, *(file.id for file in found)}
    closed += walk.unreadable
    gone = [id for id in known.ids(until) if id not in met and not _within(id, closed)]
    stamps = {file.id: known.get(file.id) for file in found}
    if not walk.unchanged and not any(stamps.values()):
        return NONE
    synced = _synced_ns(index)
    return Changes(
        changed=tuple(
            file.id
            for file in found
            if (stamp := stamps[file.id]) is not None
            and (stamp[0] != file.size or stamp[1] not in (-1, file.times))
        ),
        gone=tuple(gone),
        # A file that is older than the last sync and not in the index could not be indexed.
        new=tuple(file.id for file in found if not stamps[file.id] and file.ctime_ns > synced),
        complete=complete,
    )


def _synced_ns(index: Index) -> int:
    """When the last sync that found new or changed files began.

    The database's own time is no measure: a commit goes to the write-ahead log, which reaches the
    database only when the last reader closes it. It has to do for what an older release wrote.
    """
    synced = synced_ns_of(index.remembered)
    return (index.path / DATABASE).stat().st_mtime_ns if synced is None else synced


def _within(id: str, folders: list[str]) -> bool:
    return any(id == folder or id.startswith(f"{folder}/") for folder in folders)


class _OutOfTimeError(Exception):
    """There is no time to look further."""


class _Watch:
    """The position of a walk, and whether it has to end.

    Attributes:
        place: all files before this id, in the order of ids, were checked.
    """

    def __init__(self, until: float) -> None:
        self.place = ""
        self._until = until

    def at_folder(self, id: str) -> None:
        self.at("" if id == "." else f"{id}/")

    def at(self, place: str) -> None:
        self.place = place
        if time.monotonic() > self._until:
            raise _OutOfTimeError


class _Known:
    """The files that an index knows, read a few at a time as a walk reaches them."""

    def __init__(self, read: Callable[[str, int], list[FileRow]]) -> None:
        self._read = read
        self._folder: str | None = None
        self._first = self._last = ""  # all files in this range are in `_stamps`
        self._stamps: dict[str, FileRow] = {}

    def get(self, id: str, /) -> FileRow | None:
        """The record of a file when it was read; None if the index does not know it."""
        if self._first <= id <= self._last:
            return self._stamps.get(id)
        folder = id[: id.rfind("/") + 1]
        if folder != self._folder:  # its files are adjacent, except those of subfolders
            self._folder = folder
            rows = self._read(folder, _AT_ONCE)
            self._stamps = {row[2]: row for row in rows}
            self._first, self._last = folder, rows[-1][2] if rows else folder
            if id <= self._last:
                return self._stamps.get(id)
        return next((row for row in self._read(id, 1) if row[2] == id), None)

    def ids(self, until: str | None) -> list[str]:
        """Ids of all files before this place."""
        found: list[str] = []
        while until is None or not found or found[-1] < until:
            rows = self._read(f"{found[-1]}\0" if found else "", 16 * _AT_ONCE)
            if not rows:
                break
            found += [row[2] for row in rows]
        return [id for id in found if until is None or id < until]
