"""All shards of a collection as what a search asks: the ranking is that of one index.

Every shard proposes its retrievers' best with their raw scores; the best of all go into one fusion.
Lexical search needs to know of each word how many passages of the whole collection hold it: that is
asked of all shards first.

An id of a passage is its id in its shard, and above that the number of the shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.fusing import gathered
from retrieval.index.reading.retrievers import Mask
from retrieval.index.reading.runs import Proposal, Query, Run
from retrieval.index.reading.searched import COPIES, Copies, Ids
from retrieval.index.reading.searched_snapshot import SearchedSnapshot
from retrieval.indexes import Counts, Filter, LexicalTotals, parse_query, top_k
from retrieval.indexes import gist as gist_of
from retrieval.store import Settings
from retrieval.types import Encoder, Hit, Hybrid

_SHARD_BITS = 40

Answer = TypeVar("Answer")

Masks = tuple[Mask, ...]
"""For each shard which of its passages may be found."""


class SearchedShards:
    """The shards of one generation behind the protocol `Searched`."""

    def __init__(
        self,
        shards: Sequence[SearchedSnapshot],
        *,
        settings: Settings,
        lexical: LexicalTotals,
        generation: int,
    ) -> None:
        """Take the shards.

        Args:
            shards: opened as parts of the collection.
            settings: of all of them.
            lexical: the totals of the collection.
            generation: the manifest's.
        """
        self._shards = shards
        self._lexical = lexical
        self.settings = settings
        self.generation = generation
        self._all: Masks = (None,) * len(shards)
        self.passages = sum(shard.passages for shard in shards)

    def guarded(self) -> AbstractContextManager[None]:
        """As the protocol says: every shard guards what it does itself."""
        return nullcontext()

    def allowed(self, where: Filter | None) -> Masks:
        """As the protocol says."""
        return tuple(self._each(lambda shard, _: shard.allowed(where), self._all))

    def gist(self, query: str) -> str:
        """As the protocol says."""

        def best(line: str) -> float:
            counts = self._counts([line])[0]
            return max(self._each(lambda shard, _: shard.best(line, counts), self._all))

        return gist_of(query, best)

    def counted(self, queries: Sequence[Query]) -> list[Query]:
        """As the protocol says: with what all shards together hold of their words."""
        counts = self._counts([query.text for query in queries])
        return [replace(query, counts=own) for query, own in zip(queries, counts, strict=True)]

    def ideal(self, query: Query) -> float:
        """As the protocol says."""
        parsed = parse_query(query.text)
        assert query.counts is not None
        return self._lexical.statistics(parsed, query.counts).ideal(parsed)

    def find(self, retriever: str, queries: Sequence[Query], k: int, allowed: Masks) -> list[Run]:
        """As the protocol says."""
        found = [
            [Run(_global(run.ids, number), run.scores) for run in runs]
            for number, runs in enumerate(
                self._each(lambda shard, mask: shard.find(retriever, queries, k, mask), allowed)
            )
        ]
        return [
            Run(
                *top_k(
                    np.concatenate([run.ids for run in runs]),
                    np.concatenate([run.scores for run in runs]),
                    k,
                    self.order,
                )
            )
            for runs in zip(*found, strict=True)
        ]

    def propose(
        self,
        queries: Sequence[Query],
        depth: int,
        names: Sequence[str],
        hybrid: Hybrid,
        allowed: Masks,
    ) -> list[Proposal]:
        """As the protocol says."""
        found = [
            [replace(proposal, ids=_global(proposal.ids, number)) for proposal in proposals]
            for number, proposals in enumerate(
                self._each(
                    lambda shard, mask: shard.propose(queries, depth, names, hybrid, mask), allowed
                )
            )
        ]
        return [gathered(parts, depth, self.order) for parts in zip(*found, strict=True)]

    def scores(self, retriever: str, query: Query, ids: Ids) -> NDArray[np.float32]:
        """As the protocol says."""
        scores = np.empty(len(ids), np.float32)
        for _, places, own in self._of(ids, lambda shard, at: shard.scores(retriever, query, at)):
            scores[places] = own
        return scores

    def fresh_scores(
        self, encoder: Encoder, queries: Sequence[NDArray[np.float32]], candidates: Sequence[Ids]
    ) -> list[NDArray[np.float32]]:
        """As the protocol says."""
        found = [np.full(len(ids), -np.inf, np.float32) for ids in candidates]
        for number, shard in enumerate(self._shards):
            places = [np.flatnonzero(ids >> _SHARD_BITS == number) for ids in candidates]
            own = [_local(ids[at]) for ids, at in zip(candidates, places, strict=True)]
            if any(map(len, own)):
                with shard.guarded():
                    made = shard.fresh_scores(encoder, queries, own)
                for scores, at, fresh in zip(found, places, made, strict=True):
                    scores[at] = fresh
        return found

    def order(self, ids: Ids) -> Ids:
        """As the protocol says."""
        places: list[tuple[str, int]] = [("", 0)] * len(ids)
        for _, at, own in self._of(ids, lambda shard, some: shard.places(some)):
            for place, found in zip(at.tolist(), own, strict=True):
                places[place] = found
        ranks = {place: rank for rank, place in enumerate(sorted(places))}
        return np.array([ranks[place] for place in places], np.int64)

    def text_hashes(self, ids: Ids) -> Ids:
        """As the protocol says."""
        found = np.empty(len(ids), np.int64)
        for _, places, own in self._of(ids, lambda shard, at: shard.text_hashes(at)):
            found[places] = own
        return found

    def owners(self, ids: Ids) -> Ids:
        """As the protocol says."""
        found = np.empty(len(ids), np.int64)
        for number, places, own in self._of(ids, lambda shard, at: shard.owners(at)):
            found[places] = _global(own, number)
        return found

    def mean_vectors(self, ids: Ids) -> NDArray[np.float32]:
        """As the protocol says."""
        found = np.zeros((len(ids), self.settings.dense_dim or 0), np.float32)
        for _, places, own in self._of(ids, lambda shard, at: shard.mean_vectors(at)):
            found[places] = own
        return found

    def stored(self, ids: Sequence[int]) -> dict[int, Hit]:
        """As the protocol says."""
        wanted = np.array(ids, np.int64)
        found: dict[int, Hit] = {}
        for number, _, hits in self._of(wanted, lambda shard, at: shard.stored(at.tolist())):
            found |= {(number << _SHARD_BITS) + id: hit for id, hit in hits.items()}
        return found

    def copies(self, hashes: Ids, allowed: Masks) -> dict[int, Copies]:
        """As the protocol says."""
        found: dict[int, Copies] = {}
        for several in self._each(lambda shard, mask: shard.copies(hashes, mask), allowed):
            for hash, one in several.items():
                before = found.get(hash, Copies(0, ()))
                first = sorted(
                    (*before.first, *one.first), key=lambda p: (p.document_id, p.ordinal)
                )
                found[hash] = Copies(before.count + one.count, tuple(first[: COPIES + 1]))
        return found

    def _counts(self, queries: Sequence[str]) -> list[Counts]:
        """How many passages of the collection hold each term of each query."""
        asked = self._each(lambda shard, _: shard.counts(queries), self._all)
        every = [
            [own for own in several if own is not None] for several in zip(*asked, strict=True)
        ]
        return [np.sum(several, axis=0) for several in every]

    def _each(self, ask: Callable[[SearchedSnapshot, Mask], Answer], masks: Masks) -> list[Answer]:
        """What every shard answers, each with its own passages that may be found."""
        answers = []
        for shard, mask in zip(self._shards, masks, strict=True):
            with shard.guarded():
                answers.append(ask(shard, mask))
        return answers

    def _of(
        self, ids: Ids, ask: Callable[[SearchedSnapshot, Ids], Answer]
    ) -> Iterator[tuple[int, Ids, Answer]]:
        """Of each shard that holds some of these passages its number, their places, its answer."""
        numbers = ids >> _SHARD_BITS
        for number in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == number)
            shard = self._shards[number]
            with shard.guarded():
                answer = ask(shard, _local(ids[places]))
            yield number, places, answer


def _global(ids: Ids, shard: int) -> Ids:
    return ids + (np.int64(shard) << _SHARD_BITS)


def _local(ids: Ids) -> Ids:
    return ids & ((np.int64(1) << _SHARD_BITS) - 1)
