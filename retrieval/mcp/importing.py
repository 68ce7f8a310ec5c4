"""Importing what an agent's tools need, in one thread at a time.

Tools are called in threads, and imports happen with the first call. If two threads import a package
and a part of it at the same time, each waits for the other, and Python breaks the deadlock by
giving one an incomplete module.
"""

from __future__ import annotations

import threading
from importlib import import_module

_MODULES = (
    "json_shape", "kept_collection", "kept_open", "lookup", "opening", "searching", "updating",
)  # fmt: skip

_lock = threading.Lock()


def import_services() -> None:
    """Import everything that the tools use of `retrieval.service`; later calls cost nothing."""
    with _lock:
        for name in _MODULES:
            import_module(f"retrieval.service.{name}")
