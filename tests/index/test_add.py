"""What `add` is given beside documents: ready-made passages, vectors for some, bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders import Precomputed
from retrieval.errors import InputError
from retrieval.index import AddReport, Index
from retrieval.types import Document, LateOptions

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids

TEXT = "Locks are taken. Readers wait for none. Rotary positions need no table."
EIGHT_BITS = 0.5 / 127  # what a number of a stored vector may be off
SPANS = [(0, 16), (10, 39), (40, len(TEXT))]


def passages(index: Index) -> list[tuple[str, int, int, int]]:
    return [(p.document_id, p.ordinal, p.start, p.end) for p, _ in index.vectors()]


def test_bad_documents_are_left_out_and_reported(index: Index) -> None:
    index.add([FOX, DOG])
    bad: list[Any] = [
        FOX,
        Document("", "no id"),
        Document("nan", "text", metadata={"x": float("nan")}),
        "no document",
        Document(DOG.id, "other words"),
        CAT,
        Document("surrogate", "\ud800"),
    ]
    with pytest.raises(InputError, match="document id '' is not a text"):
        index.add(bad)
    assert len(index) == 2
    report = index.add(bad, on_error="skip")
    assert (report.added, report.updated, report.unchanged) == (1, 1, 1)
    assert [(one.place, one.id) for one in report.refused] == [
        (1, ""),
        (2, "nan"),
        (3, None),
        (6, "surrogate"),
    ]
    assert "str is not a Document" in report.refused[2].reason
    assert sorted(index.ids()) == sorted([FOX.id, DOG.id, CAT.id])
    assert index.get(DOG.id).text == "other words"  # type: ignore[union-attr]
    assert index.add([], on_error="skip") == AddReport(0, 0, 0, ())
    with pytest.raises(InputError, match="on_error='ignore' is unknown; give 'raise' or 'skip'"):
        index.add([], on_error="ignore")  # type: ignore[call-overload]


def test_ready_made_passages_are_kept(index: Index, encoder: FakeEncoder) -> None:
    document = Document("a", TEXT)
    assert index.add([document, DOG], passages=[SPANS, None]) == 2
    assert passages(index) == [
        *[("a", at, *span) for at, span in enumerate(SPANS)],
        (DOG.id, 0, 0, len(DOG.text)),
    ]
    assert index.search("rotary", k=1)[0].text == TEXT[40:]
    before = len(encoder.encoded)
    assert index.add([document], passages=[SPANS]) == 0  # as it was
    assert index.add([document], passages=[SPANS[1:]]) == 1
    assert len(encoder.encoded) == before  # they keep their vectors
    assert passages(index)[:2] == [("a", 0, 10, 39), ("a", 1, 40, len(TEXT))]
    assert index.add([document]) == 1  # to be cut again
    assert passages(index)[0] == ("a", 0, 0, len(TEXT))
    assert index.add([document], passages=[[]]) == 1
    assert [one[0] for one in passages(index)] == [DOG.id]
    assert index.verify() == []


@pytest.mark.parametrize("late", [LateOptions(), LateOptions(exact_passages=0)])
def test_ready_made_passages_with_their_vectors(tmp_path: Path, late: LateOptions) -> None:
    maker = FakeEncoder()
    made = maker._encode([*(TEXT[start:end] for start, end in SPANS), DOG.text])
    with Index.create(tmp_path / "i", encoder=Precomputed(32, 16), late=late) as index:
        index.add([Document("a", TEXT), DOG], passages=[SPANS, None], embeddings=made)
        assert [one[:2] for one in passages(index)] == [("a", 0), ("a", 1), ("a", 2), (DOG.id, 0)]
        kept = np.concatenate([own.dense for _, own in index.vectors() if own.dense is not None])
        np.testing.assert_allclose(kept, made.dense, atol=EIGHT_BITS)
        asked = maker._encode(["Rotary positions"])
        hit = index.search(vector=asked.dense, tokens=asked.tokens, k=1)[0]
        assert (hit.document_id, hit.passage.ordinal) == ("a", 2)
        index.compact()
        assert len(passages(index)) == 4 and index.verify() == []


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 500)], r"passage \(0, 500\) of document 'a' is not a part of its 71 characters"),
        ([(5, 5)], "parts that are not blank"),
        ([(16, 17)], "parts that are not blank"),
        ([(10, 20), (0, 5)], "in the order of their starts"),
        ([(-1, 5)], "is not a part of its 71"),
        ([3], r"\[3\] is not a list of passages; give \(start, end\)"),
        ([("0", 5)], "is not a list of passages"),
        (7, "7 is not a list of passages"),
    ],
)
def test_passages_that_are_none(index: Index, spans: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        index.add([Document("a", TEXT)], passages=[spans])
    assert len(index) == 0


def test_numbers_of_passages_and_vectors_must_fit(tmp_path: Path, index: Index) -> None:
    with pytest.raises(InputError, match="passages of 1 documents were given for 2 documents"):
        index.add([FOX, DOG], passages=[None])
    with Index.create(tmp_path / "p", encoder=Precomputed(2)) as foreign:
        for vectors in ([[1, 0]], [[1, 0], None, [0, 1]]):
            with pytest.raises(InputError, match="vectors were given for 2 passages"):
                foreign.add([FOX, DOG], embeddings=vectors)
        report = foreign.add(
            [FOX, Document("a", TEXT), DOG],
            passages=[None, [(9, 3)], None],
            embeddings=[[1, 0], [1, 1], [0, 1]],
            on_error="skip",
        )
        assert (report.added, [one.id for one in report.refused]) == (2, ["a"])
        assert [own.dense.tolist() for _, own in foreign.vectors() if own.dense is not None] == [
            [[0, 1]],  # DOG's own
            [[1, 0]],
        ]


def test_a_passage_longer_than_the_encoder_reads_is_refused(tmp_path: Path) -> None:
    long = "word " * 2000
    message = r"has 2000 tokens; encoder 'fake-words' reads \d+ beside its context: give shorter"
    with (
        Index.create(tmp_path / "i", encoder=FakeEncoder()) as index,
        pytest.raises(InputError, match=message),
    ):
        index.add([Document("a", long)], passages=[[(0, len(long))]])


@pytest.mark.parametrize("dims", [(2, None), (None, 16), (2, 16)])
def test_documents_without_vectors_are_found_by_their_words(
    tmp_path: Path, dims: tuple[int | None, int | None]
) -> None:
    with Index.create(tmp_path / "i", encoder=Precomputed(*dims)) as index:
        some: Any = [[1, 0], None, [0, 1]] if dims == (2, None) else [None] * 3
        assert index.add([FOX, DOG, CAT], embeddings=some) == 3
        assert index.add([FOX, DOG, CAT], embeddings=some) == 0
        assert index.add([], embeddings=[]) == 0
        with pytest.raises(InputError):
            index.add([], embeddings=np.ones((1, 2)))
        index.add([Document("more", "More of a lazy fox.")], embeddings=[None])
        for _ in range(2):
            assert ids(index.search("lazy", retriever="lexical"))[0] == DOG.id
            if dims == (2, None):
                by_vector = index.search(vector=[1, 0.5])
                assert ids(by_vector) == [FOX.id, CAT.id]
                both = index.search("lazy dog", vector=[1, 0.5])
                assert set(ids(both)) == {FOX.id, CAT.id, DOG.id, "more"}
                (dog,) = [hit for hit in both if hit.document_id == DOG.id]
                assert "dense" not in dog.ranks and 0 <= dog.relevance <= 1
            elif dims[0] is None:
                assert index.search(tokens=np.eye(2, 16)) == []
            kept = {p.document_id: own.dense for p, own in index.vectors()}
            assert kept[DOG.id] is None and (kept[FOX.id] is None) == (dims != (2, None))
            assert index.verify() == []
            index.compact()
        index.delete([DOG.id, FOX.id])
        index.compact()
        assert index.status().dead_passages == 0


def test_documents_without_words_are_found_by_their_vectors(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=Precomputed(2)) as index:
        documents = [Document("x", ""), Document("y", " \n"), FOX, Document("none", "")]
        index.add(documents, embeddings=[[1, 0], [0.9, 0.1], [0, 1], None])
        for _ in range(2):
            found = index.search(vector=[1, 0])
            assert ids(found) == ["x", "y", FOX.id]  # no text is not one text
            assert [hit.text for hit in found[:2]] == ["", ""] and found[0].copies == ()
            assert set(ids(index.search("fox", vector=[1, 0]))) == {"x", "y", FOX.id}
            assert ids(index.search("fox", retriever="lexical")) == [FOX.id]
            assert ids(index.similar("x")) == ["y", FOX.id]
            assert index.verify() == []
            index.compact()
        index.delete(["x"])
        assert index.get("none") == Document("none", "")
        assert ids(index.search(vector=[1, 0], group="document")) == ["y", FOX.id]


def test_missing_vectors_are_made_where_there_is_a_model(tmp_path: Path) -> None:
    encoder = FakeEncoder(token_dim=None)
    with Index.create(tmp_path / "i", encoder=encoder) as index:
        other = np.eye(1, 32)[0]
        index.add([FOX, DOG], embeddings=[other, None])
        kept = {p.document_id: own.dense for p, own in index.vectors()}
        assert kept[FOX.id].tolist() == [other.tolist()]  # type: ignore[union-attr]
        made = encoder._encode([DOG.text]).dense
        assert made is not None and kept[DOG.id] is not None
        np.testing.assert_allclose(kept[DOG.id], made, atol=EIGHT_BITS)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="give them for all or for none"):
            index.add(
                [Document("a", TEXT)], passages=[[(0, 16), (17, 39)]], embeddings=[other, None]
            )
