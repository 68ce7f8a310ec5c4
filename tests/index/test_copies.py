"""Passages of one text are one hit, which names the others; documents with their passages."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval import Document, Index
from retrieval.errors import InputError
from retrieval.types import RETRIEVERS, Retriever

from .fake_encoder import FakeEncoder
from .samples import ids

LICENCE = "permission is granted to use this text under these terms"


@pytest.fixture
def licences(index: Index) -> Index:
    """Twelve equal licences under one title each, and a page that answers."""
    index.add(
        [Document(f"p{n:02}", LICENCE, f"package {n}", {"even": n % 2 == 0}) for n in range(12)]
    )
    index.add([Document("policy", "who may use the text under which terms the board decides")])
    return index


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_copies_are_one_hit_that_names_the_others(licences: Index, retriever: Retriever) -> None:
    hits = licences.search("use the text under which terms", 5, retriever=retriever)
    assert len(hits) == 2
    folded = next(hit for hit in hits if hit.document_id != "policy")
    assert (folded.copy_count, len(folded.copies)) == (11, 10)
    others = [f"p{n:02}" for n in range(12) if f"p{n:02}" != folded.document_id]
    assert [copy.document_id for copy in folded.copies] == others[:10]
    every = licences.search("use the text under which terms", 20, retriever=retriever, copies=True)
    assert len(every) == 13
    assert all(hit.copies == () and hit.copy_count == 0 for hit in every)
    best = next(hit for hit in every if hit.document_id != "policy")
    assert (best.document_id, best.score) == (folded.document_id, folded.score)
    for k in (1, 2):
        assert licences.search("use the text under which terms", k, retriever=retriever) == hits[:k]


def test_a_filter_holds_for_copies_too(licences: Index) -> None:
    hits = licences.search(LICENCE, 5, where="even == true")
    assert (hits[0].copy_count, len(hits[0].copies)) == (5, 5)
    assert {copy.document_id for copy in hits[0].copies} < {f"p{n:02}" for n in range(0, 12, 2)}
    licences.delete([f"p{n:02}" for n in range(1, 12)])
    assert licences.search(LICENCE, 5)[0].copy_count == 0


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_the_list_is_filled_however_many_copies_there_are(
    tmp_path: Path, retriever: Retriever
) -> None:
    with Index.create(tmp_path, encoder=FakeEncoder()) as index:
        index.add([Document(f"copy{n:03}", "the hen lays an egg") for n in range(700)])
        index.add([Document(f"own{n:02}", f"the hen lays egg number {n}") for n in range(30)])
        hits = index.search("the hen lays an egg", 20, retriever=retriever)
        assert len(hits) == len(set(ids(hits))) == 20
        assert ids(hits)[0] == "copy000"
        assert hits[0].copy_count == 699
        deeper = index.search("the hen lays an egg", 40, retriever=retriever)
        assert len(deeper) == 31
        assert deeper[:20] == hits


def test_what_is_nearly_the_same_stays(index: Index) -> None:
    """White space alone is no difference; a capital or a comma is."""
    index.add(
        [
            Document("a", "the hen\nlays   an egg"),
            Document("b", "the hen lays an egg"),
            Document("c", "The hen lays an egg"),
            Document("d", "the hen lays an egg,"),
        ]
    )
    hits = index.search("hen egg", 5)
    assert sorted(ids(hits)) == ["a", "c", "d"]
    assert [copy.document_id for hit in hits for copy in hit.copies] == ["b"]


def test_copies_within_a_document_are_named_by_their_ordinal(tmp_path: Path) -> None:
    with Index.create(tmp_path, encoder=FakeEncoder(), passage_tokens=6) as index:
        index.add([Document("a", "The hen lays an egg. " * 3)])
        (hit,) = index.search("hen", 5)
        assert hit.passage.ordinal == 0
        assert [copy.ordinal for copy in hit.copies] == [1, 2]


def long_and_short(path: Path) -> Index:
    index = Index.create(path, encoder=FakeEncoder(), passage_tokens=8)
    sheds = " ".join(f"The hen is in shed {n}." for n in range(9))
    index.add(
        [
            Document("long", sheds),
            Document("short", "The fox waits for the hen."),
            Document("other", "Milk is for cats. The cow gives milk."),
        ]
    )
    return index


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_documents_with_their_best_passages(tmp_path: Path, retriever: Retriever) -> None:
    with long_and_short(tmp_path) as index:
        flat = index.search("where is the hen", 50, retriever=retriever)
        grouped = index.search("where is the hen", 3, retriever=retriever, group="document")
        assert ids(grouped) == list(dict.fromkeys(ids(flat)))
        for hit in grouped:
            assert [hit.score, *(other.score for other in hit.others)] == [
                one.score for one in flat if one.document_id == hit.document_id
            ]
            assert {other.document_id for other in hit.others} <= {hit.document_id}
            assert all(other.highlights for other in hit.others if "hen" in other.text)
        long = next(hit for hit in grouped if hit.document_id == "long")
        assert len(long.others) == 8
        assert len({hit.passage.ordinal for hit in (long, *long.others)}) == 9
        for k in (1, 2):
            some = index.search("where is the hen", k, retriever=retriever, group="document")
            assert some == grouped[:k]


def test_an_unknown_group_is_refused(index: Index) -> None:
    with pytest.raises(InputError, match="group='file' is unknown; give 'document' or None"):
        index.search("hen", group="file")  # type: ignore[arg-type]
