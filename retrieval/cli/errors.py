"""What a user sees when something goes wrong: one line, and an exit code that says which kind.

    0    done, even if a search found nothing
    1    failed
    2    the command line cannot be used: an option, a path, a query or a filter
    130  stopped by Ctrl-C
    141  the reader of the output went away, as in `retrieval search x | head -1`

Set RETRIEVAL_DEBUG=1 to see the traceback as well.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

from retrieval.errors import DocumentError, FilterError, InputError, RetrievalError

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141

DEBUG = "RETRIEVAL_DEBUG"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_NO_NUMBER = re.compile(r"not a valid (int|float)(?:eger)?(?: range)?\b")
_NUMBERS = {"int": "not a whole number", "float": "not a number"}
"""Typer's phrases for a value that is not a number, in plain words."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is shown.

    Attributes:
        type: its class, for `--json`.
        message: one line: what, where, and what to do.
        code: the exit code.
    """

    type: str
    message: str
    code: int


def describe(error: BaseException, *, resumable: bool = False) -> Failure:
    """How to show an error.

    Args:
        error: whatever a command raised.
        resumable: whether the same command, run again, continues where this one ended.
    """
    name = type(error).__name__
    match error:
        case KeyboardInterrupt():
            kept = _kept(error) or "what was committed is kept"
            rest = f"; {kept}, run the same command to continue"
            return Failure("Interrupted", f"stopped{rest if resumable else ''}", INTERRUPTED)
        case FilterError():
            return Failure(name, f"--where: {_line(error)}", WRONG_USAGE)
        case RetrievalError():
            wrong = isinstance(error, InputError) and not isinstance(error, DocumentError)
            return Failure(name, _line(error), WRONG_USAGE if wrong else FAILED)
        case BrokenPipeError():
            return Failure(name, "the reader of the output went away", PIPE_CLOSED)
        case MemoryError():
            rest = "; what was committed is kept" if resumable else ""
            return Failure(name, f"out of memory{rest}; close other programs and try again", FAILED)
        case OSError():
            return Failure(name, _of_system(error), FAILED)
        case Exception() if type(error).__module__ == "sqlite3":  # avoids importing it
            message = f"the database of the index failed ({_line(error)}); "
            return Failure(name, f"{message}see `retrieval status --verify`", FAILED)
    usage = usage_error(error)
    if usage:
        return Failure("UsageError", usage, WRONG_USAGE)
    message = f"unexpected {name}: {_line(error) or 'no message'}; "
    return Failure(name, f"{message}run it again with {DEBUG}=1 for the traceback", FAILED)


def _kept(error: BaseException | None) -> str:
    """What an interrupt says of what is kept, or one during which this one came; or ""."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt) and error.args:
            return _line(error)
        error = error.__context__
    return ""


def usage_error(error: BaseException) -> str:
    """The message of a command line that typer refused, or "".

    Typer's releases bundle click under different names, so its errors are recognised by methods.
    """
    if not (hasattr(error, "format_message") and hasattr(error, "exit_code")):
        return ""
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    message = _NO_NUMBER.sub(lambda match: _NUMBERS[match[1]], message)
    context = getattr(error, "ctx", None)
    command = "retrieval" if context is None else context.command_path
    glue = " See" if message.endswith("?") else "; see"
    return f"{message[:1].lower()}{message[1:]}{glue} `{command} --help`"


def _of_system(error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_nowhere():
        return "the current folder no longer exists; change to one that does"
    where = error.filename if error.filename is not None else ""
    named = f"{os.fsdecode(where)}: " if isinstance(where, str | bytes) and where else ""
    if error.errno in _FULL:
        return f"{named}no space left; free some and run it again"
    if isinstance(error, PermissionError):
        return f"{named}{error.strerror}; check its and its folder's permissions"
    return f"{named}{error.strerror or _line(error) or type(error).__name__}"


def _is_nowhere() -> bool:
    """Whether the current folder was deleted."""
    try:
        os.getcwd()  # noqa: PTH109 -- as `Path.cwd`, for what it raises
    except FileNotFoundError:
        return True
    return False


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
