"""Indexes that follow their files while they are served: `retrieval serve --watch`."""

from __future__ import annotations

import sys
import threading
from functools import partial

from retrieval.cancellation import CancelledError
from retrieval.errors import InputError, RetrievalError
from retrieval.server.indexes import Indexes
from retrieval.service.kept_open import KeptOpen
from retrieval.service.printable import safe
from retrieval.service.updating import update
from retrieval.service.watching import check_watchable, watch
from retrieval.sync import SyncProgress

AGAIN_S = 30.0
"""After so long an index is tried again that could not be watched or brought up to date."""


class Following:
    """Brings each index up to date whenever its files change, on a thread of its own.

    It writes through the index that requests use, so that they take turns. What goes wrong is a
    line on standard error.
    """

    def __init__(self, indexes: Indexes) -> None:
        """Name the indexes.

        Raises:
            InputError: one of them was given no files that are there.
        """
        self._stop = threading.Event()
        for name in indexes.names:
            if name not in indexes.folders:
                raise InputError(
                    f"{name!r} is a collection in shards, which follows no files; leave --watch out"
                )
        for kept in indexes.folders.values():
            with kept.using() as index:
                check_watchable(index)
        self._threads = [
            threading.Thread(target=self._follow, args=[name, kept], name="follow", daemon=True)
            for name, kept in indexes.folders.items()
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, with what was committed by then."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, name: str, kept: KeptOpen) -> None:
        def say(error: Exception) -> None:
            sys.stderr.write(f"{safe(name)}: {safe(' '.join(str(error).split()))}\n")

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
            except (RetrievalError, OSError) as error:
                say(error)
                self._stop.wait(AGAIN_S)
