"""Who may read an index: its owner alone, unless it is shared.

New files of an index take the rights of its database, as those that SQLite itself keeps beside it
do. So the file system remembers whether an index is shared, and `chmod` changes it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from retrieval.errors import StorageError
from retrieval.store.schema import DATABASE

PRIVATE = 0o600
"""The rights of the files of an index that nobody else may read."""

_READ, _READ_AND_WRITE = 0o444, 0o666


def rights_of(index: Path) -> int:
    """The rights of an index's files, as its database has them."""
    return (index / DATABASE).stat().st_mode & _READ_AND_WRITE


def give_rights(folder: Path, rights: int) -> None:
    """Give every file in and beneath a folder these rights, and folders those that go with them.

    Raises:
        OSError: some belong to somebody else.
    """
    for parent, folders, files in os.walk(folder):
        for name in (*files, *folders):
            _give(os.path.join(parent, name), rights)  # noqa: PTH118 - of each file of an index
    _give(folder, rights)


def set_shared(index: Path, *, shared: bool) -> None:
    """Let an index be read by all whom the process's umask lets read new files, or by its owner.

    Raises:
        StorageError: files of it belong to somebody else.
    """
    try:
        rights = _usual_rights(index) if shared else PRIVATE
        _give(index / DATABASE, rights)  # first: a writer takes the others' from it
        give_rights(index, rights)
    except OSError as error:
        raise StorageError(
            f"the rights of {error.filename or index} cannot be changed ({error.strerror}); "
            "its owner can"
        ) from error


def _usual_rights(folder: Path) -> int:
    """The rights that a new file in a folder gets."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        probe = Path(inside, "probe")
        probe.touch()
        return probe.stat().st_mode & _READ_AND_WRITE


def _give(path: Path | str, rights: int) -> None:
    try:
        held = os.lstat(path).st_mode
        if stat.S_ISDIR(held):
            wanted = rights | (rights & _READ) >> 2  # who may read a folder may enter it
        elif stat.S_ISREG(held):
            wanted = rights
        else:
            return
        if held & 0o777 != wanted:
            # The set-group bit of a folder that a group shares stays.
            Path(path).chmod(held & 0o7000 | wanted)
    except FileNotFoundError:  # a writer swept it
        pass
