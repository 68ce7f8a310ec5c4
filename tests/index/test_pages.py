"""Pages of a list of hits are parts of it, whatever is asked and however long they are."""

from __future__ import annotations

import random
from typing import Any

import pytest

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document

WORDS = ["red", "green", "blue", "apple", "pear", "plum", "pie"]


@pytest.fixture
def orchard(index: Index) -> Index:
    """Documents of several passages, some of which are copies of each other."""
    random.seed(7)
    sentences = [" ".join(random.choices(WORDS, k=6)) + "." for _ in range(40)]
    index.add(
        Document(
            f"d{n}",
            "".join(f"# {n} {m}\n\n{random.choice(sentences)}\n\n" for m in range(n % 4 + 1)),
            metadata={"format": "markdown", "even": n % 2 == 0},
        )
        for n in range(40)
    )
    return index


@pytest.mark.parametrize("retriever", RETRIEVERS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"group": "document"},
        {"copies": True, "where": "even == true"},
        {"min_relevance": 0.2},
    ],
    ids=str,
)
def test_pages_are_the_list(orchard: Index, retriever: Any, options: dict[str, Any]) -> None:
    whole = orchard.search("red apple", 200, retriever=retriever, **options)
    for size in (1, 7, 30):
        pages = []
        while page := orchard.search(
            "red apple", size, offset=len(pages), retriever=retriever, **options
        ):
            pages += page
            assert len(page) == size or len(pages) == len(whole)
        assert [hit.passage for hit in pages] == [hit.passage for hit in whole]
        assert pages == whole


def test_pages_of_rescored_hits(orchard: Index) -> None:
    whole = orchard.search("red apple", 40, retriever="late", rescore=10)
    for offset in (0, 3, 8, 30):
        page = orchard.search("red apple", 5, offset=offset, retriever="late", rescore=10)
        assert [hit.passage for hit in page] == [hit.passage for hit in whole[offset : offset + 5]]


def test_a_batch_has_pages_too(orchard: Index) -> None:
    queries = ["red apple", "plum", "nothing of this"]
    for hits, query in zip(orchard.search_batch(queries, 4, offset=6), queries, strict=True):
        assert [hit.passage for hit in hits] == [
            hit.passage for hit in orchard.search(query, 10)[6:]
        ]
    for offset in (10_000, 2**63, 10**30):
        assert orchard.search("plum", 5, offset=offset) == []
        assert orchard.search("plum", 5, offset=offset, group="document") == []


@pytest.mark.parametrize("offset", [-1, True, 1.5, "3", None])
def test_wrong_offsets(orchard: Index, offset: Any) -> None:
    with pytest.raises(InputError, match="offset must be a whole number of at least 0"):
        orchard.search("plum", offset=offset)
