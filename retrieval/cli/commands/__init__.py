"""The commands: one module each, which adds its command to the program as it is imported.

A module holds the command's options and what is said of its result. What it does is done by
`retrieval.service` and below, and imported when the command runs: `retrieval --help` stays fast.
"""

from retrieval.cli.program import app, import_commands

import_commands(__name__, __path__)

__all__ = ["app"]
