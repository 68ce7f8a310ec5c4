"""Ctrl-C that is not lost: an interrupt that was swallowed on its way is raised again.

Python raises KeyboardInterrupt wherever the program happens to be, and some places throw every
exception away: callbacks of weak references (the import system has one), `__del__`, and extension
modules that ignore what fails while they are imported. The command would go on as if nothing had
happened. An exception that was thrown away is freed at once, which is how it is noticed here.
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
"""Seconds; raised right where the last one was thrown away, the next one would be, too."""


class _Interrupt(KeyboardInterrupt):
    """As KeyboardInterrupt, but weak references to it are possible."""


@contextmanager
def lasting_interrupts() -> Iterator[None]:
    """Within the block, Ctrl-C is raised until it leaves the block.

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
            del error  # its traceback holds this frame: together they would wait for the collector

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
        if not isinstance(arguments.exc_value, _Interrupt):  # that one is raised again
            hook(arguments)

    sys.unraisablehook = unraisable
    signal.signal(signal.SIGINT, raised)
    try:
        yield
    finally:
        watched.clear()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = hook
