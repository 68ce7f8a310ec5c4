"""Messages from a router to a replica."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.indexes import LexicalTotals
from retrieval.sharded.asking import Arguments
from retrieval.sharded.manifest import ShardRecord
from retrieval.store import Settings


@dataclass(frozen=True, slots=True)
class Load:
    """A shard at a generation, for a replica to load.

    Attributes:
        generation: the number of the generation.
        shard: the number of the shard.
        record: the shard's record.
        collection: the totals of the collection.
        settings: the collection's settings.
        files: digests of all its shards' file lists, whose copies on disk are kept.
    """

    generation: int
    shard: int
    record: ShardRecord
    collection: LexicalTotals
    settings: Settings
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Keep:
    """The generations that a router uses; a replica unloads those that no router uses.

    Attributes:
        router: the router's identifier.
        generations: their numbers.
    """

    router: str
    generations: frozenset[int]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to the shards of a generation that a replica has loaded.

    The answer has, by number of the shard, a value or the error that it raised.

    Attributes:
        generation: the number of the generation.
        method: one of `METHODS`.
        arguments: the same arguments for all loaded shards, or arguments by shard number.
    """

    generation: int
    method: str
    arguments: Arguments | Mapping[int, Arguments]


METHODS = frozenset(
    {
        "best",
        "count",
        "counts",
        "described",
        "explain",
        "find",
        "fresh_scores",
        "get_many",
        "holds",
        "ids",
        "likeness",
        "listed",
        "mean_vectors",
        "metadata_keys",
        "passages",
        "propose",
        "scores",
        "shown",
        "stored",
        "values",
        "vectors",
    }
)
"""The methods of `OpenShard` that can be called."""
