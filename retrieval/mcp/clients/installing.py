"""Computing and making a change in a program's configuration."""

from __future__ import annotations

import difflib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from retrieval.errors import InputError, RetrievalError
from retrieval.files.whole import replacing
from retrieval.mcp.clients import jsonc, toml
from retrieval.mcp.clients.forms import CLIENTS, Client


@dataclass(frozen=True, slots=True)
class Change:
    """A file's present and new contents.

    Attributes:
        file: the configuration; a link is followed.
        before: its present text; None if it does not exist.
        after: its new text.
    """

    file: Path
    before: str | None
    after: str

    @property
    def changes(self) -> bool:
        """Whether anything has to be written."""
        return self.after != (self.before or "")

    @property
    def diff(self) -> str:
        """The lines that change, in the form of `diff -u`."""
        lines = difflib.unified_diff(
            (self.before or "").splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            "/dev/null" if self.before is None else str(self.file),
            str(self.file),
            n=2,
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)

    def write(self) -> None:
        """Write the file as a whole, keeping its permissions.

        Raises:
            InputError: it is not any more as it was.
            RetrievalError: it cannot be written.
        """
        try:
            if _read(self.file) != self.before:
                raise InputError(f"{self.file} was changed meanwhile; run the command again")
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.file) as file:
                if self.before is not None:
                    os.fchmod(file.fileno(), stat.S_IMODE(self.file.stat().st_mode))
                file.write(self.after.encode("utf-8"))
        except OSError as error:
            why = error.strerror or error
            raise RetrievalError(f"{self.file} cannot be written: {why}") from None


def installation(name: str, entry: str, arguments: Sequence[str], project: Path | None) -> Change:
    """The change that adds the server to a program's configuration.

    Args:
        name: the program's name.
        entry: the server's name in the configuration.
        arguments: the arguments of `retrieval mcp`.
        project: the folder of a project; None is the user's own configuration.

    Raises:
        InputError: there is no such program, or its configuration is no text.
        RetrievalError: its configuration cannot be read.
    """
    client = _client(name)
    command = [*_program(shared=project is not None), "mcp", *arguments]
    if project is not None and client.workspace is not None and "--index" not in arguments:
        command += ["--index", f"{client.workspace}/.retrieval"]
    value = dict(client.entry(command))
    return _change(client, project, entry, lambda form, *given: form.set_value(*given, value))


def removal(name: str, entry: str, project: Path | None) -> Change:
    """The change that removes the server again; raises like `installation`."""
    return _change(_client(name), project, entry, lambda form, *given: form.remove(*given))


def _change(client: Client, project: Path | None, entry: str, edit: Callable[..., str]) -> Change:
    file = client.file(project).resolve()
    before = _read(file)
    form = toml if file.suffix == ".toml" else jsonc
    try:
        text = before or ""
        path = next(
            (path for path in client.table if _is_there(form, text, path)), client.table[-1]
        )
        return Change(file, before, edit(form, text, [*path, entry]))
    except InputError as error:
        raise InputError(f"{file} cannot be edited: {error}; fix it first") from None


def _is_there(form: ModuleType, text: str, path: Sequence[str]) -> bool:
    return isinstance(form.get(text, path), dict)


def _client(name: str) -> Client:
    if name not in CLIENTS:
        raise InputError(f"{name!r} is not a known program; choose from {', '.join(CLIENTS)}")
    return CLIENTS[name]


def _program(*, shared: bool) -> list[str]:
    """The command for this program: by name if the project is shared, else by its path."""
    if shared:
        return ["retrieval"]
    beside = Path(sys.executable).parent / "retrieval"
    found = str(beside) if beside.is_file() else shutil.which("retrieval")
    return [found] if found else [sys.executable, "-m", "retrieval"]


def _read(file: Path) -> str | None:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8; save it as UTF-8 first") from None
    except OSError as error:
        raise RetrievalError(f"{file} cannot be read: {error.strerror or error}") from None
