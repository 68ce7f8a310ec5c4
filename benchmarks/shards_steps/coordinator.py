"""What a search costs the coordinator, over stub shards with prepared answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from timing import percentile

from retrieval.index.encoder import PRECOMPUTED, EncoderSlot
from retrieval.index.reading.runs import Proposal
from retrieval.indexes import LexicalTotals
from retrieval.sharded import Collection, ShardedStatus
from retrieval.sharded.asking import Arguments, Shards
from retrieval.sharded.described import packed_descriptions
from retrieval.sharded.manifest import Manifest, ShardRecord
from retrieval.sharded.packed import fair_share, pack
from retrieval.sharded.serving.encoding import decoded, encoded
from retrieval.sharded.serving.messages import Ask
from retrieval.sharded.serving.wire import Content
from retrieval.store import Settings
from retrieval.types import Encoder, Hit, LateOptions, Passage

COUNTS = (100, 1000)
QUERY = "how does a reader keep the generation that it opened"
SEARCHES, WARMUP = 50, 5
PASSAGES = 2000
"""Of a shard. Candidates are the best of as many random scores."""

DENSE_DIM, TOKEN_DIM = 384, 96
DEPTH = 100


class StubShards:
    """Shards whose answers are prepared, encoded as they would come over the wire.

    Attributes:
        numbers: see `Shards`.
        total: see `Shards`.
        received: bytes of all answers.
        sent: bytes of all requests, summed over the shards.
        stub_cpu_s: CPU seconds of the stubs, which are no cost of the coordinator's.
    """

    def __init__(self, count: int) -> None:
        self.numbers = range(count)
        self.total = count
        self.received = self.sent = 0
        self.stub_cpu_s = 0.0
        rng = np.random.default_rng(7)
        depth = fair_share(DEPTH, count)
        common = rng.normal(size=(count, PASSAGES)).astype(np.float32)
        self._scores = [
            [0.6 * common[n] + rng.normal(size=PASSAGES).astype(np.float32) for _ in range(3)]
            for n in range(count)
        ]
        self._proposals = [self._propose(number, depth) for number in range(count)]

    def ask(
        self,
        method: str,
        given: Mapping[int, Arguments],
        meanwhile: Callable[[], None] | None = None,
    ) -> dict[int, Any]:
        """As `Shards` says."""
        if meanwhile is not None:
            meanwhile()
        contents: dict[int, Content] = {}
        # Arguments that all shards share are encoded once, as the router does it.
        for arguments in given.values():
            if id(arguments) not in contents:
                contents[id(arguments)] = Content.of(Ask(1, method, arguments))
        started = time.process_time()
        answers = {
            number: self._answer(number, method, arguments) for number, arguments in given.items()
        }
        self.received += sum(map(len, answers.values()))
        self.sent += sum(len(contents[id(arguments)].data) for arguments in given.values())
        self.stub_cpu_s += time.process_time() - started
        return {number: decoded(answer) for number, answer in answers.items()}

    def _answer(self, number: int, method: str, arguments: Arguments) -> bytes:
        match method:
            case "counts":
                return _COUNTS
            case "propose":
                depth = arguments[-2]
                return self._proposals[number] if depth < DEPTH else self._propose(number, depth)
            case "described":
                prefix = f"folder/{number}/document-"
                ids = sorted(arguments[-1])
                rows = [(f"{prefix}{id}.md", 0, 997 * id, id) for id in ids]
                return encoded(packed_descriptions(ids, rows))
            case "shown":
                hits = {id: _hit(number, id) for id in arguments[0]}
                return encoded((hits, [], {})) if hits else _NOTHING
        return _NOTHING

    def _propose(self, number: int, depth: int) -> bytes:
        scores = np.stack(self._scores[number])
        ranked = np.argsort(-scores, axis=1)[:, :depth]
        ids = np.unique(ranked)
        proposal = Proposal(
            ids.astype(np.int64),
            scores[:, ids],
            np.stack([np.isin(ids, row) for row in ranked]),
            np.zeros(len(ids)),
            PASSAGES,
            scores[np.arange(3), ranked[:, -1]],
        )
        return encoded((pack([proposal]), None))


class StubCollection(Collection):
    """A collection of stub shards."""

    def __init__(self, count: int) -> None:
        self.url = "stub://"
        self.shards = StubShards(count)
        settings = Settings(
            encoder_name="stub",
            encoder_source=PRECOMPUTED,
            fingerprint="",
            dense_dim=DENSE_DIM,
            token_dim=TOKEN_DIM,
            passage_tokens=256,
            late=LateOptions(),
            long_context=False,
        )
        totals = LexicalTotals(PASSAGES, PASSAGES, {"text": 100 * PASSAGES}, {"text": PASSAGES})
        record = ShardRecord("0" * 64, 1, PASSAGES, PASSAGES, 0, totals)
        self._manifest = Manifest(1, settings, (record,) * count)
        self._totals = self._manifest.lexical
        self._encoder = EncoderSlot(self.url, settings)

    @contextmanager
    def _shards(self) -> Iterator[tuple[Manifest, Shards]]:
        yield self._manifest, self.shards

    @property
    def generation(self) -> int:
        """Always the first."""
        return 1

    @property
    def encoder(self) -> Encoder:
        """Never used, since queries come with their vectors."""
        return self._encoder.get()

    def status(self) -> ShardedStatus:
        """Not needed here."""
        raise NotImplementedError

    def refresh(self) -> bool:
        """Never finds a newer generation."""
        return False

    def close(self) -> None:
        """There is nothing to close."""


def coordinator() -> dict[str, Any]:
    """CPU milliseconds and bytes of a search for ten hits, by number of shards.

    Highlights are left out, since they do not depend on the number of shards.
    """
    rng = np.random.default_rng(1)
    vector = rng.normal(size=DENSE_DIM).astype(np.float32)
    tokens = rng.normal(size=(16, TOKEN_DIM)).astype(np.float32)
    result: dict[str, Any] = {}
    for shard_count in COUNTS:
        collection = StubCollection(shard_count)
        shards = collection.shards
        cpu_ms = []
        for _ in range(WARMUP + SEARCHES):
            shards.stub_cpu_s = shards.received = shards.sent = 0
            started = time.process_time()
            hits = collection.search(QUERY, vector=vector, tokens=tokens, highlights=False)
            cpu_ms.append(1000 * (time.process_time() - started - shards.stub_cpu_s))
            assert len(hits) == 10
        result[str(shard_count)] = {
            "median_ms": percentile(cpu_ms[WARMUP:], 50),
            "p95_ms": percentile(cpu_ms[WARMUP:], 95),
            "received_bytes": shards.received,
            "sent_bytes_to_each": shards.sent // shard_count,
        }
    return result


def _hit(number: int, id: int) -> Hit:
    document = f"folder/{number}/document-{id}.md"
    text = "What is committed is what the newest manifest names. " * 20
    return Hit(
        document_id=document,
        passage=Passage(document, 0, 0, len(text)),
        text=text,
        title="",
        path=document,
        start_line=1,
        end_line=20,
        score=0.0,
        scores={},
        ranks={},
        highlights=(),
        metadata={"path": document},
    )


_NOTHING = encoded(None)
_COUNTS = encoded([np.full((6, 5), 12, "<u4").tobytes()])
