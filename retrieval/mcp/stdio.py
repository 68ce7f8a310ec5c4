"""The server on this process's standard input and output."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval import __version__
from retrieval.mcp.lines import serve_lines
from retrieval.mcp.tools import Tools, instructions, make_tools
from retrieval.mcp.wire import Server

if TYPE_CHECKING:
    from retrieval.service.kept_open import KeptOpen


class _Lazy:
    """The index, which brings numpy and more with it, opened when it is first asked for."""

    def __init__(self, folder: Path, encoder: str | None) -> None:
        self._folder = folder
        self._encoder = encoder
        self._lock = threading.Lock()
        self._kept: KeptOpen | None = None

    def get(self) -> KeptOpen:
        """The index."""
        from retrieval.service.kept_open import KeptOpen

        with self._lock:
            if self._kept is None:
                self._kept = KeptOpen(self._folder, encoder=self._encoder)
            return self._kept

    def warm(self) -> None:
        """Load the model."""
        kept = self.get()
        if kept.exists:
            kept.warm()

    def close(self) -> None:
        """Let the index go."""
        with self._lock:
            if self._kept is not None:
                self._kept.close()


def serve(folder: Path, *, encoder: str | None = None, allow_write: bool = False) -> None:
    """Answer the client at the other end of standard input and output until it goes away.

    Standard output is the wire: whatever else is printed in this process goes to standard error.

    Args:
        folder: of the index; where there is none, the first search makes it.
        encoder: what the index was built with, if it is to be loaded from another place.
        allow_write: whether an index that is there may be changed.
    """
    folder = folder.absolute()
    index = _Lazy(folder, encoder)
    tools = Tools(index.get, allow_write=allow_write)
    server = Server(
        "retrieval",
        __version__,
        make_tools(tools, allow_write=allow_write),
        instructions=instructions(folder),
        on_initialized=lambda: threading.Thread(
            target=index.warm, name="mcp-warm", daemon=True
        ).start(),
    )
    wire = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    with os.fdopen(wire, "wb") as out:
        serve_lines(server, sys.stdin.buffer, out)
    tools.stop()
    index.close()
