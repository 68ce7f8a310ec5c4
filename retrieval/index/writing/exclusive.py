"""ExclusiveLock: one writing call of an index at a time, across threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from retrieval.errors import InputError


class ExclusiveLock:
    """A lock that raises, instead of a deadlock, when its holder asks for it again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for others to release the lock, and hold it.

        Raises:
            InputError: this thread holds it already.
        """
        if self._holder == threading.get_ident():
            raise InputError(
                "the index was changed from within a call that is changing it; end that one first "
                "(generators passed to `add` and progress callbacks must not change the index)"
            )
        with self._lock:
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None
