"""A collection in shards ranks as one index of all its documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from retrieval.index import Index
from retrieval.index.writing.codecs import codec_in_use
from retrieval.sharded import ShardedIndex
from retrieval.sharded.partition import shard_of
from retrieval.types import RETRIEVERS, Hybrid, LateOptions

from ..index.fake_encoder import FakeEncoder
from .conftest import Storage
from .made import beside_one_index
from .samples import QUERIES, documents, scores, shown

OPTIONS: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "filtered": {"where": 'lang == "en"'},
    "few": {"where": 'id glob "folder1/d00*"'},
    "none": {"where": 'lang == "fr"'},
    "grouped": {"group": "document"},
    "copies": {"copies": True},
    "one of each": {"per_group": 1},
    "diverse": {"diversity": 0.5},
    "later": {"offset": 7, "k": 5},
    "deep": {"k": 400, "copies": True},
    "relevant": {"min_relevance": 0.3},
}


@pytest.fixture(scope="module", params=[1, 4, 9])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ShardedIndex, Index]]:
    """The same documents in so many shards, and in one index."""
    place = tmp_path_factory.mktemp("both")
    with beside_one_index(place, shards=request.param) as (sharded, one):
        sharded.add(documents())
        one.add(documents())
        yield sharded, one


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_the_ranking_is_that_of_one_index(
    both: tuple[ShardedIndex, Index], retriever: Any, options: dict[str, Any]
) -> None:
    sharded, one = both
    for query in QUERIES:
        found = sharded.search(query, retriever=retriever, **options)
        expected = one.search(query, retriever=retriever, **options)
        assert shown(found) == shown(expected), query
        assert scores(found) == pytest.approx(scores(expected), rel=1e-3)


@pytest.mark.parametrize("fusion", ["rrf", "zscore"])
def test_other_fusions_agree(both: tuple[ShardedIndex, Index], fusion: Any) -> None:
    sharded, one = both
    hybrid = Hybrid(fusion=fusion, candidates=7)
    for query in QUERIES:
        found = sharded.search(query, 50, hybrid=hybrid)
        assert shown(found) == shown(one.search(query, 50, hybrid=hybrid)), query


def test_queries_by_vectors_and_fresh_vectors_agree(both: tuple[ShardedIndex, Index]) -> None:
    sharded, one = both
    made = FakeEncoder().encode_queries(["w3 w50"])
    assert made.dense is not None and made.tokens is not None
    for asked in (
        {"vector": made.dense[0]},
        {"tokens": made.tokens},
        {"vector": made.dense[0], "tokens": made.tokens},
        {"query": "w3 w50", "retriever": "late", "rescore": 20},
    ):
        assert shown(sharded.search(**asked)) == shown(one.search(**asked))


def test_a_pasted_trace_is_read_alike(both: tuple[ShardedIndex, Index]) -> None:
    """Which of its lines the encoder reads is told by all shards together."""
    sharded, one = both
    trace = (
        'Traceback (most recent call last):\n  File "a.py", line 3, in w0\n    w0()\n'
        "ValueError: seldom said\n\nDuring handling another exception occurred:\n"
        'Traceback (most recent call last):\n  File "b.py", line 4, in w1\n    w1()\n'
        "KeyError: w0 w1 w2"
    )
    assert shown(sharded.search(trace)) == shown(one.search(trace))


def test_after_deletes_and_updates_it_is_that_of_one_index(
    both: tuple[ShardedIndex, Index], tmp_path: Path
) -> None:
    """Of collections of their own, which change in three commits."""
    shards = both[0].status().shards
    changed = documents(20, seed=6)
    gone = [document.id for document in documents()[30:40]]
    with beside_one_index(tmp_path, shards=shards) as (sharded, one):
        for index in (sharded, one):
            index.add(documents())
            index.add(changed)
            index.delete(gone)
        one.compact()
        sharded.compact()
        assert len(sharded) == len(one) == 80
        for retriever in RETRIEVERS:
            for query in QUERIES:
                found = sharded.search(query, 20, retriever=retriever)
                assert shown(found) == shown(one.search(query, 20, retriever=retriever)), query


@pytest.mark.parametrize("bits", [2, 4])
def test_compressed_shards_share_their_centroids(
    folder: Storage, tmp_path: Path, bits: Any
) -> None:
    """By the same codec a token vector is stored alike in whichever shard it stands."""
    late = LateOptions(bits=bits, exact_passages=0)
    with (
        ShardedIndex.create(
            folder.url,
            shards=4,
            encoder=FakeEncoder(),
            late=late,
            cache=tmp_path / "cache",
        ) as sharded,
        Index.create(tmp_path / "one", encoder=FakeEncoder(), late=late) as one,
    ):
        sharded.add(documents())
        assert sharded.status().codec
        with sharded._using() as generation:
            codecs = [codec_in_use(s.snapshot.late.segments) for s in generation.shards.values()]
        keys = {codec.key for codec in codecs if codec is not None}
        assert len(keys) == 1 and len(codecs) == 4
        with one.writing() as writer:
            writer.give_codec(codecs[0])
        one.add(documents())
        # Which passages are decompressed at all is told by each shard of its own, so the last few
        # may differ; those that are have the same scores, or nearly.
        counts = sharded.status().documents_by_shard
        trained = counts.index(max(counts))
        shared = 0.0
        for query in QUERIES:
            found, expected = (
                {
                    (hit.document_id, hit.passage.ordinal): hit.score
                    for hit in index.search(query, retriever="late", copies=True)
                }
                for index in (sharded, one)
            )
            both = found.keys() & expected.keys()
            for key in both:
                # The shard that trained the codec had rounded its vectors before they were stored.
                rel = 0.05 if shard_of(key[0], 4) == trained else 1e-6
                assert found[key] == pytest.approx(expected[key], rel=rel)
            shared += len(both) / len(expected)
        assert shared >= 0.95 * len(QUERIES)


@pytest.mark.parametrize("heads", [{"dense_dim": None}, {"token_dim": None}])
def test_an_encoder_may_lack_a_head(folder: Storage, tmp_path: Path, heads: dict[str, Any]) -> None:
    encoder = FakeEncoder(**heads)
    with (
        ShardedIndex.create(
            folder.url, shards=3, encoder=encoder, cache=tmp_path / "cache"
        ) as sharded,
        Index.create(tmp_path / "one", encoder=encoder) as one,
    ):
        sharded.add(documents())
        one.add(documents())
        for query in QUERIES:
            assert shown(sharded.search(query)) == shown(one.search(query))


def test_more_shards_than_documents(folder: Storage, tmp_path: Path) -> None:
    few = documents(3)
    with ShardedIndex.create(
        folder.url, shards=16, encoder=FakeEncoder(), cache=tmp_path / "cache"
    ) as sharded:
        assert list(sharded.search("w0")) == []
        sharded.add(few)
        assert sum(sharded.status().documents_by_shard) == 3
        assert {hit.document_id for hit in sharded.search("w0", retriever="dense")} == {
            document.id for document in few
        }
