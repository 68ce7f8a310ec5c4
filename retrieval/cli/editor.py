"""Opening a file in the user's editor at a line, or in a viewer at a page."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from retrieval.errors import RetrievalError

_LINE_ARGUMENTS: Mapping[tuple[str, ...], Sequence[str]] = {
    ("code", "code-insiders", "codium", "cursor", "windsurf"): ("--goto", "{file}:{line}"),
    ("hx", "helix", "subl", "sublime_text", "zed", "zeditor"): ("{file}:{line}",),
    ("micro",): ("{file}", "+{line}"),
    ("mate", "kate", "kwrite"): ("--line", "{line}", "{file}"),
    ("idea", "pycharm", "goland", "clion", "rider", "webstorm"): ("--line", "{line}", "{file}"),
}
"""How to pass a line to editors; all others like vi: `+LINE FILE`."""

_PAGE_ARGUMENTS: Mapping[str, Sequence[str]] = {
    "okular": ("--page", "{page}", "{file}"),
    "evince": ("--page-index={page}", "{file}"),
    "zathura": ("--page={page}", "{file}"),
    "atril": ("--page-index={page}", "{file}"),
    "xreader": ("--page-index={page}", "{file}"),
    "mupdf": ("{file}", "{page}"),
}
"""PDF viewers that accept a page, in order of preference."""

_OPENERS = ("xdg-open", "open", "wslview")
_EDITORS = ("sensible-editor", "vim", "vi", "nano", "emacs")


def edit(file: Path, line: int) -> None:
    """Open a file in the editor of $VISUAL or $EDITOR, and wait for it.

    Raises:
        RetrievalError: there is no editor, or it cannot be started, or it failed.
    """
    named = next((name for name in ("VISUAL", "EDITOR") if os.environ.get(name, "").strip()), None)
    given = _installed(_EDITORS) if named is None else os.environ[named]
    if given is None:
        raise RetrievalError(
            "there is no editor; name one in $EDITOR, such as EDITOR='code --wait'"
        )
    try:
        command = shlex.split(given)
    except ValueError as error:
        raise RetrievalError(f"${named} cannot be read ({error}): {given!r}") from None
    name = Path(command[0]).stem.lower()
    told = next((told for names, told in _LINE_ARGUMENTS.items() if name in names), None)
    _run([*command, *_filled(told or ("+{line}", "{file}"), file, line=line)])


def view(file: Path, page: int | None) -> None:
    """Open a file in the desktop's program for it; a PDF on its page, if a viewer supports that.

    Raises:
        RetrievalError: there is no such program, or it cannot be started, or it failed.
    """
    viewer = _installed(list(_PAGE_ARGUMENTS)) if page and file.suffix.lower() == ".pdf" else None
    if viewer:
        _run([viewer, *_filled(_PAGE_ARGUMENTS[viewer], file, page=page)])
        return
    opener = _installed(_OPENERS)
    if opener is None:
        raise RetrievalError(f"no program was found to open {file}; open it yourself")
    _run([opener, str(file)])


def _filled(arguments: Sequence[str], file: Path, **numbers: object) -> list[str]:
    return [argument.format(file=file, **numbers) for argument in arguments]


def _installed(names: Sequence[str]) -> str | None:
    return next((name for name in names if shutil.which(name)), None)


def _run(command: Sequence[str]) -> None:
    sys.stdout.flush()
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        why = error.strerror or error
        raise RetrievalError(f"{command[0]} cannot be started ({why})") from None
    if code:
        raise RetrievalError(f"{command[0]} ended with exit code {code}")
