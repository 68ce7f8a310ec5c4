"""Files that were packed by gzip, to a limit."""

from __future__ import annotations

import zlib

from retrieval.errors import DocumentError

MAX_UNPACKED = 1 << 29
"""Bytes; a packed file of more is refused: a few kilobytes can unpack to any size."""

_CHUNK = 1 << 16
_WITH_HEADER = 31
_GZIP = b"\x1f\x8b"


def unpacked(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of a file, unpacked if they are packed, and what was odd about that.

    Raises:
        DocumentError: they cannot be unpacked, or to too many.
    """
    if not data.startswith(_GZIP):
        return data, ()
    parts: list[bytes] = []
    size = at = 0
    inflating = zlib.decompressobj(_WITH_HEADER)
    why = "the file ends too early"
    try:
        while at < len(data):
            parts.append(inflating.decompress(data[at : at + _CHUNK]))
            at += _CHUNK
            size += len(parts[-1])
            if size > MAX_UNPACKED:
                raise DocumentError(
                    f"unpacks to more than {MAX_UNPACKED >> 20} MiB; split it, or unpack it"
                )
            if inflating.eof:
                at = min(at, len(data)) - len(inflating.unused_data)
                if not data.startswith(_GZIP, at):  # padding, or nothing
                    return b"".join(parts), ()
                inflating = zlib.decompressobj(_WITH_HEADER)
    except zlib.error as error:
        why = str(error)
    if not size:
        raise DocumentError(f"not gzip that can be unpacked ({why})")
    return b"".join(parts), (f"its gzip breaks off ({why}); what came before was read",)
