"""Which shard a document belongs to."""

from __future__ import annotations

import hashlib


def shard_of(id: str, shards: int) -> int:
    """The number of the shard for the document with this id.

    The first eight bytes of its SHA-256, big-endian, modulo the number of shards: the rule
    `sha256` of a manifest.
    """
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % shards
