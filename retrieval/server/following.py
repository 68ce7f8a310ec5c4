"""Indexes that are updated when their files change, while served: `retrieval serve --watch`."""

from __future__ import annotations

import sys
import threading
from functools import partial

from retrieval.cancellation import CancelledError
from retrieval.errors import InputError
from retrieval.server.indexes import Indexes
from retrieval.service.kept_open import KeptOpen
from retrieval.service.printable import safe
from retrieval.service.updating import update
from retrieval.service.watching import check_watchable, watch
from retrieval.sync import SyncProgress

AGAIN_S = 30.0
"""Time before an index that could not be watched or updated is tried again."""


class Following:
    """Updates each index when its files change, in a separate thread.

    It writes through the same Index as requests, so they take turns. Errors are printed as a line
    on standard error.
    """

    def __init__(self, indexes: Indexes) -> None:
        """Set the indexes.

        Raises:
            InputError: one of them has no files or folders that exist.
        """
        self._stop = threading.Event()
        for name in indexes.names:
            if name not in indexes.folders:
                raise InputError(
                    f"{name!r} is a collection in shards, which has no files; leave --watch out"
                )
        for kept in indexes.folders.values():
            with kept.using() as index:
                check_watchable(index)
        self._threads = [
            threading.Thread(target=self._follow, args=[name, kept], name="follow", daemon=True)
            for name, kept in indexes.folders.items()
        ]

    def start(self) -> None:
        """Start watching."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; what was committed by then is kept."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, name: str, kept: KeptOpen) -> None:
        def say(error: Exception) -> None:
            line = " ".join(str(error).split()) or type(error).__name__
            sys.stderr.write(f"{safe(name)}: {safe(line)}\n")

        def progress(now: SyncProgress) -> None:
            if self._stop.is_set():
                raise CancelledError

        while not self._stop.is_set():
            try:
                with kept.using() as index:
                    watch(
                        index,
                        partial(update, index, progress=progress),
                        on_locked=say,
                        stop=self._stop,
                    )
            except CancelledError:
                return
            except Exception as error:  # whatever it is, the next time may go well
                say(error)
                self._stop.wait(AGAIN_S)
