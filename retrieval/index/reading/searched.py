"""What can be searched: one snapshot, or all shards of a collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.runs import Proposal, Query, Run
from retrieval.indexes import Filter
from retrieval.store import Settings
from retrieval.types import Encoder, Hit, Hybrid, Passage, Single, TokenMatch

Allowed = TypeVar("Allowed")
"""Which passages may be found: an opaque value from `Searched.allowed`.

It is a mask of one snapshot, or a filter that is sent to shards, and is passed back to the
`Searched` that it came from.
"""

Ids = NDArray[np.int64]

Mark = tuple[int, str]
"""A passage's id and a query."""

COPIES = 10
"""Maximum number of copies that a hit lists."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """The vectors by which a document is compared with others.

    Attributes:
        dense: the sum of the dense vectors of its passages, f32 [D], or None.
        tokens: the token vectors of its first passage that has any, f32 [t, d], or None.
    """

    dense: NDArray[np.float32] | None
    tokens: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Copies:
    """The passages with one text.

    Attributes:
        count: number of passages.
        first: the first `COPIES` + 1 of them, by document id and ordinal.
    """

    count: int
    first: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """The query-independent and highlighted parts of hits.

    Attributes:
        hits: hits by passage id, without their query-dependent parts.
        spans: for each pair of passage and query, where the passage has the query's words.
        copies: the passages with each text, by the text's hash, if there are any.
    """

    hits: dict[int, Hit]
    spans: Sequence[tuple[tuple[int, int], ...]]
    copies: dict[int, Copies]


class Searched(Protocol[Allowed]):
    """One generation of an index or collection that is searched.

    Ids of passages and numbers of documents are valid only within it.
    """

    @property
    def settings(self) -> Settings:
        """The settings that it was built with."""

    @property
    def passages(self) -> int:
        """How many passages can be found."""

    @property
    def generation(self) -> int:
        """The number of the commit that made it."""

    def guarded(self) -> AbstractContextManager[None]:
        """Turn an unexpected error into one that names a damaged file, if there is one."""

    def allowed(self, where: Filter | None) -> Allowed:
        """Which passages may be found."""

    def encoder_query(self, query: str) -> str:
        """The part of a query that an encoder should read."""

    def counted(self, queries: Sequence[Query]) -> list[Query]:
        """The queries with the counts that lexical search needs."""

    def ideal(self, query: Query) -> float:
        """The lexical score of an ideal match of a query."""

    def find(
        self, retriever: Single, queries: Sequence[Query], k: int, allowed: Allowed
    ) -> list[Run]:
        """The k best of one retriever for each query, see `proposing.find`."""

    def propose(
        self,
        queries: Sequence[Query],
        depth: int,
        names: Sequence[Single],
        hybrid: Hybrid,
        allowed: Allowed,
    ) -> list[Proposal]:
        """The candidates of hybrid search for each query, see `proposing.propose`."""

    def scores(self, retriever: Single, query: Query, ids: Ids) -> NDArray[np.float32]:
        """One retriever's own scores of passages, f32 [n]; -inf where it cannot score."""

    def fresh_scores(
        self, encoder: Encoder, queries: Sequence[NDArray[np.float32]], candidates: Sequence[Ids]
    ) -> list[NDArray[np.float32]]:
        """Scores by newly encoded vectors, see `rescoring.scores`."""

    def order(self, ids: Ids) -> Ids:
        """A sort key for each of these passages, i64 [n]: by document id, then ordinal."""

    def text_hashes(self, ids: Ids) -> Ids:
        """The hash of each passage's text, i64 [n].

        Raises:
            IndexCorrupted: a passage is not stored.
        """

    def owners(self, ids: Ids) -> Ids:
        """The number of each passage's document, i64 [n]; raises like `text_hashes`."""

    def mean_vectors(self, ids: Ids) -> NDArray[np.float32]:
        """The mean of each passage's dense vectors, of unit length, f32 [n, D]; zeros for none."""

    def stored(self, ids: Sequence[int]) -> dict[int, Hit]:
        """These passages as hits without query-dependent parts; raises like `text_hashes`."""

    def shown(
        self,
        ids: Sequence[int],
        marks: Sequence[Mark],
        hashes: Ids,
        allowed: Allowed,
        meanwhile: Callable[[], None] | None = None,
    ) -> Shown:
        """What is shown of these passages; raises like `text_hashes`.

        Args:
            ids: the passages' ids.
            marks: some of them, each with a query whose words are looked for in it.
            hashes: hashes of texts, i64 [m], whose copies among the allowed passages are wanted.
            allowed: the result of `allowed`.
            meanwhile: called once before the answer is there: work to do while waiting for it.
        """

    def likeness(self, id: str) -> Likeness | None:
        """The vectors to compare a document by; None if there is no such document."""

    def explain(
        self, encoder: Encoder, query: Query, hits: Sequence[Hit]
    ) -> list[tuple[TokenMatch, ...]]:
        """For each hit what each token of the query matched best, see `explain.explain`.

        Raises:
            InputError: a hit's passage no longer exists.
        """
