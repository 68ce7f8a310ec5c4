"""Texts as an index keeps them: compressed by zlib where that saves something.

A value of SQLite has a type of its own: a text that is kept as it is is TEXT, a compressed one a
BLOB. Each is compressed by itself, so that a hit reads no other text than its own.
"""

from __future__ import annotations

import zlib

_MOST = 64
"""A text that would shrink to less than so small a part is kept as it is: what is read of a
database that somebody else made fills no more than so many times its size."""


def packed(text: str) -> str | bytes:
    """The text as it is stored."""
    plain = text.encode("utf-8")
    compressed = zlib.compress(plain)
    return compressed if len(compressed) < len(plain) <= _MOST * len(compressed) else text


def unpacked(stored: object) -> str | None:
    """The text that was stored; None if this is nothing that `packed` makes."""
    if isinstance(stored, str):
        return stored
    if not isinstance(stored, bytes):
        return None
    try:
        reading = zlib.decompressobj()
        plain = reading.decompress(stored, _MOST * len(stored))
        return plain.decode("utf-8") if reading.eof else None
    except (zlib.error, UnicodeDecodeError):
        return None
