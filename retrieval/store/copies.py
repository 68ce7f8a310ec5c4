"""Finding passages with the same text, by a hash that is stored with each."""

from __future__ import annotations

import hashlib


def text_hash(text: str) -> int:
    """64 bits of BLAKE2b over a text's words, as a signed integer for SQLite.

    White space is folded, so that different line breaks do not make a different text. Among a
    million different texts two have the same hash with a probability of 3 in 100 million.
    """
    words = " ".join(text.split()).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(words, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


BLANK = text_hash("")
"""The hash of passages without words, which are not copies of each other."""
