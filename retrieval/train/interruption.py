"""Ctrl-C during a run with checkpoints: the current step is finished and saved."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

ECHO_SECONDS = 1.0
"""Within this time a second signal is taken for the first, which `torchrun` passes on again."""


@contextlib.contextmanager
def interrupted() -> Iterator[Callable[[], bool]]:
    """Tells whether Ctrl-C was pressed, so that the current step can be finished first.

    A second Ctrl-C, a second or more later, ends everything at once. Outside the main thread,
    signals are not changed.
    """
    first: float | None = None

    def note(number: int, frame: object) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
        elif now - first >= ECHO_SECONDS:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: first is not None
    finally:
        signal.signal(signal.SIGINT, before)
