"""An index that a server keeps open: opened on first use, following its newest generation."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retrieval.errors import RetrievalError
from retrieval.files.places import absolute_folder
from retrieval.index import Index
from retrieval.service.opening import is_index, open_or_create
from retrieval.store.schema import DATABASE, not_found

_Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and modification time of the database and of its write-ahead log."""

_SETTLED_NS = 10_000_000_000
"""A file that changed this recently may change again without looking different: a commit is
written, then forced to disk, which may take seconds, and only then visible; and file time stamps
advance only every few milliseconds."""


class KeptOpen:
    """The index at a folder, for many requests in many threads.

    A request sees one generation, the newest when it began; an index that was deleted and recreated
    is opened again.

    Attributes:
        folder: the index's folder; it need not exist yet.
    """

    def __init__(self, folder: Path, *, encoder: str | None = None) -> None:
        self.folder = absolute_folder(folder)
        self._files = (self.folder / DATABASE, self.folder / f"{DATABASE}-wal")
        self._encoder = encoder
        self._lock = threading.Lock()
        self._index: Index | None = None
        self._stamp: _Stamp = ()
        self._settled = False
        self._users: dict[int, int] = {}  # by `id` of the Index: number of requests that use it
        self._left: dict[int, Index] = {}  # replaced, but still in use

    @property
    def place(self) -> str:
        """Its folder, for display."""
        return str(self.folder)

    @property
    def exists(self) -> bool:
        """Whether there is an index at the folder."""
        return is_index(self.folder)

    @contextmanager
    def using(self) -> Iterator[Index]:
        """The index at its newest generation, kept open until the block is left.

        Raises:
            IndexNotFound: there is no index in the folder.
            RetrievalError: it cannot be opened, see `Index.open`.
        """
        with self._lock:
            index = self._newest()
            self._users[id(index)] = self._users.get(id(index), 0) + 1
        try:
            yield index
        finally:
            self._release(index)

    def make(self) -> None:
        """Create an empty index in the folder, if there is none."""
        with self._lock:
            if self.exists:
                return
            before, self._index = self._index, None
            if before is not None:  # it was deleted
                self._leave(before)
            self._index = open_or_create(self.folder, encoder=self._encoder)
            self._stamp, self._settled = self._look(), False

    def warm(self) -> None:
        """Load the model and what else the first search needs; errors are left to the search."""
        with suppress(RetrievalError, OSError), self.using() as index:
            index.search("ready", 1)

    def close(self) -> None:
        """Close the index once running requests are done."""
        with self._lock:
            index, self._index = self._index, None
            if index is not None:
                self._leave(index)

    def _newest(self) -> Index:
        stamp = self._look()
        before = self._index
        if not stamp:
            if before is not None:
                self._index = None
                self._leave(before)
            raise not_found(self.folder)
        if before is not None and stamp == self._stamp and self._settled:
            return before
        if before is not None and stamp[0][0] == self._stamp[0][0]:
            before.refresh()
            index = before
        else:
            index = Index.open(self.folder, encoder=self._encoder)
            if before is not None:
                self._leave(before)
        self._index, self._stamp = index, stamp
        self._settled = time.time_ns() - max(it[2] for it in stamp) > _SETTLED_NS
        return index

    def _leave(self, index: Index) -> None:
        """Close an index that was replaced, now or when its last request is done."""
        if self._users.get(id(index)):
            self._left[id(index)] = index
        else:
            index.close()

    def _release(self, index: Index) -> None:
        with self._lock:
            self._users[id(index)] -= 1
            if not self._users[id(index)]:
                del self._users[id(index)]
                left = self._left.pop(id(index), None)
                if left is not None:
                    left.close()

    def _look(self) -> _Stamp:
        stamps = []
        for file in self._files:
            try:
                status = file.stat()
            except OSError:
                break  # without a database there is no index
            stamps.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(stamps)
