"""Texts as an index stores them: compressed by zlib where that saves something.

SQLite tells the two apart by type: a text stored as it is is TEXT, a compressed one a BLOB. Each is
    compressed by itself, so that reading a hit decompresses no other text.
"""

from __future__ import annotations

import zlib

_MOST = 64
"""Highest compression ratio: a text that would compress further is stored as it is, so that reading
somebody else's database takes at most this many times its size in memory."""


def packed(text: str) -> str | bytes:
    """The text in stored form."""
    plain = text.encode("utf-8")
    compressed = zlib.compress(plain)
    return compressed if len(compressed) < len(plain) <= _MOST * len(compressed) else text


def unpacked(stored: object) -> str | None:
    """The text that was stored; None if `packed` cannot have made this."""
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
