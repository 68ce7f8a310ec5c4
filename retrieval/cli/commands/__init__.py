"""The commands: one module each, which adds its command to the program as it is imported.

A module has its command's name, and holds its options and what is said of its result. What it does
is done by `retrieval.service` and below, and imported when the command runs: `retrieval --help`
stays fast. So does a command: of the others nothing is imported.
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
    """The program with the command that a command line begins with; with all if it is none."""
    name = arguments[0] if arguments else ""
    if any(module.name == name for module in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{name}")
    else:
        import_commands(__name__, __path__)
    return app
