"""Running one command line, from its arguments to its exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from retrieval.cli.errors import DEBUG, INTERRUPTED, PIPE_CLOSED, Failure, describe
from retrieval.cli.interrupting import lasting_interrupts
from retrieval.cli.output.style import Style
from retrieval.service.printable import safe


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; every error has been shown by then."""
    _reopen_closed()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a stream that a caller substituted
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with lasting_interrupts():
            from retrieval.cli.commands import program_for
            from retrieval.cli.program import HeldError

            error = None
            try:
                code = program_for(arguments)(
                    args=list(arguments), prog_name="retrieval", standalone_mode=False
                )
            except HeldError as held:
                error = held.error
            if error is not None:  # raised out here, it keeps its context
                raise error
            sys.stdout.flush()
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 1
    except BaseException as failed:
        return _show(failed, arguments)
    return code if isinstance(code, int) else 0


def _reopen_closed() -> None:
    """Reopen closed standard streams on the null device: otherwise a file would get their number,
    and output would be written into it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 -- until the end


def _show(error: BaseException, arguments: Sequence[str]) -> int:
    unwritten = isinstance(error, OSError) and error.filename is None and _is_of_output(error)
    if unwritten:
        error.filename = "standard output"  # type: ignore[attr-defined]
    resumable = arguments[0] in ("index", "eval", "train") if arguments else False
    failure = describe(error, resumable=resumable)
    if failure.code == PIPE_CLOSED:
        _forget_output()
        return failure.code
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        as_json = "--json" in options and not unwritten
        _report(failure, as_json=as_json, in_lines="--watch" in options)
    except OSError:
        unwritten = True
    if unwritten:
        _forget_output()
    return failure.code


def _is_of_output(error: OSError) -> bool:
    """Whether standard output cannot be written: what it could not take is still in its buffer."""
    try:
        sys.stdout.flush()
    except OSError as again:
        return again.errno == error.errno
    except ValueError:  # closed
        return False
    return False


def _report(failure: Failure, *, as_json: bool, in_lines: bool) -> None:
    # A watch prints an object on each line, and Ctrl-C is how it ends.
    if as_json and not (in_lines and failure.code == INTERRUPTED):
        from retrieval.cli.output.json_output import print_json

        error = {"type": failure.type, "message": failure.message}
        print_json({"error": error}, whole=not in_lines)
        sys.stdout.flush()
        return
    label = Style.of(sys.stderr).dress("wrong", "error: ")
    if failure.code == INTERRUPTED:
        label = ""  # nothing went wrong
    sys.stderr.write(f"{label}{safe(failure.message)}\n")
    sys.stdout.flush()


def _forget_output() -> None:
    """Discard buffered output; otherwise the interpreter complains at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
