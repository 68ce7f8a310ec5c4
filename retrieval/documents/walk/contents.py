"""A file's beginning, opened to see whether it is worth reading."""

from __future__ import annotations

import os

from retrieval.documents.decoding import HEAD_BYTES as BINARY_BYTES
from retrieval.documents.decoding import is_binary
from retrieval.documents.formats import format_of
from retrieval.documents.formats.languages import BINARY_EXTENSIONS, extension_of
from retrieval.documents.formats.table import named
from retrieval.documents.walk.left_out import Reason
from retrieval.documents.walk.machine import (
    HEAD_BYTES,
    TAIL_BYTES,
    needs_tail,
    reason_by_content,
)


def is_binary_by_name(name: str) -> bool:
    """Whether a file's name says that it holds no text, and no format reads such files."""
    if extension_of(name) not in BINARY_EXTENSIONS:
        return False
    format = named(name)
    return format is None or not format.binary


def is_archive_by_name(name: str) -> bool:
    """Whether a file's name says that it holds other files."""
    if extension_of(name) not in BINARY_EXTENSIONS:
        return False
    format = named(name)
    return format is not None and format.archive


def reason_of(path: str, name: str, *, judged: bool) -> Reason | None:
    """Why the file is not read, by its content; None if it is.

    Args:
        path: the file.
        name: its name.
        judged: whether what a program made for programs is left out, too.

    Raises:
        OSError: it cannot be opened or read.
    """
    head, tail = _ends(path, HEAD_BYTES if judged else BINARY_BYTES, judged and needs_tail(name))
    by_name = named(name)
    if by_name is not None and by_name.binary:
        return None  # whatever it looks like: a PDF file may be ASCII all through
    if is_binary(head[:BINARY_BYTES]):
        return None if format_of(name, head[:BINARY_BYTES]).binary else Reason.BINARY
    reason = reason_by_content(name, head, tail) if judged else None
    if reason is Reason.ENCODED and format_of(name, head[:BINARY_BYTES]).binary:
        return None  # a format that decodes it: mail without an extension
    return reason


def is_machine_made(path: str) -> bool:
    """Whether the content of the file at a path is what a program made for programs."""
    try:
        head, tail = _ends(path, HEAD_BYTES, True)
    except OSError:
        return False
    return reason_by_content(os.path.basename(path), head, tail) is not None


def _ends(path: str, head_bytes: int, with_tail: bool) -> tuple[bytes, bytes]:
    """The first bytes of a file, and, if it has more, its last ones."""
    # A pipe that took the file's place a moment ago must not hold the walk up.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        head = os.read(descriptor, head_bytes)
        if not with_tail or len(head) < head_bytes:
            return head, b""
        size = os.fstat(descriptor).st_size
        return head, os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    finally:
        os.close(descriptor)
