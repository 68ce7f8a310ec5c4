"""The commands: one module each, which adds its command to the program when it is imported.

A module has its command's name, and contains its options and its output. The work is done by
`retrieval.service` and below, which is imported when the command runs, so that `retrieval --help`
stays fast. A command imports nothing of the others.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrieval.cli.program import app, import_commands

if TYPE_CHECKING:
    import typer

__all__ = ["program_for"]


def program_for(arguments: Sequence[str] = ()) -> typer.Typer:
    """The program with the command of a command line, or with all if that has none."""
    name = arguments[0] if arguments else ""
    if any(module.name == name for module in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{name}")
    else:
        import_commands(__name__, __path__)
    return app
