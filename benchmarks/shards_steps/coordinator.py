"""What a search costs the coordinator, over shards that have their answers ready."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

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
SEARCHES = 50
PASSAGES = 2000
"""Of a shard: candidates are the best of so many scores, as they are drawn."""

DENSE, TOKEN = 384, 96
DEPTH = 100


class StubShards:
    """Shards whose answers are ready, as they would come over the wire.

    Attributes:
        numbers: see `Shards`.
        total: see `Shards`.
        received: bytes of all answers.
        sent: bytes of the questions, to each shard.
        own: processor seconds that the stubs took, which are no cost of the coordinator's.
    """

    def __init__(self, count: int) -> None:
        self.numbers = range(count)
        self.total = count
        self.received = self.sent = 0
        self.own = 0.0
        drawn = np.random.default_rng(7)
        first = fair_share(DEPTH, count)
        common = drawn.normal(size=(count, PASSAGES)).astype(np.float32)
        self._scores = [
            [0.6 * common[n] + drawn.normal(size=PASSAGES).astype(np.float32) for _ in range(3)]
            for n in range(count)
        ]
        self._shares = [self._proposed(number, first) for number in range(count)]

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
        for arguments in given.values():  # what is one and the same for all is made once
            if id(arguments) not in contents:
                contents[id(arguments)] = Content.of(Ask(1, method, arguments))
        began = time.process_time()
        blobs = {number: self._answer(number, method, own) for number, own in given.items()}
        self.received += sum(map(len, blobs.values()))
        self.sent += sum(len(contents[id(own)].data) for own in given.values())
        self.own += time.process_time() - began
        return {number: decoded(blob) for number, blob in blobs.items()}

    def _answer(self, number: int, method: str, given: Arguments) -> bytes:
        match method:
            case "counts":
                return _COUNTS
            case "propose":
                first = given[-2]
                return self._shares[number] if first < DEPTH else self._proposed(number, first)
            case "described":
                place = f"folder/{number}/document-"
                ids = sorted(given[-1])
                rows = [(f"{place}{id}.md", 0, 997 * id, id) for id in ids]
                return encoded(packed_descriptions(ids, rows))
            case "shown":
                hits = {id: _hit(number, id) for id in given[0]}
                return encoded((hits, [], {})) if hits else _NOTHING
        return _NOTHING

    def _proposed(self, number: int, first: int) -> bytes:
        scores = np.stack(self._scores[number])
        ranked = np.argsort(-scores, axis=1)[:, :first]
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
    """A collection of such shards."""

    def __init__(self, count: int) -> None:
        self.url = "stub://"
        self.shards = StubShards(count)
        settings = Settings(
            encoder_name="stub",
            encoder_source=PRECOMPUTED,
            fingerprint="",
            dense_dim=DENSE,
            token_dim=TOKEN,
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
        """As of an index."""
        return 1

    @property
    def encoder(self) -> Encoder:
        """None is needed."""
        return self._encoder.get()

    def status(self) -> ShardedStatus:
        """Not asked for."""
        raise NotImplementedError

    def refresh(self) -> bool:
        """There is one generation."""
        return False

    def close(self) -> None:
        """Nothing is open."""


def coordinator() -> dict[str, Any]:
    """By number of shards: milliseconds of processor time, and bytes, of a search for ten hits.

    Their words are not marked, which is no matter of shards.
    """
    drawn = np.random.default_rng(1)
    vector = drawn.normal(size=DENSE).astype(np.float32)
    tokens = drawn.normal(size=(16, TOKEN)).astype(np.float32)
    found: dict[str, Any] = {}
    for count in COUNTS:
        collection = StubCollection(count)
        shards = collection.shards
        spent = []
        for _ in range(SEARCHES + 5):
            shards.own = shards.received = shards.sent = 0
            began = time.process_time()
            hits = collection.search(QUERY, vector=vector, tokens=tokens, highlights=False)
            spent.append(1000 * (time.process_time() - began - shards.own))
            assert len(hits) == 10
        found[str(count)] = {
            "median_ms": statistics.median(spent[5:]),
            "p95_ms": float(np.quantile(spent[5:], 0.95)),
            "received_bytes": shards.received,
            "sent_bytes_to_each": shards.sent // count,
        }
    return found


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
