"""Who may read an index: only its owner, unless it is shared.

New files of an index get the permissions of its database, as SQLite's own files beside it do. So
the file system remembers whether an index is shared, and `chmod` changes it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from retrieval.errors import StorageError
from retrieval.store.schema import DATABASE

PRIVATE = 0o600
"""The permissions of files of an index that only its owner may read."""

_READ, _READ_AND_WRITE = 0o444, 0o666


def rights_of(index: Path) -> int:
    """The permissions of an index's files, which are those of its database."""
    return (index / DATABASE).stat().st_mode & _READ_AND_WRITE


def give_rights(folder: Path, rights: int) -> None:
    """Set the permissions of every file below a folder, and matching ones for folders.

    Raises:
        OSError: some files belong to another user.
    """
    for parent, folders, files in os.walk(folder):
        for name in (*files, *folders):
            _give(os.path.join(parent, name), rights)  # noqa: PTH118 - faster, for many files
    _give(folder, rights)


def set_shared(index: Path, *, shared: bool) -> None:
    """Make an index readable by everyone whom the umask allows, or only by its owner.

    Raises:
        StorageError: some of its files belong to another user.
    """
    try:
        rights = _usual_rights(index) if shared else PRIVATE
        _give(index / DATABASE, rights)  # first, as a writer copies its permissions to other files
        give_rights(index, rights)
    except OSError as error:
        raise StorageError(
            f"the permissions of {error.filename or index} cannot be changed ({error.strerror}); "
            "its owner can"
        ) from error


def _usual_rights(folder: Path) -> int:
    """The permissions that a new file in a folder gets."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        probe = Path(inside, "probe")
        probe.touch()
        return probe.stat().st_mode & _READ_AND_WRITE


def _give(path: Path | str, rights: int) -> None:
    try:
        held = os.lstat(path).st_mode
        if stat.S_ISDIR(held):
            wanted = rights | (rights & _READ) >> 2  # a folder that may be read may be entered
        elif stat.S_ISREG(held):
            wanted = rights
        else:
            return
        if held & 0o777 != wanted:
            # Keep the set-group-id bit of a folder that a group shares.
            Path(path).chmod(held & 0o7000 | wanted)
    except FileNotFoundError:  # removed by a writer
        pass
