"""Tables whose pages lead to the same page again and again: every command ends, and says so."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from retrieval.errors import IndexCorrupted
from retrieval.index import Index
from retrieval.store import steps
from retrieval.types import Document

from .fake_encoder import FakeEncoder
from .older_formats import of_format

_PAGE = 4096
_CHILDREN = 400
_LEVELS = 6  # 400 ** 6 leaves


def endless(folder: Path, name: str, *, first: int, cell: bytes = b"") -> None:
    """Make the tree of a table or an index have rows without end, as SQLite's file format has it.

    Args:
        folder: of the index.
        name: of the table or index in the database.
        first: the kind of its inner pages: 5 of a table, 2 of an index.
        cell: what an entry of an inner page of an index has after its child.
    """
    path = folder / "store.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)
        ).fetchone()
    pages = bytearray(path.read_bytes())
    child = len(pages) // _PAGE + 1
    pages += pages[(root - 1) * _PAGE : root * _PAGE]
    for _ in range(_LEVELS):
        pages += _inner(first, child, cell)
        child += 1
    pages[(root - 1) * _PAGE : root * _PAGE] = _inner(first, child, cell)
    struct.pack_into(">I", pages, 28, len(pages) // _PAGE)
    path.write_bytes(pages)


def _inner(kind: int, child: int, cell: bytes) -> bytes:
    page, at, starts = bytearray(_PAGE), _PAGE, []
    for number in range(1, _CHILDREN + 1):
        entry = struct.pack(">I", child) + (cell or bytes([min(number, 127)]))
        at -= len(entry)
        page[at : at + len(entry)] = entry
        starts.append(at)
    struct.pack_into(">BHHHBI", page, 0, kind, 0, len(starts), at, 0, child)
    struct.pack_into(f">{len(starts)}H", page, 12, *starts)
    return bytes(page)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Index.create(tmp_path / "i", encoder=FakeEncoder(), passage_tokens=20) as index:
        index.add([Document(f"d{n}", f"word{n} common", "", {"n": n}) for n in range(6)])
        index.delete(["d2"])
    return tmp_path / "i"


_USES: list[Callable[[Index], object]] = [
    lambda index: index.search("common"),
    lambda index: index.search("common", where="n > 3"),
    lambda index: index.search("common -word1", diversity=0.5),
    lambda index: index.ids(),
    lambda index: index.ids("n > 3 or not m in [1]"),
    lambda index: index.count(),
    lambda index: index.count("n > 3"),
    lambda index: index.listed(),
    lambda index: index.values("n"),
    lambda index: index.metadata_keys(),
    lambda index: index.status(),
    lambda index: list(index.verify()),
    lambda index: index.add([Document("new", "word99 common")]),
    lambda index: index.delete(["d4"]),
    lambda index: index.compact(),
]


@pytest.mark.parametrize(
    ("name", "first", "cell"),
    [
        ("dead", 5, b""),
        ("documents", 5, b""),
        ("passages", 5, b""),
        ("texts", 5, b""),
        # An entry of 4 bytes: a record of two columns, both the number 0.
        ("passages_document", 2, b"\x03\x03\x08\x08"),
        ("passages_text_hash", 2, b"\x03\x03\x08\x08"),
    ],
)
def test_rows_without_end_are_told_in_a_line(
    folder: Path, name: str, first: int, cell: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_A_BYTE", 5)  # as sure to be exceeded, and quicker
    endless(folder, name, first=first, cell=cell)
    assert (folder / "store.sqlite").stat().st_size < 200_000
    told = 0
    for use in _USES:
        try:
            with Index.open(folder, encoder=FakeEncoder()) as index:
                use(index)
        except IndexCorrupted as error:
            assert "\n" not in str(error)
            assert str(folder) in str(error)
            told += 1
    assert told


def test_an_older_index_with_rows_without_end_is_not_raised(tmp_path: Path) -> None:
    folder = of_format(1, tmp_path / "i", [Document("a", "word")], FakeEncoder())
    endless(folder, "texts", first=5)
    with pytest.raises(IndexCorrupted, match="more rows than there is room for"):
        Index.open(folder, encoder=FakeEncoder())


def test_conditions_that_compare_much_are_not_taken_for_rows_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no steps to begin with, the bytes alone have to suffice."""
    monkeypatch.setattr(steps, "_FEW", 0)
    monkeypatch.setattr(steps, "_LOOKED_EVERY", 1000)
    items = [f"{n}" for n in range(100)]
    wanted = ", ".join(f'"x{n}"' for n in range(500))
    with Index.create(tmp_path / "i", encoder=FakeEncoder()) as index:
        index.add(
            [Document(f"d{n}", "common", "", {"a": items, "b": {"c": items}}) for n in range(20)]
        )
        for where in (
            f"a in [{wanted}]",
            f"not a in [{wanted}]",
            " or ".join(f'a.b == "{n}"' for n in range(400)),
            " and ".join(f'not a == "x{n}"' for n in range(400)),
            "a.a.a.a.a.a == 1",
        ):
            assert index.count(where) in (0, 20)
            index.search("common", where=where)
        index.add([Document(f"e{n}", "common") for n in range(50)])
        assert index.count() == 70
        assert index.values("a")[0] == ("0", 20)
        assert set(index.metadata_keys()) == {"a", "b"}
