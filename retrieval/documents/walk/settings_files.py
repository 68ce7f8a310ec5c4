"""Small files that steer a walk, read with care: they come with what is walked."""

from __future__ import annotations

from retrieval.files.regular import read_regular

MAX_BYTES = 512 * 1024
"""Files with patterns or settings beyond this many bytes are not read."""


def read_small(path: str, *, max_bytes: int = MAX_BYTES, follow: bool = True) -> bytes:
    """The bytes of a regular file, see `read_regular`.

    Args:
        path: the file.
        max_bytes: the most that it may have.
        follow: whether it may be a link to one.
    """
    return read_regular(path, max_bytes=max_bytes, follow=follow)
