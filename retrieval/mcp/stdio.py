"""The server on this process's standard input and output."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval import __version__
from retrieval.files.places import absolute_folder
from retrieval.mcp.importing import import_services
from retrieval.mcp.lines import serve_lines
from retrieval.mcp.tools import Tools, instructions, is_there, make_tools
from retrieval.mcp.wire import Server

if TYPE_CHECKING:
    from retrieval.mcp.tools import AnyKept


class _Lazy:
    """The index, opened on first use, as that imports numpy and more."""

    def __init__(self, place: Path | str, encoder: str | None) -> None:
        self._place = place
        self._encoder = encoder
        self._lock = threading.Lock()
        self._kept: AnyKept | None = None

    def get(self) -> AnyKept:
        """The index."""
        with self._lock:
            if self._kept is None:
                import_services()
                from retrieval.service.kept_collection import KeptCollection
                from retrieval.service.kept_open import KeptOpen

                place, encoder = self._place, self._encoder
                self._kept = (
                    KeptOpen(place, encoder=encoder)
                    if isinstance(place, Path)
                    else KeptCollection(place, encoder=encoder)
                )
            return self._kept

    def warm(self) -> None:
        """Load the model."""
        kept = self.get()
        if is_there(kept):
            kept.warm()

    def close(self) -> None:
        """Close the index."""
        with self._lock:
            if self._kept is not None:
                self._kept.close()


def serve(place: Path | str, *, encoder: str | None = None, allow_write: bool = False) -> None:
    """Serve the client at the other end of standard input and output until it disconnects.

    Standard output is for messages: anything else printed in this process goes to standard error.

    Args:
        place: the folder of the index, which the first search creates if there is none; or the URL
            of a collection in shards, which is only read.
        encoder: the encoder that it was built with, if it is loaded from another place.
        allow_write: whether an existing index may be changed.
    """
    place = absolute_folder(place) if isinstance(place, Path) else place
    index = _Lazy(place, encoder)
    tools = Tools(index.get, allow_write=allow_write)
    server = Server(
        "retrieval",
        __version__,
        make_tools(tools, allow_write=allow_write),
        instructions=instructions(place),
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
