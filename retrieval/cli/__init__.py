"""The `retrieval` command: options in, `retrieval.service` asked, results out.

    entry        one command line from start to exit code
    program      the program itself and its own options
    options      options that several commands share
    commands/    one module for each command
    output/      results as text or JSON, progress, colours
    testset/     `retrieval eval make`: gathering queries, judging in the terminal
    errors       what a user sees when something goes wrong
    interrupting Ctrl-C, raised again where a library swallowed it

Nothing here is imported before it is needed: `retrieval --help` reads no index code.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys

_SHORT = frozenset({"list", "open", "search", "status"})
"""Commands that end soon."""


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    code = 0
    if set(sys.argv[1:2]) & _SHORT:
        # What is imported makes few cycles, and looking for them takes a twentieth of the time.
        gc.set_threshold(100_000, 20, 20)

    def leave() -> None:
        """End at once: to take down all that was imported costs a search a tenth of its time.

        And where a thread is left that nobody waits for, as one that loads a model while a server
        is told to end, the interpreter's end would end it in a library in C++, which aborts.
        """
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    atexit.register(leave)  # the first that is registered is the last that is called
    try:
        from retrieval.cli.entry import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before there was anything to stop
        code = 130
    sys.exit(code)
