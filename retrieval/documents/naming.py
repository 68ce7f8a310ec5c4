"""Names of files: as ids, which are stored, and as words in a message."""

# ruff: noqa: PTH100 (links are to stay, and `Path.absolute` leaves `..` as it is)

from __future__ import annotations

import os
import re
from pathlib import Path

_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")
"""A byte that is not UTF-8, as an id has it."""


def source_id(path: Path, base: Path) -> str:
    """The id of a file or folder: its posix path relative to `base`, `.` for `base` itself.

    Links in `path` below `base` stay as they are named; bytes that are not UTF-8 become `\\xNN`.
    """
    return _storable(relative_path(path, base))


def relative_path(path: Path, base: Path) -> str:
    """As `source_id`, and from `base` it leads back to the file whatever its name."""
    named, top = os.path.abspath(path), os.path.abspath(base)
    if f"{named}/".startswith(f"{top.rstrip('/')}/"):
        return os.path.relpath(named, top)
    return os.path.relpath(os.path.realpath(named), os.path.realpath(top))


def file_named(base: Path, id: str) -> Path:
    """Where the file with this id is; `\\xNN` are bytes where no file has the name as it is."""
    path = base / id
    if "\\x" in id and not os.path.lexists(path):
        name = _ESCAPED.sub(lambda byte: bytes([int(byte[1], 16)]), os.fsencode(id))
        return base / os.fsdecode(name)
    return path


def child_id(folder: str, name: str) -> str:
    """The id of an entry of a folder, by the folder's own."""
    name = name if name.isascii() else _storable(name)
    return name if folder == "." else f"{folder}/{name}"


def one_line(text: str) -> str:
    """A name as it can stand in a message: without control characters."""
    return text if text.isprintable() else repr(text)[1:-1]


def is_storable(name: str) -> bool:
    """Whether a name can be an id as it is: its bytes are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _storable(name: str) -> str:
    return name if is_storable(name) else os.fsencode(name).decode("utf-8", "backslashreplace")
