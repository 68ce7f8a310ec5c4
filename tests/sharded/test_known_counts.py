"""Words that were asked for are not counted again, until the collection changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from retrieval.sharded import asking, known_counts
from retrieval.sharded.asking import Arguments, LocalShards
from retrieval.types import Document

from .made import beside_one_index
from .samples import documents, shown


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts whose words shards were asked to count, question by question."""
    noted: list[list[str]] = []
    ask = LocalShards.ask

    def noting(
        self: LocalShards, method: str, given: Mapping[int, Arguments], *others: Any
    ) -> dict[int, Any]:
        if method == "counts":
            noted.append(list(next(iter(given.values()))[0]))
        return ask(self, method, given, *others)

    monkeypatch.setattr(asking.LocalShards, "ask", noting)
    return noted


def test_words_are_counted_once_for_each_generation(tmp_path: Path, asked: list[list[str]]) -> None:
    with beside_one_index(tmp_path, shards=3) as (sharded, one):

        def same(*queries: str) -> None:
            found = sharded.search_batch(list(queries), 10)
            for own, hits in zip(one.search_batch(list(queries), 10), found, strict=True):
                assert shown(hits) == shown(own)

        for index in (sharded, one):
            index.add(documents(40))
        same("w1 w2 w3", "w4")
        assert asked == [["w1 w2 w3", "w4"]]
        same("w3 w1", "w4 w2", "w2 w2")
        assert len(asked) == 1
        same("w1", "w5 w1")
        assert asked[1:] == [["w5 w1"]]
        for index in (sharded, one):
            index.add([Document("new", "w1 w1 w5"), Document("other", "w5 w3")])
        same("w3 w1", "w5")
        assert asked[2:] == [["w3 w1", "w5"]]
        for index in (sharded, one):
            index.delete(["new", *one.ids()[:9]])
        same("w5 w1")
        assert asked[3:] == [["w5 w1"]]


def test_no_more_than_so_many_words_are_kept(
    tmp_path: Path, asked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_counts, "MOST", 3)
    with beside_one_index(tmp_path, shards=2) as (sharded, _):
        sharded.add(documents(20))
        for query in ("w1 w2", "w3 w4", "w1 w3", "w5", "w5"):
            sharded.search(query)
    assert [texts for (texts,) in asked] == ["w1 w2", "w3 w4", "w5"]


def test_a_question_without_words_is_answered(tmp_path: Path) -> None:
    with beside_one_index(tmp_path, shards=2) as (sharded, one):
        for index in (sharded, one):
            index.add(documents(20))
        for query in ("?", "...", "the"):
            assert shown(sharded.search(query)) == shown(one.search(query))
