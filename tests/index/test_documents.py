"""Documents as they go in, change, go, and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.errors import (
    InputError,
)
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids


def test_wrong_documents_and_ids(index: Index) -> None:
    with pytest.raises(InputError, match="None was given; give Documents"):
        index.add(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="nothing was named"):
        index.delete(None)
    with pytest.raises(InputError, match="id 1 is not a text"):
        index.delete([1])  # type: ignore[list-item]
    assert index.status().generation == 0


def test_an_update_replaces_and_an_equal_document_costs_nothing(
    index: Index, encoder: FakeEncoder
) -> None:
    index.add([FOX, DOG])
    generation, encoded = index.status().generation, len(encoder.encoded)
    assert index.add([FOX, DOG]) == 0
    assert (index.status().generation, len(encoder.encoded)) == (generation, encoded)
    assert index.add([Document("dog.txt", "A parrot talks.")]) == 1
    assert ids(index.search("parrot", retriever="lexical")) == ["dog.txt"]
    assert index.search("lazy", retriever="lexical") == []
    assert index.get("dog.txt") == Document("dog.txt", "A parrot talks.")
    assert index.status().documents == 2
    assert index.status().dead_passages == 1


def test_new_metadata_alone_are_not_encoded(index: Index, encoder: FakeEncoder) -> None:
    index.add([FOX, DOG])
    encoded = len(encoder.encoded)
    assert index.add([Document(DOG.id, DOG.text, metadata={"lang": "xx"})]) == 1
    assert len(encoder.encoded) == encoded
    assert ids(index.search("dog", where='lang == "xx"')) == ["dog.txt"]
    assert index.get("dog.txt") == Document(DOG.id, DOG.text, metadata={"lang": "xx"})
    assert index.add([Document(DOG.id, DOG.text, "Title", {"lang": "xx"})]) == 1
    assert len(encoder.encoded) == encoded + 1  # the encoder reads the title
    assert index.verify() == []


def test_of_an_id_given_twice_the_last_wins(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = [Document("a", f"version{n} of it") for n in range(9)]
    assert index.add([*versions[:5], DOG]) == 2
    assert index.get("a") == versions[4]
    # each is encoded when it is given
    monkeypatch.setattr(
        "retrieval.index.writing.encoding.BLOCK_CHARACTERS", 1
    )  # encoded when given
    assert index.add(versions[5:]) == 1
    assert index.get("a") == versions[8]
    assert ids(index.search("version8", retriever="lexical")) == ["a"]
    assert index.search("version7", retriever="lexical") == []
    assert index.add([versions[1], versions[8], versions[1], versions[8]]) == 1
    assert index.get("a") == versions[8]
    assert (index.status().documents, index.status().passages) == (2, 2)
    assert index.verify() == []


def test_delete(index: Index) -> None:
    index.add([FOX, DOG, CAT])
    assert index.delete(["dog.txt", "dog.txt", "unknown"]) == 1
    assert index.delete(["dog.txt"]) == 0
    assert index.get("dog.txt") is None
    for retriever in RETRIEVERS:
        assert "dog.txt" not in ids(index.search("lazy dog", retriever=retriever))
    with pytest.raises(InputError, match="one id"):
        index.delete("fox.txt")
    assert index.delete(["fox.txt", "cat.txt"]) == 2
    assert index.search("fox") == []
    assert index.verify() == []
    index.add([DOG])
    assert ids(index.search("lazy dog")) == ["dog.txt"]


def test_documents_without_words_are_kept_and_not_found(index: Index) -> None:
    empty, blank = Document("empty", ""), Document("blank", " \n ", metadata={"a": 1})
    assert index.add([empty, blank]) == 2
    assert index.get("empty") == empty
    assert index.get("blank") == blank
    assert (index.status().documents, index.status().passages) == (2, 0)
    assert index.search("anything") == []
    assert index.verify() == []


def test_texts_come_back_as_they_went_in(index: Index) -> None:
    texts = ["nul \0 inside", "\ufeffmark", "a\r\nb\rc\u2028d", "𝔘𝔫𝔦 \U0010ffff", "é e\u0301"]
    documents = [
        Document(f"id {n} \0 {text}", f"{text} word{n}", text, {"k\n": [1, 2.5, None, {"x": text}]})
        for n, text in enumerate(texts)
    ]
    index.add(documents)
    for n, document in enumerate(documents):
        assert index.get(document.id) == document
        (hit,) = index.search(f"word{n}", retriever="lexical")
        assert hit.text == document.text[hit.passage.start : hit.passage.end]
        assert f"word{n}" in hit.text


def test_lines_of_passages(tmp_path: Path) -> None:
    text = "\n\nfirst alpha line\r\nsecond beta line\n\n\nthird gamma line\n" + "tail " * 30
    with Index.create(tmp_path / "i", encoder=FakeEncoder(), passage_tokens=4) as index:
        index.add([Document("a", text)])
        for word, line in (("alpha", 3), ("beta", 4), ("gamma", 7), ("tail", 8)):
            hit = index.search(word, 1, retriever="lexical")[0]
            span = text[hit.passage.start : hit.passage.end]
            assert hit.text == span
            assert hit.start_line == 1 + text[: hit.passage.start].count("\n")
            assert hit.end_line == 1 + text[: hit.passage.end - 1].count("\n")
            assert hit.start_line <= line <= hit.end_line


def test_the_encoder_reads_the_title_where_the_passage_lacks_it(
    index: Index, encoder: FakeEncoder
) -> None:
    index.add(
        [
            Document("a", "some text", "A Title"),
            Document("b", "A Title\n\nsome text", "A Title"),
            Document("c", "untitled text"),
            Document("d", "long", "x" * 1000),
        ]
    )
    assert encoder.encoded == [
        "A Title\nsome text",
        "A Title\n\nsome text",
        "untitled text",
        "x" * 200 + "\nlong",
    ]


def test_a_passage_leaves_room_for_its_title(tmp_path: Path) -> None:
    encoder = FakeEncoder(max_tokens=40)
    with Index.create(tmp_path / "i", encoder=encoder, passage_tokens=40) as index:
        index.add([Document("a", "word " * 200, "a title of six words here")])
        assert index.status().passages > 5
    assert all(len(encoder.token_spans(text)) <= 40 for text in encoder.encoded)


@pytest.mark.parametrize(
    ("document", "match"),
    [
        (Document("", "x"), "id ''"),
        (Document(3, "x"), "id 3"),  # type: ignore[arg-type]
        (Document("a", None), "text None"),  # type: ignore[arg-type]
        (Document("a", "x", None), "title None"),  # type: ignore[arg-type]
        (Document("a", "x\ud800"), "surrogate pair at character 1"),
        (Document("a", "x", metadata={"n": float("nan")}), "metadata of document 'a'"),
        (Document("a", "x", metadata={"n": np.complex64(1)}), "metadata of document 'a'"),
        (Document("a", "x", metadata={1: "n"}), "a key is not a text"),  # type: ignore[dict-item]
        (Document("a", "x", metadata={"n": "\udfff"}), "surrogate"),
        (Document("a", "x", metadata=[1]), "metadata of document 'a'"),  # type: ignore[arg-type]
        ("just text", "str is not a Document"),
    ],
)
def test_documents_that_cannot_be_stored(index: Index, document: Any, match: str) -> None:
    index.add([DOG])
    with pytest.raises(InputError, match=match):
        index.add([FOX, document])
    assert index.get("fox.txt") is None  # nothing of the call that failed before a commit
    assert index.verify() == []
    with pytest.raises(InputError, match="one Document"):
        index.add(DOG)  # type: ignore[arg-type]


def test_metadata_are_stored_as_json(index: Index) -> None:
    given = {"pair": (1, 2), "nested": {"10": 1, "9": 2}, "big": 2**70, "text": "ä"}
    index.add([Document("a", "x", metadata=given)])
    stored = index.get("a")
    assert stored is not None
    assert stored.metadata == given | {"pair": [1, 2]}
    assert index.add([Document("a", "x", metadata=given)]) == 0
    assert index.verify() == []


def test_documents_stream_and_commits_come_on_the_way(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.index.writing.writer.COMMIT_CHANGES", 5)
    seen = []

    def documents() -> Iterator[Document]:
        for n in range(23):
            seen.append(index.status().documents)  # the same Index sees its own commits
            yield Document(f"d{n}", f"word{n}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.add(documents())
    assert seen == [n - n % 5 for n in range(23)]
    assert index.status().documents == 20
    assert index.verify() == []
    assert len(list((index.path / "segments").iterdir())) == index.status().segments
    assert index.add(Document(f"d{n}", f"word{n}") for n in range(23)) == 3


def test_a_document_larger_than_memory_allows_is_still_one_commit(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.index.writing.encoding.BLOCK_CHARACTERS", 1000)
    monkeypatch.setattr("retrieval.index.writing.encoding.SPILL_FLOATS", 5000)
    text = " ".join(f"word{n}" for n in range(5000))
    index.add([DOG, Document("huge", text), FOX])
    assert index.status().generation <= 2
    for word in ("word0", "word2500", "word4999"):
        assert ids(index.search(word, 1, retriever="late")) == ["huge"]
    assert index.verify() == []
    index.add([Document("huge", "small now")])
    assert index.search("word2500", retriever="lexical") == []
    assert index.status().segments <= 4  # what was all dead went with the commit
    assert index.verify() == []
