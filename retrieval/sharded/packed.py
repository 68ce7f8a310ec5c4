"""Proposals of shards in transit: packed arrays instead of an object for each candidate.

A row is a candidate: its passage's id within the shard i64, its role's contribution f64, each
    retriever's score f32, and a bit for each retriever that found it. Before the rows, for each
    query, come the number of rows, the number of passages that could have been found, and
    `Proposal.rest`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.runs import Proposal, Run

SHARD_BITS = 40
"""A passage's id in a collection: its id in the shard in the low bits, above them the shard."""

LOCAL = (1 << SHARD_BITS) - 1
"""The bits of the id in the shard."""

Packed: TypeAlias = list[bytes]
"""The heads of all queries, and the rows, query by query."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """Several shards' proposals for a query.

    Attributes:
        all: the proposals of all shards, by ids of the collection.
        shards: the numbers of the shards, i64 [s].
        rest: each shard's `Proposal.rest`, f32 [s, r].
    """

    all: Proposal
    shards: NDArray[np.int64]
    rest: NDArray[np.float32]

    def deeper(self, depth: int) -> list[int]:
        """The shards that may have more of a retriever's `depth` best passages.

        The others have sent all of theirs: what they held back scores below so many known passages.
        Equal scores count as more, since ids decide between them.
        """
        asked = np.zeros(len(self.shards), np.bool_)
        for row, found in enumerate(self.all.found):
            scores = self.all.scores[row, found]
            least = -np.inf
            if len(scores) >= depth:
                least = np.partition(scores, len(scores) - depth)[len(scores) - depth]
            asked |= (self.rest[:, row] > -np.inf) & (self.rest[:, row] >= least)
        found_deeper: list[int] = self.shards[asked].tolist()
        return found_deeper

    def with_replaced(self, proposals: Mapping[int, Proposal]) -> Proposal:
        """All proposals, with those of these shards replaced."""
        old = self.all.at(~np.isin(self.all.ids >> SHARD_BITS, list(proposals)))
        parts = [old, *proposals.values()]
        ids = np.concatenate([part.ids for part in parts])
        return Proposal(
            ids,
            np.concatenate([part.scores for part in parts], axis=1),
            np.concatenate([part.found for part in parts], axis=1),
            np.concatenate([part.standing for part in parts]),
            self.all.total,
            self.all.rest,
        ).at(np.argsort(ids))


def pack(proposals: Sequence[Proposal]) -> Packed:
    """Pack one shard's proposals, one per query."""
    count = len(proposals[0].scores) if proposals else 0
    heads = np.empty(len(proposals), _head(count))
    for head, proposal in zip(heads, proposals, strict=True):
        head["count"], head["total"] = len(proposal.ids), proposal.total
        head["rest"] = proposal.rest
    rows = []
    bits = 1 << np.arange(count)
    for proposal in proposals:
        row = np.empty(len(proposal.ids), _row(count))
        row["id"], row["standing"] = proposal.ids, proposal.standing
        row["scores"], row["found"] = proposal.scores.T, bits @ proposal.found
        rows.append(row.tobytes())
    return [heads.tobytes(), b"".join(rows)]


def proposals_of(runs: Sequence[Run], first: int) -> list[Proposal]:
    """One retriever's runs in one shard, one per query, as proposals of the `first` best."""
    proposals = []
    for run in runs:
        best = run.first(first)
        order = np.argsort(best.ids)
        proposals.append(
            Proposal(
                best.ids[order],
                best.scores[order][None].astype(np.float32, copy=False),
                np.ones((1, len(best)), np.bool_),
                np.zeros(len(best)),
                0,
                np.array([run.rest(first)], np.float32),
            )
        )
    return proposals


def unpack(answers: Mapping[int, Packed], queries: int, retrievers: int) -> list[Proposed]:
    """The shards' proposals for each query.

    Args:
        answers: each shard's answer, by ascending number.
        queries: number of queries.
        retrievers: number of retrievers, at most 8.
    """
    shards = np.array(list(answers), np.int64)
    heads = np.frombuffer(b"".join(head for head, _ in answers.values()), _head(retrievers))
    heads = heads.reshape(len(shards), queries)
    rows = np.frombuffer(b"".join(row for _, row in answers.values()), _row(retrievers))
    of_shard = np.repeat(np.repeat(shards, queries), heads["count"].ravel())
    if queries > 1:
        of_query = np.repeat(np.tile(np.arange(queries), len(shards)), heads["count"].ravel())
        order = np.argsort(of_query, kind="stable")
        rows, of_shard = rows[order], of_shard[order]
    ends = np.cumsum(heads["count"].sum(axis=0, dtype=np.int64))
    bits = 1 << np.arange(retrievers)[:, None]
    none_left = np.full(retrievers, -np.inf, np.float32)
    made = []
    for place, (first, last) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        some, head = rows[first:last], heads[:, place]
        proposal = Proposal(
            some["id"] + (of_shard[first:last] << SHARD_BITS),
            np.ascontiguousarray(some["scores"].T),
            (some["found"] & bits) > 0,
            some["standing"].copy(),
            int(head["total"].sum()),
            none_left,
        )
        made.append(Proposed(proposal, shards, head["rest"]))
    return made


def fair_share(depth: int, shards: int) -> int:
    """How many of a retriever's `depth` best to request from each of so many shards at first.

    Documents are distributed at random: by the binomial distribution, some shard (of 4 or of 3,000)
    has more of the hundred best of any of three retrievers, and is asked again, in less than 3
    % of searches.
    """
    mean = depth / shards
    return min(depth, int(np.ceil(mean + 3 * np.sqrt(mean) + 2.5)))


def _head(retrievers: int) -> np.dtype[np.void]:
    return np.dtype([("count", "<u4"), ("total", "<i8"), ("rest", "<f4", (retrievers,))])


def _row(retrievers: int) -> np.dtype[np.void]:
    scores = ("scores", "<f4", (retrievers,))
    return np.dtype([("id", "<i8"), ("standing", "<f8"), scores, ("found", "u1")])
