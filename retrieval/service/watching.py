"""Keeping an index up to date while files change."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import IndexLocked, InputError, RetrievalError
from retrieval.files.kinds import is_file, is_folder
from retrieval.index import Index
from retrieval.service.updating import roots_of

DEBOUNCE_MS = 1600
"""Changes within this time are handled together: a build writes many files at once."""

LOOK_MS = 2000
"""How often single files are checked, and a locked index is tried again."""


def watch(
    index: Index,
    update: Callable[[], object],
    *,
    on_locked: Callable[[IndexLocked], object] = lambda error: None,
    stop: threading.Event | None = None,
) -> None:
    """Call `update` whenever the files that the index was given change, until it is stopped.

    Changes from before the watch are handled first. While another process is writing to the index,
    changes wait.

    Args:
        index: the index.
        update: brings the index up to date.
        on_locked: called once each time that another process holds the index.
        stop: ends the watch when set; Ctrl-C does as well.

    Raises:
        InputError: there is nothing to watch.
        RetrievalError: the system cannot watch so many folders, or whatever `update` raises.
    """
    waiting, locked = True, False
    for changed in _changes(index, stop or threading.Event()):
        waiting = waiting or changed
        if not waiting:
            continue
        try:
            update()
        except IndexLocked as error:
            if not locked:
                on_locked(error)
            locked = True
        else:
            waiting = locked = False


def _changes(index: Index, stop: threading.Event) -> Iterator[bool]:
    """Yield, repeatedly, whether files changed; at the start and every `LOOK_MS` even if not."""
    from watchfiles import watch as watched

    folders, single = _places(index)
    own = str(index.path.resolve())
    files = _Files(single)
    if not folders:
        while not stop.wait(LOOK_MS / 1000):
            yield files.changed()
        return
    try:
        for changes in watched(
            *folders,
            watch_filter=lambda change, path: not _is_own(path, own),
            debounce=DEBOUNCE_MS,
            stop_event=stop,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            yield bool(changes) or files.changed()
    except (OSError, RuntimeError) as error:  # which of them depends on the limit
        raise RetrievalError(
            f"the system cannot watch all folders ({error}); raise its limits "
            "(fs.inotify.max_user_watches and max_user_instances on Linux), or set "
            "WATCHFILES_FORCE_POLLING=1"
        ) from error


def check_watchable(index: Index) -> None:
    """Refuse an index whose files and folders are all gone, or that was given none.

    Raises:
        InputError: there is nothing to watch.
    """
    _places(index)


def _places(index: Index) -> tuple[list[Path], list[Path]]:
    """The existing folders and files that an index was given."""
    base = index.path.parent
    places = [(base / root).resolve() for root in roots_of(index)]
    folders = [place for place in places if is_folder(place)]
    files = [place for place in places if is_file(place)]
    if not folders and not files:
        raise InputError(
            f"the index at {index.path} was given no files or folders that exist; "
            "name files or folders: retrieval index PATH --watch"
        )
    return folders, files


def _is_own(path: str, index: str) -> bool:
    """Whether a path is the index's own, which changes with every update, or git's."""
    return (
        path == index
        or path.startswith(f"{index}{os.sep}")
        or f"{os.sep}.git{os.sep}" in path
        or path.endswith(f"{os.sep}.git")
    )


@dataclass(slots=True)
class _Files:
    """Single files that the index was given: polled instead of watching their folders."""

    paths: Sequence[Path]
    _seen: dict[Path, tuple[int, int] | None]

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self._seen = self._look()

    def changed(self) -> bool:
        """Whether any changed since the last call."""
        before, self._seen = self._seen, self._look()
        return before != self._seen

    def _look(self) -> dict[Path, tuple[int, int] | None]:
        return {path: _state(path) for path in self.paths}


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
