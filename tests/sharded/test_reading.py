"""A collection in shards lists, compares and explains as one index of all its documents does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.index.reading.runs import Proposal
from retrieval.sharded import ShardedIndex
from retrieval.sharded.packed import LOCAL, SHARD_BITS, fair_share, pack, unpack
from retrieval.types import RETRIEVERS, Document

from .made import beside_one_index
from .samples import QUERIES, documents, shown

FILTERS = (None, 'lang == "en"', 'path glob "folder1/**"', 'role == "nowhere"', "year >= 2020")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ShardedIndex, Index]]:
    """The same documents in five shards, and in one index."""
    place = tmp_path_factory.mktemp("reading")
    made = documents(60)
    years: tuple[Any, ...] = (2019, 2020.0, True, "2021", ["a", 2020], None)
    made += [
        Document(f"year{n}", f"w{n} w1 w2", metadata={"year": year}) for n, year in enumerate(years)
    ]
    with beside_one_index(place, shards=5) as (sharded, one):
        sharded.add(made)
        one.add(made)
        yield sharded, one


@pytest.mark.parametrize("where", FILTERS)
def test_listings_are_those_of_one_index(both: tuple[ShardedIndex, Index], where: Any) -> None:
    sharded, one = both
    assert sharded.ids(where) == one.ids(where)
    assert sharded.ids(where, after="folder1/d004.md", limit=7) == one.ids(
        where, after="folder1/d004.md", limit=7
    )
    assert list(sharded.documents(where)) == list(one.documents(where))
    assert list(sharded.documents(where, limit=9)) == list(one.documents(where, limit=9))
    assert sharded.count(where) == one.count(where)
    assert sharded.metadata_keys(where) == one.metadata_keys(where)
    for key in ("lang", "role", "year", "title", "nothing"):
        assert sharded.values(key, where) == one.values(key, where)
        told = [(repr(value), count) for value, count in sharded.values(key, where, exact=True)]
        own = [(repr(value), count) for value, count in one.values(key, where, exact=True)]
        assert told == own
    assert sorted(map(repr, sharded.listed(where))) == sorted(map(repr, one.listed(where)))


def test_documents_are_those_of_one_index(both: tuple[ShardedIndex, Index]) -> None:
    sharded, one = both
    ids = [*one.ids(), "nowhere", one.ids()[3]]
    assert sharded.get_many(ids) == one.get_many(ids)
    assert len(sharded) == len(one) and list(sharded) == list(one)
    assert ids[0] in sharded and "nowhere" not in sharded and sharded.get("nowhere") is None
    assert [sharded.passages(id) for id in ids] == [one.passages(id) for id in ids]


def test_the_most_alike_are_those_of_one_index(both: tuple[ShardedIndex, Index]) -> None:
    sharded, one = both
    for id in one.ids()[::7]:
        assert shown(sharded.similar(id, 5)) == shown(one.similar(id, 5))
        where = 'lang == "de"'
        assert shown(sharded.similar(id, 5, where=where)) == shown(one.similar(id, 5, where=where))
    with pytest.raises(InputError, match="there is no document"):
        sharded.similar("nowhere")


def test_a_hit_is_explained_as_in_one_index(both: tuple[ShardedIndex, Index]) -> None:
    sharded, one = both
    for query in QUERIES[:5]:
        told = sharded.explain(query, sharded.search(query))
        own = one.explain(query, one.search(query))
        assert [[match.passage_span for match in some] for some in told] == [
            [match.passage_span for match in some] for some in own
        ]
        scores = [[match.score for match in some] for some in own]
        for some, expected in zip(told, scores, strict=True):
            assert [match.score for match in some] == pytest.approx(expected, rel=1e-3)
    (hit, *_) = sharded.search("w3")
    with pytest.raises(InputError):
        sharded.explain("", [hit])


def test_a_hit_of_a_shard_that_was_emptied_since_is_not_explained(tmp_path: Path) -> None:
    with beside_one_index(tmp_path, shards=2) as (sharded, one):
        for index in (sharded, one):
            index.add([Document("d", "w1 w2")])
        (hit,) = sharded.search("w1")
        for index in (sharded, one):
            index.delete(["d"])
            with pytest.raises(InputError, match="'d' is not in the index as the hit shows it"):
                index.explain("w1", [hit])


def test_any_id_names_its_document(tmp_path: Path) -> None:
    """One with a NUL, too, which no text of a filter may hold."""
    made = [Document(id, f"w1 w2 {place}") for place, id in enumerate(("a", "a\0", "a\0b", "b"))]
    with beside_one_index(tmp_path, shards=2) as (sharded, one):
        for index in (sharded, one):
            index.add(made)
            told = [passage.document_id for passage, _ in index.vectors()]
            assert told == ["a", "a\0", "a\0b", "b"]
            own = index.passages("a\0b")
            assert [passage for passage, _ in index.vectors(passages=own)] == own
            for document in made:
                others = {hit.document_id for hit in index.similar(document.id)}
                assert others == {other.id for other in made} - {document.id}


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_many_queries_with_filters_of_their_own(
    both: tuple[ShardedIndex, Index], retriever: Any
) -> None:
    """Shards that hold many of the best are asked for more, each for the queries it may hold."""
    sharded, one = both
    wheres = [FILTERS[place % 3] for place in range(len(QUERIES))]
    for k in (3, 120):
        found = sharded.search_batch(QUERIES, k, retriever=retriever, where=wheres)
        expected = one.search_batch(QUERIES, k, retriever=retriever, where=wheres)
        assert [shown(hits) for hits in found] == [shown(hits) for hits in expected]


def proposal(scores: Any, rest: float, first_id: int = 0) -> Proposal:
    """What one retriever found in a shard, with ids from a first one on."""
    values = np.asarray(scores, np.float32)[None]
    count = values.shape[1]
    return Proposal(
        np.arange(first_id, first_id + count, dtype=np.int64),
        values,
        np.ones((1, count), np.bool_),
        np.zeros(count),
        500,
        np.array([rest], np.float32),
    )


@pytest.mark.parametrize("first", [(1 << 32) - 1, LOCAL - 1])
def test_passages_keep_their_ids_however_many_there_have_been(first: int) -> None:
    """Ids are given out once, so that a shard that is often changed runs through many."""
    (told,) = unpack({3: pack([proposal([0.5, 0.25], -np.inf, first)])}, 1, 1)
    assert told.all.ids.tolist() == [(3 << SHARD_BITS) + first, (3 << SHARD_BITS) + first + 1]


def test_shards_are_asked_again_where_they_may_hold_more() -> None:
    """All that is near stands in one shard of sixteen, which tells its fair share at first."""
    depth, first = 100, fair_share(100, 16)
    assert first < depth
    drawn = np.random.default_rng(3)

    answers = {n: pack([proposal(drawn.uniform(0, 1, first), 0.0)]) for n in range(16)}
    near = 2 + drawn.uniform(0, 1, first)
    answers[7] = pack([proposal(near, near.min())])
    (told,) = unpack(answers, 1, 1)
    assert told.deeper(depth) == [7]
    whole = proposal(2 + drawn.uniform(0, 1, depth), -np.inf)
    (own,) = unpack({7: pack([whole])}, 1, 1)
    put = told.with_replaced({7: own.all})
    assert put.total == 16 * 500
    assert np.count_nonzero(put.ids >> SHARD_BITS == 7) == depth
    assert np.all(np.diff(put.ids) > 0)
    assert np.array_equal(put.scores[0, put.ids >> SHARD_BITS == 7], whole.scores[0])


@pytest.mark.parametrize("where", [*FILTERS, "place.page is empty"])
def test_vectors_are_those_of_one_index(both: tuple[ShardedIndex, Index], where: Any) -> None:
    sharded, one = both
    found, expected = list(sharded.vectors(where)), list(one.vectors(where))
    assert [passage for passage, _ in found] == [passage for passage, _ in expected]
    for (_, made), (_, wanted) in zip(found, expected, strict=True):
        assert made.dense is not None and wanted.dense is not None
        np.testing.assert_array_equal(made.dense, wanted.dense)
        assert made.tokens is not None and wanted.tokens is not None
        np.testing.assert_array_equal(made.tokens, wanted.tokens)
    if expected:
        some = [passage for passage, _ in expected[3:5]]
        assert [passage for passage, _ in sharded.vectors(passages=some)] == some
    with pytest.raises(InputError, match="give Passages"):
        sharded.vectors(passages=["d1"])  # type: ignore[list-item]
