"""Indexes of older formats: raised in place when they are opened, or refused; nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from retrieval.errors import IndexCorrupted, IndexFormatError, StorageError
from retrieval.index import Index
from retrieval.store import FORMAT_VERSION, Store
from retrieval.types import Document, LateOptions

from .fake_encoder import FakeEncoder
from .older_formats import of_format
from .samples import CAT, DOG, FOX
from .test_index import ids

DOCUMENTS = [FOX, DOG, Document("empty", "  "), *(Document(f"d{n}", f"word{n}") for n in range(9))]


@pytest.fixture(params=[1, 2, 3])
def older(request: pytest.FixtureRequest, tmp_path: Path, encoder: FakeEncoder) -> Path:
    return of_format(request.param, tmp_path / "i", DOCUMENTS, encoder)


def assert_raised(older: Path, encoder: FakeEncoder) -> None:
    """It opens as an index of today's format with all that it held, and nothing is encoded."""
    encoder.encoded.clear()
    with Index.open(older, encoder=encoder) as index:
        status = index.status()
        assert status.format_version == FORMAT_VERSION
        assert status.documents == len(DOCUMENTS)
        assert len(list((older / "segments").iterdir())) == status.segments
        for document in DOCUMENTS:
            assert index.get(document.id) == document
        for retriever in ("lexical", "dense", "late", "hybrid"):
            assert ids(index.search("lazy dog", retriever=retriever))[0] == "dog.txt"
        assert index.verify() == []
        assert encoder.encoded == []
        index.add([CAT])
        index.delete(["fox.txt"])
        assert index.verify() == []
        assert ids(index.search("lazy dog"))[0] == "dog.txt"


def test_an_older_format_is_raised_when_it_is_opened(older: Path, encoder: FakeEncoder) -> None:
    assert_raised(older, encoder)


def test_what_an_index_was_made_with_stays(tmp_path: Path, encoder: FakeEncoder) -> None:
    for version, exact in ((1, 10_000), (2, None), (3, None)):  # 1 had one way, and did not say it
        older = of_format(version, tmp_path / f"{version}", DOCUMENTS, encoder)
        with Index.open(older, encoder=encoder) as index:
            assert index.status().late == LateOptions(exact_passages=exact)


def test_a_document_that_is_put_again_is_read_as_this_release_reads(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    for version, encoded in ((1, 1), (2, 1), (3, 0)):  # what passages are read with came with 3
        older = of_format(version, tmp_path / f"{version}", DOCUMENTS, encoder)
        with Index.open(older, encoder=encoder) as index:
            encoder.encoded.clear()
            index.add([DOG])
            assert len(encoder.encoded) == encoded


def test_a_text_that_was_altered_before_is_not_shown_after(
    older: Path, encoder: FakeEncoder
) -> None:
    database = sqlite3.connect(older / "store.sqlite")
    with database:
        ((number, text), *_) = database.execute("SELECT document, text FROM texts").fetchall()
        (id,) = database.execute("SELECT id FROM documents WHERE number = ?", (number,)).fetchone()
        database.execute("UPDATE texts SET text = ? WHERE document = ?", ("?" + text[1:], number))
    database.close()
    with Index.open(older, encoder=encoder) as index:
        with pytest.raises(IndexCorrupted, match="was altered"):
            index.search(text, 20)
        index.delete([id])
        assert index.search(text, 20)
        assert index.verify() == []


def test_an_older_format_that_cannot_be_written_is_refused(
    older: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.index.writing.upgrade.os.access", lambda *_: False)
    with pytest.raises(IndexFormatError, match=r"older format and cannot be upgraded to format"):
        Index.open(older, encoder=encoder)


def test_a_failure_leaves_the_older_format(
    older: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("retrieval.index.writing.upgrade.seal", fail)
        with pytest.raises(StorageError, match="gone"):
            Index.open(older, encoder=encoder)
    with pytest.raises(IndexFormatError, match="has to be upgraded"):
        Store(older)
    assert_raised(older, encoder)


def test_dense_vectors_of_an_older_format_that_are_damaged_are_named(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    older = of_format(3, tmp_path / "i", DOCUMENTS, encoder)
    (file,) = older.glob("segments/*/dense/dense.vectors.npy")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexCorrupted, match=r"dense\.vectors\.npy is damaged: its checksum"):
        Index.open(older, encoder=encoder)


def test_texts_of_an_older_format_are_compressed_by_compact(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    long = Document("long", "the same words again " * 100 + "é")
    older = of_format(3, tmp_path / "i", [FOX, long], encoder)

    def kept() -> list[bytes | str]:
        with closing(sqlite3.connect(older / "store.sqlite")) as database:
            return [text for (text,) in database.execute("SELECT text FROM texts ORDER BY 1")]

    assert long.text in kept()
    with Index.open(older, encoder=encoder) as index:
        assert index.get("long") == long
        index.compact()
        assert index.get("long") == long
        assert index.verify() == []
    assert [len(text) < 200 for text in kept()] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
def test_a_process_that_is_killed_leaves_the_old_or_the_new(
    version: int, tmp_path: Path, encoder: FakeEncoder
) -> None:
    made = of_format(version, tmp_path / "made", DOCUMENTS, encoder)
    program = (
        "import sys; from retrieval.index.writing.upgrade import upgrade; from pathlib import Path;"
        "import tantivy; print('ready', flush=True); upgrade(Path(sys.argv[1])); print('done')"
    )
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    for attempt in range(8):
        folder = tmp_path / f"copy{attempt}"
        subprocess.run(["cp", "-r", made, folder], check=True)
        with subprocess.Popen(
            [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, env=environment
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.004 * attempt)
            process.kill()
        with Index.open(folder, encoder=encoder) as index:
            assert index.status().documents == len(DOCUMENTS)
            assert index.verify() == []
