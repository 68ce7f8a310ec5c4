"""The façade, as a user meets it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.errors import (
    FilterError,
    IndexNotFound,
    InputError,
    StorageError,
)
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document, Hit, Passage, ProgressUpdate

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids


def test_a_hit_says_where_it_comes_from(index: Index) -> None:
    assert index.add([FOX, DOG]) == 2
    (hit, *_) = index.search("brown fox", retriever="lexical")
    assert hit == Hit(
        document_id="fox.txt",
        passage=Passage("fox.txt", 0, 0, len(FOX.text)),
        text=FOX.text,
        title="Foxes",
        path="fox.txt",
        start_line=1,
        end_line=2,
        score=hit.score,
        scores={"lexical": hit.score},
        ranks={"lexical": 1},
        highlights=((10, 15), (16, 19)),
        metadata=FOX.metadata,
        context="Foxes",
        relevance=hit.relevance,
    )
    assert 0 < hit.relevance < 1
    assert index.search("sleeps", retriever="lexical")[0].path is None
    (bare, *_) = index.search("brown fox", retriever="lexical", highlights=False)
    assert bare == replace(hit, highlights=())


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_every_retriever_finds(index: Index, retriever: Any) -> None:
    index.add([FOX, DOG, CAT])
    assert ids(index.search("lazy dog", retriever=retriever))[0] == "dog.txt"
    assert ids(index.search("Katze", retriever=retriever))[0] == "cat.txt"
    assert ids(index.search("sleeps", 1, retriever=retriever)) == ["dog.txt"]


def test_hybrid_hits_carry_what_each_retriever_said(index: Index) -> None:
    index.add([FOX, DOG, CAT])
    hits = index.search("lazy dog")
    assert ids(hits)[:2] == ["dog.txt", "fox.txt"]
    alone = {name: index.search("lazy dog", retriever=name) for name in RETRIEVERS[:3]}
    for hit in hits:
        for name, found in alone.items():
            scores = {other.document_id: other.score for other in found}
            ranks = {other.document_id: at for at, other in enumerate(found, start=1)}
            assert hit.ranks.get(name) == ranks.get(hit.document_id)
            if name in hit.ranks:
                # Several scored at once and one alone round differently.
                assert hit.scores[name] == pytest.approx(scores[hit.document_id], rel=1e-5)
            assert (name in hit.scores) == (name in hit.ranks)
    assert set(hits[0].ranks) == {"lexical", "dense", "late"}
    assert "lexical" not in hits[2].ranks  # no word in common with the query


def test_hybrid_candidates_are_scored_by_every_retriever(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.index.reading import search

    monkeypatch.setattr(search, "HYBRID", replace(search.HYBRID, candidates=3))
    index.add(Document(f"d{n}", f"word{n} common " + "filler " * n) for n in range(40))
    hits = index.search("word7 common", k=3)
    assert ids(hits)[0] == "d7"
    for name in RETRIEVERS[:3]:
        exact = {
            hit.document_id: hit.score for hit in index.search("word7 common", 40, retriever=name)
        }
        for hit in hits:  # scored by each of them, whoever proposed it
            assert hit.scores[name] == pytest.approx(exact[hit.document_id], rel=1e-5)


def test_where_comes_before_the_top_k(index: Index) -> None:
    near = [Document(f"near{n}", "red apple", metadata={"kind": "near"}) for n in range(30)]
    far = Document("far", "red apple pie with much else in it", metadata={"kind": "far"})
    index.add([*near, far])
    for retriever in RETRIEVERS:
        assert ids(index.search("red apple", 1, retriever=retriever, where='kind == "far"')) == [
            "far"
        ]
        assert index.search("red apple", retriever=retriever, where='kind == "none"') == []
    assert ids(index.search("apple", where='id glob "near*" and id in ["near3", "far"]')) == [
        "near3"
    ]
    with pytest.raises(FilterError):
        index.search("apple", where="kind ==")


def test_a_batch_answers_as_single_searches_do(index: Index, encoder: FakeEncoder) -> None:
    index.add([FOX, DOG, CAT])
    queries = ["lazy dog", "Katze", "nothing of this", "fox"]
    for retriever in RETRIEVERS:
        before = encoder.queries
        batch = index.search_batch(queries, 2, retriever=retriever)
        assert encoder.queries - before == (retriever != "lexical")
        assert [ids(hits) for hits in batch] == [
            ids(index.search(query, 2, retriever=retriever)) for query in queries
        ]
    assert index.search_batch([]) == []


def test_wrong_questions(index: Index) -> None:
    index.add([FOX, DOG])
    for query in ("", " \n\t"):
        with pytest.raises(InputError, match="query is empty"):
            index.search(query)
    for k in (0, -1, True, 1.5, "3"):
        with pytest.raises(InputError, match="k="):
            index.search("fox", k)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'sparse' is unknown; choose from lexical"):
        index.search("fox", retriever="sparse")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one query"):
        index.search_batch("fox")
    with pytest.raises(InputError, match="not a text"):
        index.search(None)  # type: ignore[arg-type]
    with pytest.raises(FilterError, match="is not a text, a dict or a Filter"):
        index.search("fox", where=["year"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give a Hybrid"):
        index.search("fox", hybrid={"lexical": 0})  # type: ignore[arg-type]


def test_wrong_documents_and_ids(index: Index) -> None:
    with pytest.raises(InputError, match="None was given; give Documents"):
        index.add(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="nothing was named"):
        index.delete(None)
    with pytest.raises(InputError, match="id 1 is not a text"):
        index.delete([1])  # type: ignore[list-item]
    assert index.status().generation == 0


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_odd_questions(index: Index, retriever: Any) -> None:
    assert index.search("fox", retriever=retriever) == []  # an empty index
    index.add([FOX, DOG])
    assert len(index.search("dog", 10**12, retriever=retriever)) <= 2
    endless = index.search("dog " * 500_000, retriever=retriever)
    assert "dog.txt" in ids(endless)
    punctuation = index.search("?!.", retriever=retriever)
    assert (punctuation == []) == (retriever == "lexical")
    assert index.search('") OR * AND [', retriever=retriever) is not None


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


def test_no_index_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(IndexNotFound, match="make one with `retrieval index PATH`"):
            Index.open(path)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]  # left as it was


def test_where_no_index_can_be_made(tmp_path: Path, encoder: FakeEncoder) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="no index can be made"):
        Index.create(tmp_path / "file", encoder=encoder)
    with pytest.raises(StorageError, match="holds other files"):
        Index.create(tmp_path, encoder=encoder)
    Index.create(tmp_path / "i", encoder=encoder).close()
    with pytest.raises(StorageError, match=r"there is an index .* already"):
        Index.create(tmp_path / "i", encoder=encoder)


def test_an_index_whose_making_was_cut_short_is_none_and_can_be_made(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    folder = tmp_path / "i"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "store.sqlite").touch()
    with pytest.raises(IndexNotFound):
        Index.open(folder)
    with Index.create(folder, encoder=encoder) as index:
        assert index.add([DOG]) == 1


def test_a_moved_and_a_copied_index_work(
    index: Index, tmp_path: Path, encoder: FakeEncoder
) -> None:
    index.add([FOX, DOG, CAT])
    index.delete(["cat.txt"])
    shutil.copytree(index.path, tmp_path / "copy of it")  # while it is open
    expected = index.search("dog")
    index.close()
    index.path.rename(tmp_path / "moved")
    for name in ("copy of it", "moved"):
        with Index.open(tmp_path / name, encoder=encoder) as other:
            assert other.search("dog") == expected
            assert other.verify() == []
            assert other.add([CAT]) == 1
            assert other.verify() == []


def test_a_relative_path_stays_the_same_folder(
    tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Index.create("i", encoder=encoder) as index:
        monkeypatch.chdir("/")
        index.add([DOG])
        assert index.refresh() is False
        assert ids(index.search("dog")) == ["dog.txt"]
        assert index.verify() == []
        assert index.path == tmp_path / "i"


def test_a_closed_index_says_so(index: Index) -> None:
    index.close()
    index.close()
    for act in (
        lambda: index.search("x"),
        lambda: index.add([DOG]),
        lambda: index.get("x"),
        index.status,
        index.refresh,
        index.verify,
        index.compact,
    ):
        with pytest.raises(StorageError, match="was closed"):
            act()


def test_status(index: Index) -> None:
    index.add([FOX, DOG, Document("empty", "")])
    index.delete(["dog.txt"])
    status = index.status()
    assert (status.documents, status.passages, status.dead_passages) == (2, 1, 1)
    assert (status.generation, status.segments, status.files) == (2, 2, 0)
    assert (status.dense_dim, status.token_dim, status.passage_tokens) == (32, 16, 256)
    assert status.path == index.path
    assert status.bytes == sum(
        file.stat().st_size for file in index.path.rglob("*") if file.is_file()
    )
    assert sum(status.bytes_by_part.values()) == status.bytes
    for part, name in (("dense", "*/dense"), ("late", "*/late"), ("lexical", "*-lexical")):
        (folder,) = (index.path / "segments").glob(name)
        # tantivy's lock files are no part of what was committed
        held = [file for file in folder.rglob("*") if not file.name.endswith(".lock")]
        assert status.bytes_by_part[part] == sum(file.stat().st_size for file in held), part
    assert status.bytes_by_part["store"] >= (index.path / "store.sqlite").stat().st_size


def test_compact(index: Index, encoder: FakeEncoder) -> None:
    assert index.compact().dropped_passages == 0  # of nothing
    for n in range(5):
        index.add([Document(f"{n} {m}", f"text{n} and{m} " * 50) for m in range(10)])
    index.delete([f"{n} {m}" for n in range(5) for m in range(4)])
    queries = ["text1 and9", "and9", "text4"]
    before = index.search_batch(queries, retriever="late")
    encoded = len(encoder.encoded)
    report = index.compact()
    assert len(encoder.encoded) == encoded
    assert report.segments_before > report.segments_after == 2
    assert report.dropped_passages == 20
    assert index.status().dead_passages == 0
    assert report.bytes_after < report.bytes_before
    assert index.search_batch(queries, retriever="late") == before
    assert index.verify() == []
    index.add([DOG])
    assert ids(index.search("lazy dog", 1)) == ["dog.txt"]
    assert index.verify() == []


def test_many_small_commits_leave_few_segments(index: Index) -> None:
    for n in range(40):
        index.add([Document(f"d{n}", f"word{n} of a small commit")])
        assert index.status().segments <= 9 + 1
    for retriever in RETRIEVERS:
        for n in (0, 17, 39):
            assert ids(index.search(f"word{n}", 1, retriever=retriever)) == [f"d{n}"]
    on_disk = {path.name for path in (index.path / "segments").iterdir()}
    assert len(on_disk) == index.status().segments
    assert index.verify() == []


def test_progress_counts_up(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.writing.encoding.BLOCK_CHARACTERS", 40)
    seen: list[ProgressUpdate] = []
    documents = [Document(f"d{n}", "five words are in here") for n in range(7)]
    index.add(documents, progress=seen.append)
    assert [now.done for now in seen] == sorted(now.done for now in seen)
    assert len(seen) > 2
    assert seen[-1] == ProgressUpdate("encoding", 7, None, "passages")


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
