"""Ctrl-C during a run that keeps checkpoints: the step is taken whole, and kept."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

ECHO_SECONDS = 1.0
"""Within it a second signal is the first again: `torchrun` passes on what the terminal has sent."""


@contextlib.contextmanager
def interrupted() -> Iterator[Callable[[], bool]]:
    """Tells whether Ctrl-C was pressed, which ends nothing by itself: a step is taken whole.

    A second Ctrl-C, a second or more later, ends everything at once. Off the main thread, signals
    are as they were.
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
