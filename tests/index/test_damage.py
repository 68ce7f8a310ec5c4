"""Every file of an index flipped, cut, taken away: found, named, never another's traceback."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import IndexCorrupted, IndexFormatError, StorageError
from retrieval.index import Index, segments
from retrieval.index.reading import snapshot
from retrieval.index.segments import LEXICAL, OpenedSegments
from retrieval.store import FORMAT_VERSION, Store
from retrieval.types import RETRIEVERS

from .damaging import (
    diagnose,
    empty,
    flip,
    halve,
    lengthen,
    make,
    observe,
    remove,
    segment_files,
    shorten,
)
from .fake_encoder import FakeEncoder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "index"
    make(folder)
    return folder


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "copy")


@pytest.mark.parametrize("damage", [flip, halve, shorten, lengthen, empty, remove])
def test_a_damaged_segment_is_named(
    good: Path, tmp_path: Path, damage: Callable[[Path, random.Random], None]
) -> None:
    rng = random.Random(5)
    expected = observe(good)
    names = [file.relative_to(good) for file in segment_files(good)]
    assert len(names) > 20
    for name in names:
        for attempt in range(2 if damage is flip else 1):
            if damage in (halve, shorten, empty) and (good / name).stat().st_size == 0:
                continue
            copy = shutil.copytree(good, tmp_path / f"{attempt}")
            damage(copy / name, rng)
            lines = diagnose(copy)
            assert any(str(name) in line for line in lines), (damage, name, lines)
            for line in lines:
                assert "\n" not in line
                assert "copy" in line or "build the index again" in line, line
            try:
                observe(copy)  # may be right, may be wrong, is never a traceback of another kind
            except IndexCorrupted as error:
                assert str(copy) in str(error)
            else:
                assert damage is flip, name  # a size that is wrong is seen at opening
            shutil.rmtree(copy)
    assert observe(good) == expected


@pytest.mark.parametrize("file", ["fast", "term", "idx", "pos", "fieldnorm", "store", "json"])
def test_tantivy_never_sees_a_file_that_is_not_what_it_was(
    good: Path, tmp_path: Path, file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(7)
    (lexical,) = good.glob("segments/*-lexical")
    for name in [path.relative_to(good) for path in lexical.glob(f"*.{file}")]:
        for attempt in range(12):
            copy = shutil.copytree(good, tmp_path / f"{name.stem}-{attempt}")
            flip(copy / name, rng)
            with pytest.raises(IndexCorrupted, match="its checksum is not that of the commit"):
                observe(copy)
            shutil.rmtree(copy)
    assert capfd.readouterr().err == ""  # where tantivy panics, it says so there


def test_a_large_lexical_index_is_opened_beside_the_vectors(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = observe(good)
    monkeypatch.setattr(snapshot, "_BESIDE_VECTORS", 0)
    assert observe(good) == expected
    for pattern in ("*-lexical/*.idx", "*-vectors/dense/*.npy", "*-vectors/late/*.npy"):
        copy = shutil.copytree(good, tmp_path / pattern.replace("/", " "))
        file = next(copy.glob(f"segments/{pattern}"))
        shorten(file, random.Random(1))
        with pytest.raises(IndexCorrupted, match=file.name):
            observe(copy)
    assert not [one for one in threading.enumerate() if one.name.startswith("retrieval-open")]


def test_a_file_that_was_found_whole_is_not_read_again(copy: Path) -> None:
    kept = OpenedSegments()
    with closing(Store(copy)) as store:
        (record,) = store.of_kind(LEXICAL)
        held = kept.lexical(store, record)
        for file in (copy / "segments" / record.name).iterdir():
            flip(file, random.Random(3)) if file.suffix == ".idx" else None
        later = replace(record, passages=record.passages + 1)  # the next generation, of these files
        assert kept.lexical(store, later) is not held
        with pytest.raises(IndexCorrupted, match="checksum"):
            OpenedSegments().lexical(store, record)


def test_large_files_of_the_lexical_index_are_not_read_to_be_opened(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "CHECKED_BYTES", 0)
    flip(next(copy.glob("segments/*-lexical/*.pos")), random.Random(1))
    with Index.open(copy, encoder=FakeEncoder()) as index:
        assert any("checksum" in line for line in index.verify())


def test_a_flipped_bit_of_the_database_is_found_or_harmless(good: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    expected = observe(good)
    found = 0
    for attempt in range(60):
        copy = shutil.copytree(good, tmp_path / str(attempt))
        flip(copy / "store.sqlite", rng)
        lines = diagnose(copy)
        try:
            seen = observe(copy)
        except StorageError as error:
            assert str(copy) in str(error)
            assert lines, error
        else:
            if not lines:
                assert seen == expected, attempt
        found += bool(lines)
        shutil.rmtree(copy)
    assert found > 4


def test_an_id_that_was_altered_in_its_index_gives_no_other_document(copy: Path) -> None:
    database = copy / "store.sqlite"
    entry = b"\x03\x13\x01d39"  # in the index of ids: the lengths, then the id
    data = database.read_bytes()
    assert data.count(entry) == 1
    database.write_bytes(data.replace(entry, entry[:-1] + b":"))  # the order stays
    assert any("sqlite_autoindex_documents" in line for line in diagnose(copy))
    with Index.open(copy, encoder=FakeEncoder()) as index:
        for ask in (index.get, lambda id: index.get_many([id])):
            with pytest.raises(IndexCorrupted, match="'d39' is where another should be"):
                ask("d3:")


def test_what_sqlite_says_in_several_lines_is_one(copy: Path) -> None:
    database = copy / "store.sqlite"
    size = int.from_bytes(database.read_bytes()[16:18], "big")
    found = 0
    for page in range(1, database.stat().st_size // size):
        data = bytearray(database.read_bytes())
        data[page * size + 5] ^= 4  # where the page's content begins
        altered = copy / f"altered{page}"
        shutil.copytree(copy, altered, ignore=shutil.ignore_patterns("altered*"))
        (altered / "store.sqlite").write_bytes(data)
        lines = diagnose(altered)
        assert not any("\n" in line for line in lines)
        found += any("more like it" in line for line in lines)
        shutil.rmtree(altered)
    assert found


def cut_page(file: Path, _: random.Random) -> None:
    file.write_bytes(file.read_bytes()[:-2048])  # a byte alone may be one that holds nothing


@pytest.mark.parametrize("damage", [halve, cut_page, empty, remove])
def test_a_cut_database_is_found(copy: Path, damage: Callable[[Path, random.Random], None]) -> None:
    damage(copy / "store.sqlite", random.Random(0))
    (line,) = diagnose(copy)[:1]
    assert str(copy / "store.sqlite") in line
    with pytest.raises(StorageError):
        Index.create(copy, encoder=FakeEncoder())  # what is left is not written over


def test_a_stranger_s_files_are_no_index(copy: Path) -> None:
    (copy / "store.sqlite").write_bytes(b"this is no database " * 300)
    assert "file is not a database" in diagnose(copy)[0]
    (copy / "store.sqlite").unlink()
    sqlite3.connect(copy / "store.sqlite").execute("CREATE TABLE other (a)").connection.close()
    assert "is not the database of an index" in diagnose(copy)[0]


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("UPDATE passages SET start = start + 1 WHERE id = 4", "document 'd4' was altered"),
        ("UPDATE passages SET last_line = 9 WHERE id = 4", "document 'd4' was altered"),
        ("UPDATE passages SET start = 'x' WHERE id = 4", "document 'd4' was altered"),
        ("UPDATE texts SET text = 'other' WHERE document = 5", "document 'd4' was altered"),
        ("DELETE FROM texts WHERE document = 5", "document 'd4' was altered"),
        ("UPDATE documents SET metadata = '[1]' WHERE id = 'd4'", "document 'd4' was altered"),
        ("UPDATE documents SET metadata = '{' WHERE id = 'd4'", "metadata of document 'd4'"),
        ("UPDATE documents SET title = 'y' WHERE id = 'd4'", "document 'd4' was altered"),
        ("UPDATE documents SET source = 'y' WHERE id = 'd4'", "document 'd4' was altered"),
        ("DELETE FROM documents WHERE id = 'd4'", "1 passages belong to no document"),
        ("DELETE FROM dead", "and they are not the same"),
        ("INSERT INTO dead VALUES (10000)", "and they are not the same"),
        ("UPDATE meta SET value = '{}' WHERE key = 'generation'", "table `meta`"),
        ("UPDATE meta SET value = 'x' WHERE key = 'fingerprint'", "table `meta`"),
        ("DELETE FROM meta", "table `meta`"),
        ("DROP TABLE texts", "no such table"),
        ("UPDATE files SET digest = 'x' WHERE path LIKE '%scales%'", "checksum"),
        ("UPDATE segments SET name = x'ff' WHERE kind = 'lexical'", "has the wrong type"),
    ],
)
def test_rows_that_were_tampered_with(copy: Path, statement: str, match: str) -> None:
    database = sqlite3.connect(copy / "store.sqlite")
    with database:
        database.execute(statement)
    database.close()
    lines = diagnose(copy)
    assert any(match in line for line in lines), lines
    try:
        observe(copy)
    except StorageError as error:
        assert str(copy) in str(error)


def test_a_definition_of_tables_that_is_no_text_is_found(copy: Path) -> None:
    alter(copy, b"CREATE INDEX passages_document ON", b"CREATE INDEX passages_documen\xff ON")
    assert "is damaged" in diagnose(copy)[0]
    alter(copy, b"CREATE TABLE texts (document", b"CREATE T\xffBLE texts (document")
    assert "is damaged" in diagnose(copy)[0]


def alter(folder: Path, before: bytes, after: bytes) -> None:
    """Write over bytes of the database itself, as a disk that fails may."""
    data = (folder / "store.sqlite").read_bytes()
    assert before in data
    (folder / "store.sqlite").write_bytes(data.replace(before, after))


def alter_text(folder: Path, number: int, at: int) -> None:
    """Write over a byte of a document's text as it is stored."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as database:
        ((stored,),) = database.execute("SELECT text FROM texts WHERE document = ?", (number,))
    before = stored if isinstance(stored, bytes) else stored.encode()
    after = bytearray(before)
    after[at] ^= 1
    alter(folder, before, bytes(after))


def store_as_it_is(folder: Path, number: int) -> None:
    """Keep a document's text as an index of format 3 does, uncompressed."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as database, database:
        ((stored,),) = database.execute("SELECT text FROM texts WHERE document = ?", (number,))
        assert isinstance(stored, bytes)
        text = zlib.decompress(stored).decode()
        database.execute("UPDATE texts SET text = ? WHERE document = ?", (text, number))


@pytest.mark.parametrize("at", [0, 12, -1])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_text_that_was_altered_is_never_shown(copy: Path, at: int, compressed: bool) -> None:
    if not compressed:
        store_as_it_is(copy, 18)
    alter_text(copy, 18, at)
    with Index.open(copy, encoder=FakeEncoder()) as index:
        for retriever in RETRIEVERS:
            with pytest.raises(IndexCorrupted, match=r"text of passage \d+ was altered"):
                index.search("word17", retriever=retriever)
            assert index.search("word3", 1, retriever=retriever)[0].document_id == "d3"
        with pytest.raises(IndexCorrupted, match="document 'd17' was altered"):
            index.get("d17")
        assert index.get("d3") is not None


def test_a_text_that_was_altered_is_not_compacted_into_new_files(copy: Path) -> None:
    alter_text(copy, 18, 12)
    with Index.open(copy, encoder=FakeEncoder()) as index:
        before = index.status()
        with pytest.raises(IndexCorrupted, match="document 'd17' was altered; delete"):
            index.compact()
        assert index.status().generation == before.generation
        index.delete(["d17"])
        index.compact()
        assert index.verify() == []


def test_damage_that_opening_meets_is_named(copy: Path) -> None:
    """The checksum is not looked at before every search; what comes of it is explained."""
    scales = sorted(copy.glob("segments/*/late/late.scales.npy"))[0]
    array = np.load(scales)
    array[0] = np.nan
    np.save(scales, array)
    with pytest.raises(IndexCorrupted, match=r"late\.scales\.npy"):
        Index.open(copy, encoder=FakeEncoder())
    array[0] = 1
    np.save(scales, array)
    ids = sorted(copy.glob("segments/*/dense/dense.ids.npy"))[0]
    array = np.load(ids)
    array[0] = 1 << 40
    np.save(ids, array)
    with pytest.raises(IndexCorrupted, match=r"dense"):
        Index.open(copy, encoder=FakeEncoder())


def test_an_error_that_is_no_damage_stays_what_it_is(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TypeError("a mistake of ours")

    monkeypatch.setattr("retrieval.index.reading.search.fused", fail)
    with (
        Index.open(good, encoder=FakeEncoder()) as index,
        pytest.raises(TypeError, match="a mistake of ours"),
    ):
        index.search("common")


@pytest.fixture
def newer(copy: Path) -> Iterator[Path]:
    database = sqlite3.connect(copy / "store.sqlite")
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    database.close()
    return copy


def test_an_index_of_a_newer_format_is_refused(newer: Path) -> None:
    with pytest.raises(
        IndexFormatError,
        match=rf"format {FORMAT_VERSION + 1}, this release .* {FORMAT_VERSION};",
    ):
        Index.open(newer)
    with pytest.raises(StorageError, match="already"):
        Index.create(newer, encoder=FakeEncoder())


def test_a_merge_does_not_hide_damage(copy: Path) -> None:
    """What it wrote would have checksums of its own."""
    file = next(iter(sorted(copy.glob("segments/*/dense/dense.codes.npy"))))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with Index.open(copy, encoder=FakeEncoder()) as index:
        with pytest.raises(IndexCorrupted, match=r"dense\.codes\.npy is damaged: its checksum"):
            index.compact()
        assert any("its checksum" in line for line in index.verify())
