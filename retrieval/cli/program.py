"""The program and its options; the commands in `commands` add themselves."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from retrieval import __version__
from retrieval.errors import InputError, RetrievalError

_SHOWN_FIRST = ("index", "search", "open", "list", "status", "delete", "compact")
"""First commands in `--help`; all others follow by name."""

_Function = TypeVar("_Function", bound=Callable[..., Any])

_ARGUMENT = re.compile(r"'[^']*'|(?<!\S)(with )?([a-z_]+)=('[^']*'|[^\s,;]+)")
"""An argument and its value, as errors name it; or quoted text of the user's, which stays."""

_NAMES_OF_PLACES = frozenset(
    [
        "PATH",
        "DIR",
        "DIR|URL",
        "FILE",
        "FOLDER",
        "MODEL",
        "SRC",
        "URL",
        "HIT",
        "TARGET",
        "DATA",
        "DATASET",
        "A",
        "B",
    ]
)
"""What stands in usage lines for a file, a folder or what a name leads to."""


class HeldError(Exception):
    """Carries an error past typer, which would end the process with a message of its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class _Commands(TyperGroup):
    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the command line; `--help` is answered here."""
        with _holding():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _holding():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands, in the order of `--help`."""
        names = sorted(super().list_commands(ctx))
        first = [name for name in _SHOWN_FIRST if name in names]
        return first + [name for name in names if name not in first]


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command's own part of the line, and refuse a place without a name.

        To the system an empty path is the current folder, so that a variable that was never set
        would index it, or delete all that came from it.
        """
        rest = super().parse_args(ctx, list(args))
        if ctx.resilient_parsing or not any(one == "" or one.endswith("=") for one in args):
            return rest
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in self.params:
            name = (parameter.metavar or "").strip("[].")
            value = given.get(parameter.name or "")
            values = value if isinstance(value, list | tuple) else [value]
            if name in _NAMES_OF_PLACES and "" in values:
                option = next((one for one in parameter.opts if one.startswith("--")), name)
                raise InputError(f"{option} is empty; give a path (was a variable not set?)")
        return rest

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands in the usage line; releases of typer put braces around what is required."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error that names an argument as Python does names the option."""
        try:
            return super().invoke(ctx)
        except RetrievalError as error:
            options = {one.name: one.opts[-1] for one in self.params if one.opts[-1][:1] == "-"}
            error.args = (_with_options(str(error), options), *error.args[1:])
            raise


def _with_options(message: str, options: Mapping[str | None, str]) -> str:
    """The message with `--bits 3` where it has `bits=3`."""

    def option(found: re.Match[str]) -> str:
        before, name, value = found.groups()
        if name not in options:
            return found[0]
        if before and value in ("False", "None"):
            return f"without {options[name]}"
        return f"{before or ''}{options[name]}" + ("" if value == "True" else f" {value}")

    return _ARGUMENT.sub(option, message)


class Commands(typer.Typer):
    """A program, or a group of it, whose commands refuse a place without a name."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        """As typer's."""
        options.setdefault("cls", _Command)
        return super().command(name, **options)


@contextmanager
def _holding() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, KeyboardInterrupt) as error:
        raise HeldError(error) from error
    except typer.Abort as error:  # Ctrl-C or Ctrl-D instead of an answer
        raise HeldError(KeyboardInterrupt()) from error


app = Commands(
    cls=_Commands,
    help="Index a folder, search it: lexical, dense and late-interaction retrieval, fused.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def import_commands(package: str, path: Iterable[str]) -> None:
    """Import every module of a package of commands; each adds its command when it is imported.

    Args:
        package: its dotted name, `__name__` of its `__init__`.
        path: its folders, `__path__` of its `__init__`.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"retrieval {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        sys.stdout.write(f"{context.get_help()}\n")
