"""Small files that steer a walk, read with care: they come with what is walked."""

from __future__ import annotations

import os
import stat

MAX_BYTES = 512 * 1024
"""Files with patterns or settings beyond this many bytes are not read."""


def read_small(path: str, *, max_bytes: int = MAX_BYTES, follow: bool = True) -> bytes:
    """The bytes of a regular file.

    Args:
        path: the file.
        max_bytes: the most that it may have.
        follow: whether it may be a link to one.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read, is no regular file or is too large; `strerror` says so.
    """
    # A pipe would hold the walk up for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "no regular file", path)
        if status.st_size > max_bytes:
            raise OSError(0, f"has {status.st_size} bytes, and the limit is {max_bytes}", path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(max_bytes)
    finally:
        os.close(descriptor)
