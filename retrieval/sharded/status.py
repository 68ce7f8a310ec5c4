"""The status of a collection in shards, from its manifest."""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.sharded.manifest import Manifest


@dataclass(frozen=True, slots=True)
class ShardedStatus:
    """What a collection contains, at one generation.

    Attributes:
        url: its URL.
        generation: the number of the generation.
        shards: number of shards, empty ones included.
        documents: number of documents.
        passages: number of passages that can be found.
        deleted_passages: number of deleted passages that BM25 still counts, until `compact`; its
            statistics deviate by that much.
        bytes: size of the files of all shards.
        documents_by_shard: number of documents of each shard.
        encoder: the encoder's name.
        encoder_source: what the encoder is loaded from; None for the embedded model.
        fingerprint: the encoder's fingerprint.
        dense_dim: D of the dense vectors, or None.
        token_dim: d of the token vectors, or None.
        passage_tokens: maximum length of passages, in tokens.
        codec: whether token vectors are compressed, by a codec that all shards share.
        made: when the generation was made, seconds since 1970.
    """

    url: str
    generation: int
    shards: int
    documents: int
    passages: int
    deleted_passages: int
    bytes: int
    documents_by_shard: tuple[int, ...]
    encoder: str
    encoder_source: str | None
    fingerprint: str
    dense_dim: int | None
    token_dim: int | None
    passage_tokens: int
    codec: bool
    made: float


def status_of(url: str, manifest: Manifest) -> ShardedStatus:
    """The status of a collection from its manifest."""
    settings = manifest.settings
    return ShardedStatus(
        url=url,
        generation=manifest.generation,
        shards=len(manifest.shards),
        documents=manifest.documents,
        passages=manifest.passages,
        deleted_passages=manifest.lexical.counted - manifest.lexical.passages,
        bytes=sum(shard.bytes for shard in manifest.shards),
        documents_by_shard=tuple(shard.documents for shard in manifest.shards),
        encoder=settings.encoder_name,
        encoder_source=settings.encoder_source,
        fingerprint=settings.fingerprint,
        dense_dim=settings.dense_dim,
        token_dim=settings.token_dim,
        passage_tokens=settings.passage_tokens,
        codec=manifest.codec is not None,
        made=manifest.made,
    )
