"""Work that whoever asked for it no longer wants: told by an event, looked at between steps.

A server says in the thread that works for a client what tells that the client went away; what
takes long asks now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_event: ContextVar[threading.Event | None] = ContextVar("cancellation", default=None)


class CancelledError(Exception):
    """Nobody wants the result any more."""


@contextmanager
def cancelled_by(event: threading.Event) -> Iterator[None]:
    """What is done in the block, in this thread, is cancelled once the event is set."""
    token = _event.set(event)
    try:
        yield
    finally:
        _event.reset(token)


def current() -> threading.Event | None:
    """What tells that this thread's work is cancelled; None if nothing does."""
    return _event.get()


def check_cancelled() -> None:
    """Go on, unless the work is cancelled.

    Raises:
        CancelledError: it is.
    """
    if is_cancelled():
        raise CancelledError


def is_cancelled() -> bool:
    """Whether this thread's work is cancelled."""
    event = _event.get()
    return event is not None and event.is_set()
