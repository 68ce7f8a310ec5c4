"""The `retrieval` command: parses options, calls `retrieval.service`, prints results.

    entry        runs one command line and returns its exit code
    program      the program itself and its own options
    options      options that several commands share
    commands/    one module for each command
    output/      results as text or JSON, progress, colours
    testset/     `retrieval eval make`: collecting queries, judging in the terminal
    errors       what a user sees when something goes wrong
    interrupting Ctrl-C, raised again if a library swallowed it

Nothing is imported before it is needed: `retrieval --help` imports no index code.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys

_SHORT = frozenset({"list", "open", "search", "status"})
"""Commands that run only briefly."""


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    code = 0
    if set(sys.argv[1:2]) & _SHORT:
        # Imports make few cycles, and looking for them takes a twentieth of the time.
        gc.set_threshold(100_000, 20, 20)

    def leave() -> None:
        """End at once: unloading all that was imported costs a search a tenth of its time.

        Also, if a thread is left that nobody waits for, such as one that loads a model while a
        server shuts down, a normal exit would end it within a C++ library, which aborts.
        """
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    atexit.register(leave)  # registered first, so called last
    try:
        from retrieval.cli.entry import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before anything was running
        code = 130
    sys.exit(code)
