import errno
import sqlite3
from pathlib import Path

import pytest
import typer

from retrieval import errors
from retrieval.cli.errors import FAILED, INTERRUPTED, PIPE_CLOSED, WRONG_USAGE, Failure, describe

from .conftest import Retrieval


def every_error(base: type[Exception] = errors.RetrievalError) -> list[type[Exception]]:
    return [base, *(error for child in base.__subclasses__() for error in every_error(child))]


@pytest.mark.parametrize("error", every_error())
def test_errors_raised_on_purpose_are_shown_as_they_are(error: type[Exception]) -> None:
    failure = describe(error("what\nwhere; cure"))
    assert failure.message.removeprefix("--where: ") == "what where; cure"
    assert failure.type == error.__name__
    wrong = issubclass(error, errors.InputError) and not issubclass(error, errors.DocumentError)
    assert failure.code == (WRONG_USAGE if wrong else FAILED)


def test_a_filter_error_names_the_option() -> None:
    assert describe(errors.FilterError("found 'x'")).message == "--where: found 'x'"


def test_system_errors_name_the_file_and_the_reason() -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/etc/shadow")
    said = "/etc/shadow: Permission denied; check its and its folder's permissions"
    assert describe(error) == Failure("PermissionError", said, FAILED)
    full = OSError(errno.ENOSPC, "No space left on device", b"/data/x")
    assert describe(full).message == "/data/x: no space left; free some and run it again"
    assert describe(OSError("odd")).message == "odd"
    assert describe(OSError()).message == "OSError"


def test_a_current_folder_that_was_deleted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    there.rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        Path.cwd()
    message = "the current folder no longer exists; change to one that does"
    assert describe(raised.value) == Failure("FileNotFoundError", message, FAILED)
    named = FileNotFoundError(errno.ENOENT, "No such file or directory", "x")
    assert describe(named).message == "x: No such file or directory"


def test_an_interrupt_says_how_to_go_on_where_that_is_possible() -> None:
    assert describe(KeyboardInterrupt()) == Failure("Interrupted", "stopped", INTERRUPTED)
    message = describe(KeyboardInterrupt(), resumable=True).message
    assert message == "stopped; what was committed is kept, run the same command to continue"
    told, again = KeyboardInterrupt("the index holds 2 documents"), KeyboardInterrupt()
    again.__context__ = told
    for error in (told, again):
        message = describe(error, resumable=True).message
        assert message == "stopped; the index holds 2 documents, run the same command to continue"


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (MemoryError(), "out of memory; close other programs and try again", FAILED),
        (
            sqlite3.DatabaseError("malformed"),
            "the database of the index failed (malformed); see `retrieval status --verify`",
            FAILED,
        ),
        (
            KeyError("x"),
            "unexpected KeyError: 'x'; run it again with RETRIEVAL_DEBUG=1 for the traceback",
            FAILED,
        ),
        (BrokenPipeError(), "the reader of the output went away", PIPE_CLOSED),
    ],
)
def test_other_errors_are_one_line_too(error: BaseException, message: str, code: int) -> None:
    failure = describe(error)
    assert (failure.message, failure.code) == (message, code)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-k", "x"], "'-k': 'x' is not a whole number"),
        (["-k", "2.5"], "'-k': '2.5' is not a whole number"),
        (["-k", "0"], "'-k': 0 is not in the range x>=1"),
        (["--min-relevance", "high"], "'--min-relevance': 'high' is not a number"),
    ],
)
def test_what_is_no_number_is_said_so(
    retrieval_command: Retrieval, arguments: list[str], said: str
) -> None:
    outcome = retrieval_command("search", "word", *arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_usage_error_points_to_the_help() -> None:
    failure = describe(typer.BadParameter("it is\nbad."))
    assert failure == Failure(
        "UsageError", "invalid value: it is bad; see `retrieval --help`", WRONG_USAGE
    )
