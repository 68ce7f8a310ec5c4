"""Awaiting work that runs in a thread, without blocking the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from retrieval.cancellation import cancelled_by
from retrieval.errors import MissingDependency

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, whole: bool = False) -> T:
    """Run work in a thread; on asyncio's loop or on another that anyio supports, such as trio's.

    A caller that is cancelled does not wait for the thread.

    Args:
        whole: finish the work even when the caller is cancelled; if not, it stops when it next
            checks for cancellation.

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
    except BaseException:  # cancelled, whatever the loop's exception
        if not whole:
            unwanted.set()
        raise


async def _by_anyio(work: Callable[[], T]) -> T:
    try:
        from anyio import to_thread
    except ImportError:
        raise MissingDependency(
            "outside asyncio's loop async methods need anyio, which is not installed: "
            "pip install anyio"
        ) from None
    return await to_thread.run_sync(work, abandon_on_cancel=True)
