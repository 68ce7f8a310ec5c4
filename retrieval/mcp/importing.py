"""What an agent's tools import, by one thread at a time.

Tools are called on threads of their own, and what they need is imported with the first call. Of two
threads at once one may import a package and the other a part of it: each then waits for the other,
and Python lets one go on with a module that is not whole.
"""

from __future__ import annotations

import threading
from importlib import import_module

_MODULES = (
    "json_shape", "kept_collection", "kept_open", "lookup", "opening", "searching", "updating",
)  # fmt: skip

_lock = threading.Lock()


def import_services() -> None:
    """Import all that the tools use of `retrieval.service`; once that is done it costs nothing."""
    with _lock:
        for name in _MODULES:
            import_module(f"retrieval.service.{name}")
