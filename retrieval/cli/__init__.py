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
import os
import sys


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    code = 0

    def leave() -> None:
        """End at once if a thread is left: the interpreter's end would abort it in foreign code.

        Such a thread is one that nobody waits for, as one that loads a model while a server is told
        to end. Where it comes back from a library in C++, ending it ends the process (SIGABRT).
        """
        threading = sys.modules.get("threading")
        if threading is not None and threading.active_count() > 1:
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
