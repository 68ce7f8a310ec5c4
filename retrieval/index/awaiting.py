"""Work that is awaited: done in a thread, while the event loop goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from retrieval.cancellation import cancelled_by
from retrieval.errors import MissingDependency

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, whole: bool = False) -> T:
    """What the work returns, on asyncio's loop or on any other that anyio knows, such as trio's.

    Who is cancelled does not wait for the thread.

    Args:
        whole: the work goes on to its end when it is cancelled; if not, it ends where it next asks
            whether it is still wanted.

    Raises:
        MissingDependency: the loop is not asyncio's, and anyio is not installed.
    """
    import asyncio

    unwanted = threading.Event()

    def wanted() -> T:
        with cancelled_by(unwanted):
            return work()

    try:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return await _by_anyio(wanted)
        return await asyncio.to_thread(wanted)
    except BaseException:  # cancelled, whatever the loop calls it
        if not whole:
            unwanted.set()
        raise


async def _by_anyio(work: Callable[[], T]) -> T:
    try:
        from anyio import to_thread
    except ImportError:
        raise MissingDependency(
            "outside asyncio's loop awaited calls need anyio, which is not installed: "
            "pip install anyio"
        ) from None
    return await to_thread.run_sync(work, abandon_on_cancel=True)
