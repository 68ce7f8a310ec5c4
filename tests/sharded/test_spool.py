"""Documents on their way to the shards: stored as data, read back as they were."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retrieval.documents import chunk, discover, read
from retrieval.documents.outline import Block, Mark, Outline, Section
from retrieval.errors import IndexCorrupted
from retrieval.sharded.partition import shard_of
from retrieval.sharded.spool import Incoming, Spooled, SpoolSection, merged, spool, spooled
from retrieval.sharded.storage import ObjectStorage
from retrieval.types import Document

from ..docs.pages import ROOT
from ..index.fake_encoder import FakeEncoder
from .conftest import Storage
from .samples import documents


@pytest.fixture
def place(folder: Storage) -> ObjectStorage:
    return ObjectStorage(folder.url)


def stored(place: ObjectStorage, several: list[Incoming], shards: int = 3) -> Spooled:
    return spool(place, "spool", shards, several)


def test_each_shard_gets_its_documents_in_their_order(place: ObjectStorage) -> None:
    several = [Incoming(document) for document in documents(40)]
    found = stored(place, several)
    for shard in range(3):
        own = [one for one in several if shard_of(one.document.id, 3) == shard]
        assert list(spooled(place, found.sections[shard])) == own
        assert found.documents[shard] == len(own)


def test_what_is_read_of_files_is_cut_as_before(place: ObjectStorage) -> None:
    """Headings, tables, code with its definitions, cells: all that an outline holds."""
    spans = FakeEncoder().token_spans
    several = []
    for file in discover([ROOT / "docs", ROOT / "retrieval" / "sharded", ROOT / "examples"], ROOT):
        result = read(file)
        for document, outline in zip(result.documents, result.outlines, strict=True):
            several.append(Incoming(document, outline, result.reader, file.id))
    found = stored(place, several, shards=1)
    again = list(spooled(place, found.sections[0]))
    assert len(again) == len(several) > 30
    for one, other in zip(several, again, strict=True):
        assert replace(other, outline=None) == replace(one, outline=None)
        assert chunk(other.document, spans, outline=other.outline) == chunk(
            one.document, spans, outline=one.outline
        )


@pytest.mark.parametrize(
    "text", ["", "a\nb\r\nc\x0b\x85\u2028d", "\ud800 alone", "日本語 \U0001f408"]
)
def test_any_text_comes_back(place: ObjectStorage, text: str) -> None:
    one = Incoming(Document("id " + text, text, text, {"given": [text, None, 1.5, {"a": True}]}))
    found = stored(place, [one], shards=1)
    assert list(spooled(place, found.sections[0])) == [one]


def test_the_digest_is_that_of_the_documents(
    place: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [Incoming(document) for document in documents(40)]
    whole = stored(place, several)
    monkeypatch.setattr("retrieval.sharded.spool.PIECE_BYTES", 500)
    pieces = stored(place, several)
    assert len(pieces.sections[0]) > len(whole.sections[0])
    assert pieces.digest == whole.digest
    assert list(spooled(place, pieces.sections[0])) == list(spooled(place, whole.sections[0]))
    assert stored(place, several[1:]).digest != whole.digest
    assert stored(place, [replace(several[0], reader="x"), *several[1:]]).digest != whole.digest


def test_several_readers_make_one(place: ObjectStorage) -> None:
    several = [Incoming(document) for document in documents(40)]
    both = merged([stored(place, several[:15]), stored(place, several[15:])])
    whole = stored(place, several)
    assert both.documents == whole.documents
    for shard in range(3):
        assert list(spooled(place, both.sections[shard])) == list(
            spooled(place, whole.sections[shard])
        )
    assert Spooled.from_json(both.to_json(), "here") == both


class Executed:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.file,))


def sections_of(place: ObjectStorage, content: bytes) -> Iterator[SpoolSection]:
    place.put("spool/x", content)
    yield SpoolSection("spool/x", 0, len(content), hashlib.sha256(content).hexdigest())


def test_nothing_that_is_stored_is_executed(place: ObjectStorage, tmp_path: Path) -> None:
    content = pickle.dumps(Executed(tmp_path / "executed"))
    with pytest.raises(IndexCorrupted, match="holds no documents"):
        list(spooled(place, sections_of(place, content)))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"[]\n", b"{}\n", b"1\n", b'["a"]\n', b"[" * 100_000])
def test_what_is_no_document_is_refused(place: ObjectStorage, content: bytes) -> None:
    with pytest.raises(IndexCorrupted, match="run the build again"):
        list(spooled(place, sections_of(place, content)))


@pytest.mark.parametrize(
    "wrong",
    [
        Outline(blocks=[Block("table", 0, 99)]),
        Outline(sections=[Section("T", 1, -1, 0, 2)]),
        Outline(marks=[Mark(2, "page", 2), Mark(0, "page", 1)]),
        Outline(blocks=[Block("code", 0, 1, doc=(0, 4))]),
        Outline(sentences=1),  # type: ignore[arg-type]
        Outline(blocks=[Block("image", 0, 1)]),  # type: ignore[arg-type]
    ],
)
def test_an_outline_that_its_text_does_not_have_is_refused(
    place: ObjectStorage, wrong: Outline
) -> None:
    found = stored(place, [Incoming(Document("id", "abc"), wrong)], shards=1)
    with pytest.raises(IndexCorrupted, match="run the build again"):
        list(spooled(place, found.sections[0]))


def test_what_changed_or_is_gone_is_refused(place: ObjectStorage) -> None:
    found = stored(place, [Incoming(documents(1)[0])], shards=1)
    (section,) = found.sections[0]
    content = place.read(section.name)
    assert content is not None
    place.put(section.name, content.replace(b"w1", b"w2"))
    with pytest.raises(IndexCorrupted, match="was altered"):
        list(spooled(place, [section]))
    place.delete([section.name])
    with pytest.raises(IndexCorrupted, match="is missing"):
        list(spooled(place, [section]))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"sections": [1]}', b'{"sections": []}'])
def test_a_record_of_another_kind_is_refused(content: bytes) -> None:
    with pytest.raises(IndexCorrupted, match="is not a record of documents"):
        Spooled.from_json(content, "here")
