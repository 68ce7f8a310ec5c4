"""Ctrl-C during a run that keeps checkpoints: the step is taken whole, and kept."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupted() -> Iterator[Callable[[], bool]]:
    """Tells whether Ctrl-C was pressed, which ends nothing by itself: a step is taken whole.

    A second Ctrl-C ends everything at once. Off the main thread, signals are as they were.
    """
    pressed = False

    def note(number: int, frame: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: pressed
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
