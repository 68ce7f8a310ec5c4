"""What a search asks of what it searches: one snapshot, or all shards of a collection."""

from __future__ import annotations

from collections.abc import Sequence
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
"""What `Searched.allowed` gives: a mask of one snapshot, a filter that shards are told.

It says which passages may be found, and is handed back to the `Searched` that gave it.
"""

Ids = NDArray[np.int64]

Mark = tuple[int, str]
"""A passage's id and a query."""

COPIES = 10
"""Of so many copies of a passage a hit says where they are."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a document is compared with others by.

    Attributes:
        dense: the sum of the dense vectors of its passages, f32 [D], or None.
        tokens: the token vectors of its first passage that has such, f32 [t, d], or None.
    """

    dense: NDArray[np.float32] | None
    tokens: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Copies:
    """Where one text stands.

    Attributes:
        count: in how many passages.
        first: the first `COPIES` + 1 of them, by document id and ordinal.
    """

    count: int
    first: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of passages.

    Attributes:
        hits: by id, without what depends on a query.
        spans: for each pair of a passage and a query where the passage holds the query's words.
        copies: where the texts with certain hashes stand, by hash, if they do.
    """

    hits: dict[int, Hit]
    spans: Sequence[tuple[tuple[int, int], ...]]
    copies: dict[int, Copies]


class Searched(Protocol[Allowed]):
    """One generation of what is searched.

    Ids of passages and numbers of documents mean something here only.
    """

    @property
    def settings(self) -> Settings:
        """How it was built."""

    @property
    def passages(self) -> int:
        """How many passages can be found."""

    @property
    def generation(self) -> int:
        """The number of the commit that made it."""

    def guarded(self) -> AbstractContextManager[None]:
        """Give an unforeseen error the name of the damaged file that explains it, if one does."""

    def allowed(self, where: Filter | None) -> Allowed:
        """Which passages may be found."""

    def gist(self, query: str) -> str:
        """What an encoder should read of a query."""

    def counted(self, queries: Sequence[Query]) -> list[Query]:
        """The queries with what lexical search has to know of their words."""

    def ideal(self, query: Query) -> float:
        """What all the words of a query are worth together in lexical search."""

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
        """What hybrid search fuses for each query, see `proposing.propose`."""

    def scores(self, retriever: Single, query: Query, ids: Ids) -> NDArray[np.float32]:
        """One retriever's own scores of passages, f32 [n]; -inf for one that it cannot score."""

    def fresh_scores(
        self, encoder: Encoder, queries: Sequence[NDArray[np.float32]], candidates: Sequence[Ids]
    ) -> list[NDArray[np.float32]]:
        """Scores by vectors fresh from the encoder, see `rescoring.scores`."""

    def order(self, ids: Ids) -> Ids:
        """A number for each of these passages, i64 [n]: they rise by document id, then ordinal."""

    def text_hashes(self, ids: Ids) -> Ids:
        """The hash of each passage's text, i64 [n].

        Raises:
            IndexCorrupted: a passage is not stored.
        """

    def owners(self, ids: Ids) -> Ids:
        """The number of each passage's document, i64 [n]; raises as `text_hashes` does."""

    def mean_vectors(self, ids: Ids) -> NDArray[np.float32]:
        """The mean of each passage's dense vectors, of unit length, f32 [n, D]; zeros for none."""

    def stored(self, ids: Sequence[int]) -> dict[int, Hit]:
        """These passages as hits without what depends on a query; raises as `text_hashes` does."""

    def shown(
        self, ids: Sequence[int], marks: Sequence[Mark], hashes: Ids, allowed: Allowed
    ) -> Shown:
        """What is shown of these passages; raises as `text_hashes` does.

        Args:
            ids: of the passages.
            marks: some of them, each with a query whose words are looked for in it.
            hashes: of texts, i64 [m]: where they stand among the passages allowed is told.
            allowed: what `allowed` gave.
        """

    def likeness(self, id: str) -> Likeness | None:
        """What a document is compared with others by; None if there is no such document."""

    def explain(
        self, encoder: Encoder, query: Query, hits: Sequence[Hit]
    ) -> list[tuple[TokenMatch, ...]]:
        """For each hit what each token of the query matched best, see `explain.explain`.

        Raises:
            InputError: a hit's passage is not there any more.
        """
