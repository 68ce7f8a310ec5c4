"""Opening files from untrusted places: regular files only, so that none can block the program.

Opening a pipe in place of a file would wait for a writer; a device could be read without end.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: str | Path, *, follow: bool = True) -> BufferedReader:
    """A regular file, open for reading.

    Args:
        path: the file.
        follow: whether it may be a link to one.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be opened, or is not a regular file; `strerror` says so.
    """

    def opener(name: str, flags: int) -> int:
        flags |= os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
        descriptor = os.open(name, flags)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(0, "not a regular file", name)
        return descriptor

    return open(path, "rb", opener=opener)


def read_regular(path: str | Path, *, max_bytes: int, follow: bool = True) -> bytes:
    """The bytes of a regular file.

    Args:
        path: the file.
        max_bytes: the most that it may have.
        follow: whether it may be a link to a regular file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read, is not a regular file or is too large; `strerror` says so.
    """
    with open_regular(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise OSError(0, f"has {size} bytes, and the limit is {max_bytes}", str(path))
        return file.read(max_bytes)
