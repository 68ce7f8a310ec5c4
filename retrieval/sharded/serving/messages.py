"""What a router says to a replica."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.indexes import LexicalTotals
from retrieval.sharded.asking import Arguments
from retrieval.sharded.manifest import ShardRecord
from retrieval.store import Settings


@dataclass(frozen=True, slots=True)
class Load:
    """A shard at a generation that a replica is to hold.

    Attributes:
        generation: its number.
        shard: the number of the shard.
        record: of the shard.
        collection: the totals of the collection.
        settings: of the collection.
        files: of all its shards, whose copies on the disk stay.
    """

    generation: int
    shard: int
    record: ShardRecord
    collection: LexicalTotals
    settings: Settings
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Keep:
    """The generations that a router asks for; what no router does, a replica lets go of.

    Attributes:
        router: who speaks.
        generations: their numbers.
    """

    router: str
    generations: frozenset[int]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the shards that a replica holds of a generation.

    It is answered by what each of them says, by its number: a value, or the error that it raised.

    Attributes:
        generation: its number.
        method: one of `METHODS`.
        arguments: what it takes, of every shard that is held; or of some shards, by their numbers.
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
"""The methods of `OpenShard` that can be asked for."""
