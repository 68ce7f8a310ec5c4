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

import sys

_SHORT = ("list", "open", "search", "status")
"""Commands that end soon."""


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    code = 1
    try:
        # Here, where Ctrl-C is no traceback: a good part of a short command's time is imports.
        import atexit
        import contextlib
        import gc
        import os

        if sys.argv[1:2] and sys.argv[1] in _SHORT:
            # What is imported makes few cycles, and looking for them takes a twentieth of the time.
            gc.set_threshold(100_000, 20, 20)

        def leave() -> None:
            """End at once: to take down all that was imported costs a search a tenth of its time.

            And where a thread is left that nobody waits for, as one that loads a model while a
            server is told to end, the interpreter's end would end it in a library in C++, which
            aborts.
            """
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

        atexit.register(leave)  # the first that is registered is the last that is called
        from retrieval.cli.entry import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
        sys.stderr.write("stopped\n")
    sys.exit(code)
