"""Ctrl-C that is not lost: an interrupt that was swallowed is raised again.

Python raises KeyboardInterrupt wherever the program happens to be, and some places discard every
    exception: callbacks of weak references (the import system has one), `__del__`, and extension
    modules that ignore errors while they are imported. The command would continue as if nothing had
    happened. A discarded exception is freed at once, which is how it is noticed here.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PAUSE = 0.01
"""Seconds to wait: raised in the same place, the next one would be discarded too."""


class _Interrupt(KeyboardInterrupt):
    """A KeyboardInterrupt that supports weak references."""


@contextmanager
def lasting_interrupts() -> Iterator[None]:
    """Within the block, Ctrl-C is raised again until it leaves the block.

    Does nothing outside the main thread, or where SIGINT is ignored or handled by someone else.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    watched: set[weakref.ref[_Interrupt]] = set()
    hook = sys.unraisablehook

    def raised(number: int, frame: object) -> None:
        error = _Interrupt()
        watched.add(weakref.ref(error, lost))
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame: the cycle would wait for the collector

    def lost(reference: weakref.ref[_Interrupt]) -> None:
        if reference in watched:
            again = threading.Timer(_PAUSE, once_more, [reference])
            again.daemon = True
            again.start()

    def once_more(reference: weakref.ref[_Interrupt]) -> None:
        if reference in watched:
            watched.discard(reference)
            _thread.interrupt_main()

    def unraisable(arguments: Any) -> None:
        if not isinstance(arguments.exc_value, _Interrupt):  # ours is raised again
            hook(arguments)

    sys.unraisablehook = unraisable
    signal.signal(signal.SIGINT, raised)
    try:
        yield
    finally:
        watched.clear()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = hook
