"""How often shards are asked for a search, one question after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrieval.sharded import asking, searched_shards
from retrieval.sharded.asking import LocalShards
from retrieval.types import RETRIEVERS

from .made import beside_one_index
from .samples import QUERIES, documents, shown


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods that shards were asked for, question by question."""
    noted: list[str] = []
    ask = LocalShards.ask

    def noting(self: LocalShards, method: str, *arguments: Any) -> dict[int, Any]:
        noted.append(method)
        return ask(self, method, *arguments)

    monkeypatch.setattr(asking.LocalShards, "ask", noting)
    return noted


def test_a_search_asks_twice_and_once_more_for_words_that_are_new(
    tmp_path: Path, asked: list[str]
) -> None:
    with beside_one_index(tmp_path, shards=3) as (sharded, one):
        for index in (sharded, one):
            index.add(documents())
        for query, rounds in (("w3 w50", 3), ("w50 w3", 2), ("w0", 3), ("w0", 2)):
            asked.clear()
            assert shown(sharded.search(query)) == shown(one.search(query))
            # Where all that a shard tells ties, it is asked for the rest.
            assert list(dict.fromkeys(asked)) == ["counts", "propose", "shown"][-rounds:]
            assert query == "w0" or len(asked) == rounds


@pytest.mark.parametrize(("shards", "queries"), [(0, 99), (99, 0)])
def test_where_shards_describe_nothing_unasked_the_ranking_is_the_same(
    tmp_path: Path,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    shards: int,
    queries: int,
) -> None:
    """As of many shards, and for many queries at once."""
    monkeypatch.setattr(searched_shards, "_UNASKED_SHARDS", shards)
    monkeypatch.setattr(searched_shards, "_UNASKED_QUERIES", queries)
    with beside_one_index(tmp_path, shards=3) as (sharded, one):
        for index in (sharded, one):
            index.add(documents())
        for retriever in RETRIEVERS:
            found = sharded.search_batch(list(QUERIES), retriever=retriever)
            expected = one.search_batch(list(QUERIES), retriever=retriever)
            assert [shown(hits) for hits in found] == [shown(hits) for hits in expected]
        assert "described" in asked
