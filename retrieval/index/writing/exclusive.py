"""Turn: one writing call of an index at a time, whichever thread makes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from retrieval.errors import InputError


class Turn:
    """A lock that a thread which holds it cannot wait for, as it would for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the others to end, and hold it.

        Raises:
            InputError: this thread holds it.
        """
        if self._holder == threading.get_ident():
            raise InputError(
                "the index was changed from within a call that is changing it; end that one first "
                "(what gives `add` its documents, and functions that show progress, cannot)"
            )
        with self._lock:
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None
