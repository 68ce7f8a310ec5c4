"""The documents on which a shard trains the collection's codec, before it writes the others.

A codec that is trained in the middle of a build has to compress again what an earlier one stored,
and vectors that were rounded twice rank otherwise than those of the other shards. So a fair sample
of the documents is written first, and trains a codec for as many token vectors as all of them have.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from retrieval.sharded.spool import SpoolSection

SAMPLE_BYTES = 1 << 25
"""Bytes of spooled documents: some 6 million tokens, where 2.6 million are enough for the 65,536
centroids of the largest codec."""
_WHOLE = 1 << 32


class TrainingSample:
    """Chooses a fair sample of a shard's documents by hashes of their ids.

    Attributes:
        share: the share of documents that are in the sample; 1 is all of them.
    """

    def __init__(self, sections: Iterable[SpoolSection]) -> None:
        """Choose the share.

        Args:
            sections: where the shard's documents are.
        """
        size = sum(section.size for section in sections)
        self.share = min(1.0, SAMPLE_BYTES / size) if size else 1.0

    def __contains__(self, id: str) -> bool:
        # Another hash than the one by which documents are assigned to shards.
        digest = blake2b(id.encode("utf-8", "surrogatepass"), digest_size=4, person=b"sample")
        return int.from_bytes(digest.digest()) < self.share * _WHOLE
