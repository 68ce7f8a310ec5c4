"""Vectors in and out: what others made is kept and searched, what is kept is handed out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders import Precomputed
from retrieval.errors import EncoderError, EncoderMismatch, InputError, StorageError
from retrieval.index import Index
from retrieval.types import Document, Embeddings, Hybrid, LateOptions

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids

DOCUMENTS = [FOX, DOG, CAT]
STEP = 1 / 250
"""More than half the step of an 8-bit integer for a component of a unit vector."""


def both(encoder: FakeEncoder, documents: list[Document]) -> Embeddings:
    return encoder._encode([document.text for document in documents])


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Index]:
    """An index without a model."""
    with Index.create(tmp_path / "foreign", encoder=Precomputed(32, 16, "words 1")) as made:
        yield made


def test_vectors_of_others_are_searched_without_a_model(tmp_path: Path, foreign: Index) -> None:
    maker = FakeEncoder()
    assert foreign.add(DOCUMENTS, embeddings=both(maker, DOCUMENTS)) == 3
    asked = maker._encode(["Eine Katze"])
    assert asked.dense is not None and asked.tokens is not None
    with Index.open(tmp_path / "foreign") as again:  # no encoder is named
        assert again.encoder.fingerprint == foreign.encoder.fingerprint
        by_vector = again.search(vector=asked.dense[0])
        assert ids(by_vector)[0] == "cat.txt" and by_vector[0].ranks == {"dense": 1}
        assert again.search("  ", vector=asked.dense[0]) == by_vector
        by_tokens = again.search(tokens=asked.tokens)
        assert ids(by_tokens)[0] == "cat.txt" and by_tokens[0].ranks == {"late": 1}
        fused = again.search(vector=asked.dense[0], tokens=asked.tokens, k=1)
        assert set(fused[0].ranks) == {"dense", "late"} and ids(fused) == ["cat.txt"]
        whole = again.search("Katze", vector=asked.dense[0], tokens=asked.tokens, k=1)
        assert set(whole[0].ranks) == {"lexical", "dense", "late"}
        assert whole[0].highlights and not fused[0].highlights
        assert ids(again.search("Katze", retriever="lexical")) == ["cat.txt"]
        assert 0 <= by_vector[-1].relevance <= by_vector[0].relevance <= 1
        assert again.search(vector=asked.dense[0], where='lang == "en"', offset=1, k=1)
        for ask in (lambda: again.search("Katze"), lambda: again.add([Document("x", "more")])):
            with pytest.raises(EncoderError, match="has no model, its vectors come from elsewhere"):
                ask()
        assert again.verify() == []


def test_given_vectors_answer_as_encoded_ones_do(foreign: Index, index: Index) -> None:
    maker = FakeEncoder()
    plain = [Document(one.id, one.text) for one in DOCUMENTS]  # nothing is read in front of them
    index.add(plain)
    foreign.add(plain, embeddings=both(maker, plain))
    queries = ["lazy dog", "Katze", "fox jumps"]
    asked = maker._encode(queries)
    for retriever in ("dense", "late", "hybrid"):
        expected = index.search_batch(queries, retriever=retriever)  # type: ignore[arg-type]
        found = foreign.search_batch(queries, retriever=retriever, embeddings=asked)  # type: ignore[arg-type]
        for hits, same in zip(found, expected, strict=True):
            assert [hit.passage for hit in hits] == [hit.passage for hit in same]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in same])
    alone = foreign.search_batch(None, embeddings=asked)
    blank = index.search_batch(queries, hybrid=Hybrid(lexical=0))
    assert [ids(hits) for hits in alone] == [ids(hits) for hits in blank]


def test_what_is_given_is_not_encoded(index: Index, encoder: FakeEncoder) -> None:
    asked = FakeEncoder()._encode(["dog"])
    index.add(DOCUMENTS, embeddings=both(FakeEncoder(), DOCUMENTS))
    assert encoder.encoded == []
    index.search("dog", retriever="dense", vector=asked.dense)
    index.search("dog", vector=asked.dense, tokens=asked.tokens)
    assert encoder.queries == 0
    index.search("dog", vector=asked.dense)  # hybrid needs token vectors, too
    assert encoder.queries == 1


def test_other_vectors_replace_those_that_were_there(index: Index, encoder: FakeEncoder) -> None:
    """Whoever made the old ones, and though the document is the same."""
    away = Embeddings(
        *(np.eye(3, dim, dtype=np.float32) for dim in (32, 16)), np.arange(4, dtype=np.int64)
    )
    made = both(encoder, DOCUMENTS)

    def kept() -> dict[str, Any]:
        return {passage.document_id: own.dense for passage, own in index.vectors()}

    assert index.add(DOCUMENTS) == 3
    first = kept()
    assert index.add(DOCUMENTS, embeddings=away) == 3
    assert [kept()[one.id].argmax() for one in DOCUMENTS] == [0, 1, 2]
    assert index.add(DOCUMENTS, embeddings=away) == 0  # as they were
    assert index.add([FOX], embeddings=both(encoder, [FOX])) == 1
    np.testing.assert_allclose(kept()[FOX.id], made.dense[:1], atol=STEP)  # type: ignore[index]
    assert index.add(DOCUMENTS) == 3  # by the encoder again
    assert all((kept()[id] == own).all() for id, own in first.items())


def test_each_document_is_one_passage(foreign: Index) -> None:
    long = Document("long", "\n\n " + "word " * 5000)
    blank = Document("blank", " \n")
    made = FakeEncoder()._encode([long.text[:50], "x"])
    assert foreign.add([long, blank], embeddings=made) == 2
    (blank_one, _), (passage, _) = foreign.vectors()
    assert (blank_one.document_id, blank_one.start, blank_one.end) == ("blank", 0, 0)
    assert long.text[passage.start : passage.end] == long.text.strip()
    assert foreign.ids() == ["blank", "long"]
    assert foreign.compact().segments_after >= 1
    assert len(list(foreign.vectors())) == 2


def test_dense_vectors_alone_are_brought_to_unit_length(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=Precomputed(3)) as index:
        index.add([Document("a", "one"), Document("b", "two")], embeddings=[[3, 0, 4], [0, 2, 0]])
        (hit, other) = index.search(vector=[30, 0, 40])
        assert hit.document_id == "a" and hit.score == pytest.approx(1, abs=2 * STEP)
        assert other.score == pytest.approx(0)
        (_, own), _ = index.vectors()
        np.testing.assert_allclose(own.dense, [[0.6, 0, 0.8]], atol=STEP)
        assert own.tokens is None


@pytest.mark.parametrize("long", [1e-40, 1e-25, 1e25, 3e38])
def test_however_long_vectors_are_they_are_brought_to_unit_length(
    tmp_path: Path, long: float
) -> None:
    """The square of these is no number in single precision."""
    vectors = np.array([[1, 0], [long, long], [0, long]], np.float32)
    with Index.create(tmp_path / "far", encoder=Precomputed(2, None, "far 1")) as index:
        index.add(DOCUMENTS, embeddings=vectors)
        for length in (1, long):
            hits = index.search(vector=np.array([length, 0], np.float32), retriever="dense")
            assert [hit.score for hit in hits] == pytest.approx([1, 0.5**0.5, 0], abs=STEP)


@pytest.mark.parametrize("late", [LateOptions(), LateOptions(exact_passages=0, bits=4)])
def test_all_vectors_are_handed_out(tmp_path: Path, late: LateOptions) -> None:
    encoder = FakeEncoder()
    many = [Document(f"d{n:03}", f"word{n} common word{n % 7}") for n in range(300)]
    with Index.create(tmp_path / "i", encoder=encoder, late=late) as index:
        index.add(many[:150])
        index.add(many[150:])
        index.delete(["d003"])
        index.add([Document("d001", "another text")])
        expected = list(index.documents())
        found = list(index.vectors())
        assert [passage.document_id for passage, _ in found] == [one.id for one in expected]
        made = encoder._encode([one.text for one in expected])
        assert made.dense is not None and made.tokens is not None and made.offsets is not None
        near = []
        for at, (_, own) in enumerate(found):
            assert own.dense is not None and own.tokens is not None and len(own) == 1
            np.testing.assert_allclose(own.dense[0], made.dense[at], atol=STEP)
            tokens = made.tokens[made.offsets[at] : made.offsets[at + 1]]
            assert own.tokens.shape == tokens.shape
            near.append((own.tokens * tokens).sum(axis=1).mean())
        assert np.mean(near) > (0.9 if late.exact_passages == 0 else 0.999)
        assert [p.document_id for p, _ in index.vectors('id in ["d200", "d002"]')] == [
            "d002",
            "d200",
        ]
        stream = index.vectors()
        next(stream)
        with Index.create(tmp_path / "copy", encoder=Precomputed(32, 16)) as copy:
            for passage, own in index.vectors({"id": {"$lt": "d010"}}):
                copy.add([index.get(passage.document_id)], embeddings=own)  # type: ignore[list-item]
            assert len(copy) == 9
    with pytest.raises(StorageError, match="was closed"):
        index.vectors()


def test_windows_come_back_as_they_were(tmp_path: Path) -> None:
    windows = np.eye(3, dtype=np.float32)
    given = Embeddings(windows[:2], None, None, windows, np.array([0, 2, 3], np.int64))
    with Index.create(tmp_path / "i", encoder=Precomputed(3)) as index:
        index.add([Document("a", "one"), Document("b", "two")], embeddings=given)
        (_, first), (_, second) = index.vectors()
        assert first.windows is not None and (first.windows == windows[:2]).all()
        np.testing.assert_allclose(first.dense, [[0.5**0.5, 0.5**0.5, 0]], rtol=1e-6)
        assert second.windows is None and (second.dense == windows[2:]).all()
        assert index.search(vector=windows[1])[0].score == 1


ZERO, NAN = [[0.0] * 32] * 2, [[float("nan")] * 32] * 2
ONES, TOKENS = np.ones((2, 32), np.float32), np.ones((3, 16), np.float32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (ONES, "no token vectors were given; the index needs 16 numbers each"),
        (Embeddings(None, TOKENS, np.array([0, 1, 3])), "no dense vectors were given"),
        (
            Embeddings(ONES[:1], TOKENS, np.array([0, 1, 3])),
            "1 dense vectors were given for 2 passages",
        ),
        (ONES[:, :5], r"shape \(2, 5\); expected rows of 32 numbers"),
        ([[1.0], [1.0, 2.0]], "dense vectors are not an array of numbers"),
        ("nothing", "dense vectors are not an array of numbers"),
        (NAN, "a dense vector holds NaN or infinity"),
        (Embeddings(ZERO, TOKENS, np.array([0, 1, 3])), "a dense vector is all zeros"),  # type: ignore[arg-type]
        (Embeddings(ONES, TOKENS, None), "offsets does not assign 3 vectors to 2"),
        (Embeddings(ONES, TOKENS, np.array([0, 4, 3])), "give 3 ascending numbers from 0 to 3"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(index: Index, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        index.add([FOX, DOG], embeddings=given)
    assert len(index) == 0


def test_queries_that_do_not_fit_are_refused(tmp_path: Path, index: Index) -> None:
    index.add([FOX, DOG])
    for options, message in (
        ({"vector": [1.0, 2.0]}, "expected rows of 32 numbers"),
        ({"vector": ONES}, "vector has 2 rows; give one dense vector"),
        ({"vector": "text"}, "not an array of numbers"),
        ({"tokens": ONES}, "expected rows of 16 numbers"),
        ({"tokens": TOKENS[:0]}, "tokens has no row"),
        ({"vector": ONES[0] * 0}, "all zeros"),
        ({"vector": [10**400] * 32}, "not an array of numbers"),
        ({"vector": [1e300] * 32}, "NaN or infinity"),
        ({"tokens": TOKENS * np.float32(3e38)}, "a token vector of a query is longer than 1e"),
    ):
        with pytest.raises(InputError, match=message):
            index.search("fox", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="None is not a text"):
        index.search()
    with pytest.raises(InputError, match="no queries were given"):
        index.search_batch(None)
    with pytest.raises(InputError, match="2 embeddings were given for 1 queries"):
        index.search_batch(["fox"], embeddings=Embeddings(ONES, None, None))
    with (
        Index.create(tmp_path / "dense", encoder=Precomputed(32)) as dense,
        pytest.raises(InputError, match="the index stores none; leave them out"),
    ):
        dense.search(tokens=TOKENS)


@pytest.mark.parametrize("arguments", [(), (0,), (True,), (3, "x"), (3, None, "")])
def test_wrong_dimensions(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match=r"dim|name"):
        Precomputed(*arguments)


def test_an_index_without_a_model_refuses_other_vectors(tmp_path: Path, foreign: Index) -> None:
    assert Precomputed(32, 16, "words 1").fingerprint == foreign.encoder.fingerprint
    for other in (Precomputed(32, 16, "words 2"), Precomputed(32), FakeEncoder()):
        with pytest.raises(EncoderMismatch):
            Index.open(tmp_path / "foreign", encoder=other)
