"""Cancelling work whose result is no longer wanted: an event is set, and long work polls it.

A server binds an event to the thread that works for a client (`cancelled_by`) and sets it when the
client disconnects; long-running code calls `check_cancelled` between steps.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_event: ContextVar[threading.Event | None] = ContextVar("cancellation", default=None)


class CancelledError(Exception):
    """The work was cancelled: its result is no longer wanted."""


@contextmanager
def cancelled_by(event: threading.Event) -> Iterator[None]:
    """Work done in the block, in this thread, is cancelled once the event is set."""
    token = _event.set(event)
    try:
        yield
    finally:
        _event.reset(token)


def current() -> threading.Event | None:
    """The event that cancels this thread's work; None if there is none."""
    return _event.get()


def check_cancelled() -> None:
    """Raise if this thread's work was cancelled.

    Raises:
        CancelledError: it was.
    """
    if is_cancelled():
        raise CancelledError


def is_cancelled() -> bool:
    """Whether this thread's work is cancelled."""
    event = _event.get()
    return event is not None and event.is_set()
