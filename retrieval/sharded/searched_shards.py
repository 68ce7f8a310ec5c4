"""All shards of a collection as something to search, with the ranking of a single index.

Every shard proposes its retrievers' best passages with raw scores, packed; the best of all are
fused once. Each shard is first asked for a fair share of them, and for all only if what it holds
back could be among them. Lexical search needs to know, for each word, how many passages of the
whole collection contain it: all shards are asked for that first, once per word and generation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.explain import gone
from retrieval.index.reading.fusing import best_of
from retrieval.index.reading.runs import Proposal, Query, Run
from retrieval.index.reading.searched import COPIES, Copies, Ids, Likeness, Mark, Shown
from retrieval.indexes import (
    FIELDS,
    Counts,
    Filter,
    LexicalTotals,
    encoder_query,
    parse_query,
    top_k,
)
from retrieval.sharded.asking import Arguments, Shards
from retrieval.sharded.described import Known, worth_describing
from retrieval.sharded.known_counts import KnownCounts
from retrieval.sharded.open_shard import ProposedHere, ShownHere
from retrieval.sharded.packed import LOCAL, SHARD_BITS, Packed, Proposed, fair_share, unpack
from retrieval.sharded.partition import shard_of
from retrieval.store import Settings
from retrieval.types import Encoder, Hit, Hybrid, Single, TokenMatch

Allowed = Filter | None

_UNASKED_SHARDS, _UNASKED_QUERIES = 32, 4
"""Up to so many shards, and queries, shards describe all their proposals at once, which saves a
round of requests. With more shards, most have none of the few passages that have to be described,
and are not asked."""


class SearchedShards:
    """Implements `Searched` for the shards of one generation, for one search at a time."""

    def __init__(
        self,
        shards: Shards,
        known: KnownCounts,
        *,
        settings: Settings,
        lexical: LexicalTotals,
        passages: int,
        generation: int,
    ) -> None:
        """Set the shards.

        Args:
            shards: shards, opened as parts of the collection.
            known: cached counts of terms.
            settings: the settings of all of them.
            lexical: the totals of the collection.
            passages: number of passages in these shards.
            generation: the manifest's generation.
        """
        self._shards = shards
        self._counted = known
        self._lexical = lexical
        self._known = Known()
        self.settings = settings
        self.generation = generation
        self.passages = passages

    def guarded(self) -> AbstractContextManager[None]:
        """As the protocol says; shards guard themselves."""
        return nullcontext()

    def allowed(self, where: Filter | None) -> Allowed:
        """As the protocol says; the filter itself is sent to shards."""
        return where

    def encoder_query(self, query: str) -> str:
        """As the protocol says."""

        def best(line: str) -> float:
            found = self._every("best", line, self._counts([line])[0])
            return max(found.values(), default=0.0)

        return encoder_query(query, best)

    def counted(self, queries: Sequence[Query]) -> list[Query]:
        """As the protocol says: with the counts summed over all shards."""
        counts = self._counts([query.text for query in queries])
        return [replace(query, counts=own) for query, own in zip(queries, counts, strict=True)]

    def ideal(self, query: Query) -> float:
        """As the protocol says."""
        parsed = parse_query(query.text)
        assert query.counts is not None
        return self._lexical.statistics(parsed, query.counts).ideal(parsed)

    def find(
        self, retriever: Single, queries: Sequence[Query], k: int, allowed: Allowed
    ) -> list[Run]:
        """As the protocol says."""
        found = self._proposed("find", queries, k, 1, (retriever,), (k, allowed))
        self._describe_likely(found, [1.0], k)
        return [Run(*top_k(one.ids, one.scores[0], k, self.order)) for one in found]

    def propose(
        self,
        queries: Sequence[Query],
        depth: int,
        names: Sequence[Single],
        hybrid: Hybrid,
        allowed: Allowed,
    ) -> list[Proposal]:
        """As the protocol says."""
        told = (depth, names, hybrid, allowed)
        found = self._proposed("propose", queries, depth, len(names), (), told)
        self._describe_likely(found, [hybrid.weights[name] for name in names], depth)
        return [best_of(one, depth, self.order) for one in found]

    def _proposed(
        self,
        method: str,
        queries: Sequence[Query],
        depth: int,
        retrievers: int,
        before: Arguments,
        after: Arguments,
    ) -> list[Proposal]:
        """The proposals of all shards for each query, complete up to the `depth` best of all.

        Args:
            method: `find` or `propose`, which take these arguments before and after the queries,
                and finally how many to send, and whether to describe them.
            retrievers: number of retrievers.
        """
        if not self._shards.numbers:
            return [_nothing(retrievers) for _ in queries]
        shards = len(self._shards.numbers)
        told = (fair_share(depth, shards), self._unasked(queries))
        answers = self._learned(self._every(method, *before, queries, *after, *told))
        proposed = unpack(answers, len(queries), retrievers)
        return self._completed(proposed, method, queries, depth, retrievers, before, after)

    def _completed(
        self,
        proposed: Sequence[Proposed],
        method: str,
        queries: Sequence[Query],
        depth: int,
        retrievers: int,
        before: Arguments,
        after: Arguments,
    ) -> list[Proposal]:
        """See `_proposed`: shards that may have more of the best are asked for all of them."""
        asked: dict[int, list[int]] = {}
        for place, one in enumerate(proposed):
            for number in one.deeper(depth):
                asked.setdefault(number, []).append(place)
        given = {
            number: (
                *before,
                [queries[place] for place in places],
                *after,
                depth,
                self._unasked(queries),
            )
            for number, places in asked.items()
        }
        more: dict[int, dict[int, Proposal]] = {}
        answers = self._learned(self._shards.ask(method, given)) if given else {}
        for number, packed in answers.items():
            deeper = unpack({number: packed}, len(asked[number]), retrievers)
            for place, own in zip(asked[number], deeper, strict=True):
                more.setdefault(place, {})[number] = own.all
        return [
            one.with_replaced(more[place]) if place in more else one.all
            for place, one in enumerate(proposed)
        ]

    def scores(self, retriever: Single, query: Query, ids: Ids) -> NDArray[np.float32]:
        """As the protocol says."""
        scores = np.empty(len(ids), np.float32)
        for _, places, own in self._of("scores", ids, retriever, query):
            scores[places] = own
        return scores

    def fresh_scores(
        self, encoder: Encoder, queries: Sequence[NDArray[np.float32]], candidates: Sequence[Ids]
    ) -> list[NDArray[np.float32]]:
        """As the protocol says; shards load the encoder themselves."""
        found = [np.full(len(ids), -np.inf, np.float32) for ids in candidates]
        given: dict[int, Arguments] = {}
        places: dict[int, list[Ids]] = {}
        for number in self._shards.numbers:
            own = [np.flatnonzero(ids >> SHARD_BITS == number) for ids in candidates]
            if any(map(len, own)):
                places[number] = own
                local = [_local(ids[at]) for ids, at in zip(candidates, own, strict=True)]
                given[number] = (queries, local)
        for number, made in self._shards.ask("fresh_scores", given).items():
            for scores, at, fresh in zip(found, places[number], made, strict=True):
                scores[at] = fresh
        return found

    def order(self, ids: Ids) -> Ids:
        """As the protocol says."""
        self._describe(ids)
        places = [self._known.of(id)[0] for id in ids.tolist()]
        ranks = {place: rank for rank, place in enumerate(sorted(places))}
        return np.array([ranks[place] for place in places], np.int64)

    def text_hashes(self, ids: Ids) -> Ids:
        """As the protocol says."""
        self._describe(ids)
        return np.array([self._known.of(id)[1] for id in ids.tolist()], np.int64)

    def owners(self, ids: Ids) -> Ids:
        """As the protocol says."""
        self._describe(ids)
        return np.array([self._known.of(id)[2] for id in ids.tolist()], np.int64)

    def _unasked(self, queries: Sequence[Any]) -> bool:
        """Whether shards describe their proposals unasked."""
        return len(self._shards.numbers) <= _UNASKED_SHARDS and len(queries) <= _UNASKED_QUERIES

    def _describe_likely(
        self, proposals: Sequence[Proposal], weights: Sequence[float], depth: int
    ) -> None:
        """Request in one round what would probably be requested in several."""
        if not self._unasked(proposals):
            self._describe(worth_describing(proposals, weights, depth))

    def _describe(self, ids: Ids) -> None:
        """Request missing descriptions of these passages: order, hash of the text, document."""
        of_shards = _by_shard(self._known.missing(ids.tolist()))
        for number, several in self._listed("described", of_shards).items():
            self._known.told(number, several)

    def _learned(self, answers: Mapping[int, ProposedHere]) -> dict[int, Packed]:
        """The shards' proposals, after storing the descriptions that came with them."""
        for number, (_, told) in answers.items():
            if told is not None:
                self._known.told(number, told)
        return {number: packed for number, (packed, _) in answers.items()}

    def mean_vectors(self, ids: Ids) -> NDArray[np.float32]:
        """As the protocol says."""
        found = np.zeros((len(ids), self.settings.dense_dim or 0), np.float32)
        for _, places, own in self._of("mean_vectors", ids):
            found[places] = own
        return found

    def stored(self, ids: Sequence[int]) -> dict[int, Hit]:
        """As the protocol says."""
        found: dict[int, Hit] = {}
        for number, hits in self._listed("stored", _by_shard(ids)).items():
            found |= {(number << SHARD_BITS) + id: hit for id, hit in hits.items()}
        return found

    def shown(
        self,
        ids: Sequence[int],
        marks: Sequence[Mark],
        hashes: Ids,
        allowed: Allowed,
        meanwhile: Callable[[], None] | None = None,
    ) -> Shown:
        """As the protocol says, with one request to each shard."""
        own = _by_shard(ids)
        own_marks: dict[int, list[int]] = {}  # by shard, indices of its marks
        for place, (id, _) in enumerate(marks):
            own_marks.setdefault(id >> SHARD_BITS, []).append(place)
        nothing: Arguments = ([], [], hashes, allowed)
        given = dict.fromkeys(self._shards.numbers if len(hashes) else (), nothing)
        for number, several in own.items():
            local = [(marks[at][0] & LOCAL, marks[at][1]) for at in own_marks.get(number, ())]
            given[number] = ([id & LOCAL for id in several], local, hashes, allowed)
        hits: dict[int, Hit] = {}
        spans: list[tuple[tuple[int, int], ...]] = [()] * len(marks)
        copies = {hash: Copies(0, ()) for hash in hashes.tolist()}
        answers: Mapping[int, ShownHere | None] = self._shards.ask("shown", given, meanwhile)
        for number, answer in answers.items():
            if answer is None:
                continue
            own_hits, own_spans, own_copies = answer
            hits |= {(number << SHARD_BITS) + id: hit for id, hit in own_hits.items()}
            for place, found in zip(own_marks.get(number, ()), own_spans, strict=True):
                spans[place] = tuple(zip(found[::2], found[1::2], strict=True))
            if copies:  # a text that a shard says nothing of is that of its hit alone
                alone = {self._known.of((number << SHARD_BITS) + id)[1]: id for id in own_hits}
                for hash in alone.keys() & copies.keys() - own_copies.keys():
                    own_copies[hash] = Copies(1, (own_hits[alone[hash]].passage,))
            for hash, more in own_copies.items():
                copies[hash] = _together(copies[hash], more)
        return Shown(hits, spans, copies)

    def likeness(self, id: str) -> Likeness | None:
        """As the protocol says."""
        number = shard_of(id, self._shards.total)
        found: Likeness | None = None
        if number in self._shards.numbers:
            found = self._shards.ask("likeness", {number: (id,)})[number]
        return found

    def explain(
        self, encoder: Encoder, query: Query, hits: Sequence[Hit]
    ) -> list[tuple[TokenMatch, ...]]:
        """As the protocol says; shards load the encoder themselves."""
        owners = [shard_of(hit.document_id, self._shards.total) for hit in hits]
        for hit, number in zip(hits, owners, strict=True):
            if number not in self._shards.numbers:  # it was emptied since
                raise gone(hit)
        given = {
            number: (query, [hit for hit, own in zip(hits, owners, strict=True) if own == number])
            for number in dict.fromkeys(owners)
        }
        found = {n: iter(own) for n, own in self._shards.ask("explain", given).items()}
        return [next(found[number]) for number in owners]

    def _counts(self, queries: Sequence[str]) -> list[Counts]:
        """How many passages of the collection contain each term of each query."""
        asked = self.generation, tuple(self._shards.numbers)
        parsed = [parse_query(query) for query in queries]
        known = [self._counted.of(asked, one) for one in parsed]
        unknown = [place for place, own in enumerate(known) if own is None]
        if unknown:
            found = self._summed([queries[place] for place in unknown])
            for place, own in zip(unknown, found, strict=True):
                known[place] = own
            self._counted.keep(asked, [parsed[place] for place in unknown], found)
        return [own for own in known if own is not None]

    def _summed(self, queries: Sequence[str]) -> list[Counts]:
        """`_counts`, summed over all shards without the cache."""
        asked = self._every("counts", queries).values()
        made = []
        for place in range(len(queries)):
            told = [own[place] for own in asked if own[place]]
            every = np.frombuffer(b"".join(told), "<u4").reshape(max(1, len(told)), -1)
            made.append(every.sum(axis=0, dtype=np.int64).reshape(-1, len(FIELDS)))
        return made

    def _every(self, method: str, *arguments: Any) -> dict[int, Any]:
        """Every shard's answer to the same request."""
        return self._shards.ask(method, dict.fromkeys(self._shards.numbers, arguments))

    def _listed(self, method: str, of_shards: Mapping[int, list[int]]) -> dict[int, Any]:
        """Each shard's answer about passages, sent as a list, which is quicker than an array."""
        given: dict[int, Arguments] = {
            number: ([id & LOCAL for id in several],) for number, several in of_shards.items()
        }
        return self._shards.ask(method, given) if given else {}

    def _of(self, method: str, ids: Ids, *arguments: Any) -> list[tuple[int, Ids, Any]]:
        """For each shard with some of these passages: its number, their positions, its answer.

        Args:
            method: a method whose last argument is ids of passages.
        """
        if not len(ids):
            return []
        numbers = ids >> SHARD_BITS
        order = np.argsort(numbers, kind="stable")
        firsts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
        places = dict(
            zip(numbers[order[firsts]].tolist(), np.split(order, firsts[1:]), strict=True)
        )
        given: Mapping[int, Arguments] = {
            number: (*arguments, _local(ids[at])) for number, at in places.items()
        }
        answers = self._shards.ask(method, given)
        return [(number, places[number], answer) for number, answer in answers.items()]


def _by_shard(ids: Iterable[int]) -> dict[int, list[int]]:
    """These passages by the number of their shard."""
    of_shards: dict[int, list[int]] = {}
    for id in ids:
        of_shards.setdefault(id >> SHARD_BITS, []).append(id)
    return of_shards


def _together(one: Copies, other: Copies) -> Copies:
    """Combine the copies of a text in two parts of a collection."""
    first = sorted((*one.first, *other.first), key=lambda p: (p.document_id, p.ordinal))
    return Copies(one.count + other.count, tuple(first[: COPIES + 1]))


def _nothing(retrievers: int) -> Proposal:
    return unpack({}, 1, retrievers)[0].all


def _local(ids: Ids) -> Ids:
    return ids & np.int64(LOCAL)
