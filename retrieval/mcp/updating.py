"""Creating or updating the index while a call waits for it, for a limited time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cancellation import CancelledError
from retrieval.mcp.wire import Call

if TYPE_CHECKING:
    from retrieval.service.kept_open import KeptOpen
    from retrieval.sync import SyncProgress, SyncReport

WAIT_S = 40.0
"""Maximum time from when a call came to its answer; clients give up after a minute."""

_TELL_S = 0.5
"""Interval of progress messages of a waiting call."""

_NAMED = 3
"""Maximum changed files to name."""


class Updates:
    """Updates one index, one run at a time, in a separate thread."""

    def __init__(self, kept: KeptOpen, *, allow_write: bool) -> None:
        self._kept = kept
        self._allow_write = allow_write
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._stopped = threading.Event()

    def before_query(self, call: Call) -> list[str]:
        """Create the index if there is none; update it, if that is allowed.

        Returns:
            Notes for the answer: that indexing continues, or that files changed.

        Raises:
            InputError: there is no index, and none is created in a home folder.
            CancelledError: the client cancelled the call.
            RetrievalError: whatever creating the index raised.
        """
        with self._lock:
            run = self._run
        if run is None and not self._kept.exists:
            run = self._started(make=True)
        if run is not None:
            return self._wait(run, call)
        return self._changes(call)

    def update(self, call: Call) -> tuple[SyncReport | None, list[str]]:
        """Bring the index up to date now.

        Returns:
            The report, or None if the update continues; and notes for the answer.
        """
        run = self._started(make=not self._kept.exists)
        notes = self._wait(run, call)
        return run.report, notes

    def stop(self) -> None:
        """Stop a running update; what was committed is kept."""
        self._stopped.set()
        with self._lock:
            run = self._run
        if run is not None:
            run.done.wait(5.0)

    def _changes(self, call: Call) -> list[str]:
        from retrieval.service.updating import changes

        with self._kept.using() as index:
            found = changes(index)
        if self._allow_write and (found or not found.complete):
            return self._wait(self._started(make=False), call)
        names = [*found.changed, *found.gone, *found.new]
        if not names:
            return []
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        plural = "file" if len(names) == 1 else "files"
        return [
            f"{len(names)} {plural} changed since they were indexed: {', '.join(names[:_NAMED])}"
            f"{more}; run `retrieval index`, or start with --allow-write"
        ]

    def _started(self, *, make: bool) -> _Run:
        with self._lock:
            if self._run is None:
                root = _root_of(self._kept.folder) if make else None
                run = _Run([] if root is None else [root])
                self._run = run
                threading.Thread(
                    target=self._work, args=[run], name="mcp-update", daemon=True
                ).start()
            return self._run

    def _work(self, run: _Run) -> None:
        from retrieval.service.opening import not_left_empty
        from retrieval.service.updating import update

        def progress(now: SyncProgress) -> None:
            run.progress = now
            if self._stopped.is_set():
                raise CancelledError

        try:
            with not_left_empty(self._kept.folder):
                if run.paths:
                    self._kept.make()
                with self._kept.using() as index:
                    run.report = update(index, run.paths, progress=progress)
        except BaseException as error:
            run.error = error
        finally:
            with self._lock:
                self._run = None
            run.done.set()

    def _wait(self, run: _Run, call: Call) -> list[str]:
        from retrieval.errors import IndexLocked

        until = call.began + WAIT_S
        while not run.done.wait(min(_TELL_S, max(0.0, until - time.monotonic()))):
            if call.cancelled.is_set():
                raise CancelledError
            waited = time.monotonic() - call.began
            call.progress(round(waited, 1), None, run.said())
            if time.monotonic() >= until:
                return [
                    f"{run.said()}; the answer covers what is in the index so far: ask again later"
                ]
        if isinstance(run.error, IndexLocked):
            return ["another process is updating the index; files may have changed"]
        if run.error is not None:
            raise run.error
        return []


class _Run:
    """One update: its paths, progress and outcome."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.done = threading.Event()
        self.progress: SyncProgress | None = None
        self.report: SyncReport | None = None
        self.error: BaseException | None = None

    def said(self) -> str:
        """The progress in words."""
        now = self.progress
        if now is None:
            return "looking for files to index"
        return f"indexing: {now.files} of {now.files_total} files read, {now.passages} passages"


def _root_of(folder: Path) -> Path:
    """The folder that a new index at `folder` covers: its parent.

    Raises:
        InputError: it does not exist, or is a home folder or above one: too much to index in a
            call.
    """
    from retrieval.errors import InputError
    from retrieval.service.location import home_folder

    root = folder.parent
    if not root.is_dir():
        raise InputError(f"there is no folder {root} any more; start in another project's folder")
    home, real = home_folder(), root.resolve()
    if home is not None and (real == home.resolve() or real in home.resolve().parents):
        raise InputError(
            f"there is no index at {folder}, and all of {root} is not indexed unasked; start in a "
            "project's folder, or create an index with `retrieval index PATH`"
        )
    return root
