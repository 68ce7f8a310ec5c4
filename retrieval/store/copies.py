"""Passages of the same text, told by a number that is stored with each."""

from __future__ import annotations

import hashlib


def text_hash(text: str) -> int:
    """64 bits of BLAKE2b over a text's words, signed as SQLite keeps them.

    White space is folded, so that a line that was broken elsewhere is the same text. Among a
    million different texts two have one hash with a probability of 3 in 100 million.
    """
    words = " ".join(text.split()).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(words, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


BLANK = text_hash("")
"""Of a passage without words: such are not copies of each other."""
