"""The `retrieval` command.

    app          the commands and their options
    models       the commands under `retrieval model`
    run          one command line from start to exit code
    interrupting Ctrl-C, raised again where a library swallowed it
    errors       what a user sees when something goes wrong
    place        where the index is, and what a path is called from here
    render       results as text
    explanation  what the tokens of a query matched
    snippet      the lines of a passage that answer the query
    style        colours, and text that is safe on a terminal
    document     results as one JSON document
    progress     the bar of a long job, or its lines in a log

Nothing here is imported before it is needed: `retrieval --help` reads no index code.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    try:
        from retrieval.cli.entry import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before there was anything to stop
        code = 130
    sys.exit(code)
