"""A database that a stranger made: nothing in it runs, and no number in it is believed unseen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import IndexCorrupted
from retrieval.index import Index
from retrieval.indexes import Filter, masks
from retrieval.indexes.masks import is_sparse
from retrieval.store import places, schema
from retrieval.store.places import Places
from retrieval.store.tables import strange_object
from retrieval.types import Document

from .fake_encoder import FakeEncoder
from .older_formats import of_format


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Index.create(tmp_path / "i", encoder=FakeEncoder(), passage_tokens=20) as index:
        index.add([Document(f"d{n}", f"word{n} common") for n in range(6)])
        index.delete(["d2"])
    return tmp_path / "i"


def alter(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "store.sqlite", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


_COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100000)"


@pytest.mark.parametrize(
    ("named", "statements"),
    [
        (
            "view 'dead'",
            ["DROP TABLE dead", f"CREATE VIEW dead AS {_COUNT} SELECT x AS passage FROM c"],
        ),
        (
            "table 'm'",
            [
                "ALTER TABLE meta RENAME TO m",
                "CREATE VIEW meta AS SELECT key, value FROM m",
            ],
        ),
        (
            "trigger",
            ["CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM texts; END"],
        ),
        ("view", ["CREATE VIEW more AS SELECT 1"]),
        ("table 'more'", ["CREATE TABLE more (a)"]),
        (
            "table 'dead'",
            [
                "DROP TABLE dead",
                "CREATE TABLE dead (passage INTEGER PRIMARY KEY, a AS (hex(zeroblob(9))))",
            ],
        ),
        (
            "table 'dead'",
            [
                "DROP TABLE dead",
                "CREATE TABLE dead (passage INTEGER PRIMARY KEY CHECK (length(zeroblob(9)) = 9))",
            ],
        ),
        (
            "table 'dead'",
            ["DROP TABLE dead", "CREATE TABLE dead (passage INTEGER DEFAULT (zeroblob(9)))"],
        ),
        ("index 'more'", ["CREATE INDEX more ON documents (length(zeroblob(number)))"]),
        (
            "index 'passages_document'",
            [
                "DROP INDEX passages_document",
                "CREATE INDEX passages_document ON passages (document) WHERE length(structure)",
            ],
        ),
    ],
)
def test_what_could_run_is_refused_when_an_index_is_opened(
    folder: Path, named: str, statements: list[str]
) -> None:
    alter(folder, *statements)
    with pytest.raises(IndexCorrupted) as caught:
        Index.open(folder, encoder=FakeEncoder())
    said = str(caught.value)
    assert named in said
    assert str(folder) in said
    assert "\n" not in said


def test_a_virtual_table_is_refused(folder: Path) -> None:
    try:
        alter(folder, "CREATE VIRTUAL TABLE more USING fts5 (a)")
    except sqlite3.OperationalError:
        pytest.skip("SQLite has no virtual table here")
    with pytest.raises(IndexCorrupted, match="none of an index"):
        Index.open(folder, encoder=FakeEncoder())


def test_an_older_index_is_looked_at_before_it_is_raised(tmp_path: Path) -> None:
    folder = of_format(1, tmp_path / "i", [Document("a", "word")], FakeEncoder())
    alter(folder, "CREATE TRIGGER t AFTER UPDATE ON meta BEGIN DELETE FROM texts; END")
    with pytest.raises(IndexCorrupted, match="trigger"):
        Index.open(folder, encoder=FakeEncoder())


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_index_that_was_raised_has_the_tables_of_a_new_one(tmp_path: Path, version: int) -> None:
    folder = of_format(version, tmp_path / "i", [Document("a", "word")], FakeEncoder())
    with Index.open(folder, encoder=FakeEncoder()) as index:
        index.add([Document("b", "word")])
        index.delete(["a"])
        index.compact()
    with Index.open(folder, encoder=FakeEncoder()) as index:
        assert index.ids() == ["b"]


def test_a_definition_may_differ_in_spaces_and_comments_alone() -> None:
    wanted = "CREATE TABLE a (\n    b TEXT, -- more\n    c INTEGER\n);\n"
    for given, strange in (
        ("CREATE TABLE a (b TEXT,c INTEGER)", False),
        ("CREATE TABLE a( b  TEXT --, x AS (1)\n ,c\tINTEGER )", False),
        ("CREATE TABLE a (b TEXT, c INTEGER, x AS (1))", True),
        ("CREATE TABLE a (b TEXT, c INTEGER CHECK (c))", True),
        ("CREATE TABLE a (b TEXT)", True),
    ):
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute(given)
            assert (strange_object(database, wanted) is not None) == strange, given


def test_no_definition_of_a_stranger_s_calls_a_function_of_ours(folder: Path) -> None:
    connection, _ = schema.connect(folder)
    with closing(connection):
        (trusted,) = connection.execute("PRAGMA trusted_schema").fetchone()
        assert trusted == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("generation", "1e999"),
        ("generation", "-1"),
        ("next_document", "NaN"),
        ("next_passage", "-5"),
        ("next_segment", "9" * 4000),
        ("passage_tokens", "1e999"),
        ("dense_dim", "-1"),
        ("token_dim", '"x"'),
        ("dense_dim", "1e999"),
        ("encoder_name", "[]"),
        ("late", "[" * 200_000),
        ("late", '{"exact_passages": 1e999}'),
    ],
    ids=lambda value: value[:20],
)
def test_settings_that_are_none_are_told_in_a_line(folder: Path, key: str, value: str) -> None:
    alter(folder, f"UPDATE meta SET value = '{value}' WHERE key = '{key}'")
    with pytest.raises(IndexCorrupted, match="table `meta`") as caught:
        Index.open(folder, encoder=FakeEncoder())
    assert len(str(caught.value)) < 1000


_DEEP = '{"a":' * 1500 + "1" + "}" * 1500


def test_metadata_that_are_nested_too_deep_are_told_in_a_line(folder: Path) -> None:
    alter(folder, f"UPDATE documents SET metadata = '{_DEEP}'")
    with Index.open(folder, encoder=FakeEncoder()) as index:
        assert any("metadata of document" in line for line in index.verify())
        for ask in (
            lambda: index.get("d1"),
            lambda: index.search("common"),
            lambda: index.listed(),
        ):
            with pytest.raises(IndexCorrupted, match="metadata of"):
                ask()
        assert index.ids('a.b == "x"') == []


@pytest.mark.parametrize(
    "structure",
    ["[" * 200_000, "[1]", '{"symbol": ' + _DEEP + "}", '{"colour": 1}', '{"page": 1e999}'],
)
def test_a_structure_that_is_none_is_told_in_a_line(folder: Path, structure: str) -> None:
    alter(folder, f"UPDATE passages SET structure = '{structure}'")
    with (
        Index.open(folder, encoder=FakeEncoder()) as index,
        pytest.raises(IndexCorrupted),
    ):
        index.search("common", retriever="lexical")


def test_the_next_passage_s_number_alone_makes_nothing_large(folder: Path) -> None:
    alter(folder, "UPDATE meta SET value = '3000000000000000' WHERE key = 'next_passage'")
    with Index.open(folder, encoder=FakeEncoder()) as index:
        with index._using() as snapshot:
            for mask in (snapshot.allowed(None), snapshot.allowed(Filter.parse('id == "d1"'))):
                assert mask is not None
                assert len(mask) <= 6
            assert snapshot.store.order().entries <= 7
        for query in ("common", "common -word1", '"word3 common"'):
            assert index.search(query, where='not id == "d5"', diversity=0.5)
        with pytest.raises(
            IndexCorrupted, match="numbers its passages up to 3,000,000,000,000,000"
        ):
            index.add([Document("new", "word99 common")])


def test_passages_that_are_numbered_beyond_the_next_are_told(folder: Path) -> None:
    alter(folder, "UPDATE meta SET value = '2' WHERE key = 'next_passage'")
    with pytest.raises(IndexCorrupted, match="numbered 0 to 5, and the next would be 2"):
        Index.open(folder, encoder=FakeEncoder())


def test_a_passage_with_a_huge_number_is_told_or_passed_over(folder: Path) -> None:
    for number in (1 << 30, 1 << 50):
        alter(
            folder,
            f"UPDATE meta SET value = '{number + 1}' WHERE key = 'next_passage'",
            f"UPDATE passages SET id = {number} WHERE id = (SELECT max(id) FROM passages)",
        )
        try:
            with Index.open(folder, encoder=FakeEncoder()) as index:
                with index._using() as snapshot:
                    assert snapshot.store.order().entries <= 13
                index.search("common -word1")
        except IndexCorrupted as error:
            assert "\n" not in str(error)


def test_numbers_far_apart_are_those_of_an_index_that_changed_for_years(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(folder, encoder=FakeEncoder()) as index:
        for _ in range(12):
            index.add([Document("d0", f"word0 common {index.generation}")])
        index.delete(["d5"])
        index.compact()
    found = []
    for small in (masks.SMALL, 1):
        monkeypatch.setattr(masks, "SMALL", small)
        monkeypatch.setattr(masks, "_FEW", 1)
        monkeypatch.setattr(places, "_SMALL", small)
        monkeypatch.setattr(places, "_FEW", 1)
        with Index.open(folder, encoder=FakeEncoder()) as index:
            with index._using() as snapshot:
                assert is_sparse(snapshot.store.end, snapshot.passages) == (small == 1)
            found.append(
                [
                    index.search(query, where=where, copies=True)
                    for query in ("common", "common -word1", '"word3 common"', "word0")
                    for where in (None, 'not id == "d1"')
                ]
            )
            assert index.verify() == []
            index.add([Document("d6", "word6 common")])
            index.delete(["d6"])
            index.compact()
    assert found[0] == found[1]


def test_places_in_a_table_and_by_searching_are_the_same() -> None:
    order = np.array([9, 0, 4, 7])
    asked = np.array([0, 4, 7, 9, 5, 10, 99])
    table, searched = Places(order, 10), Places(order, 1 << 40)
    assert table[asked].tolist() == searched[asked].tolist() == [1, 2, 3, 0, 4, 4, 4]
    assert (table.entries, searched.entries) == (11, 9)
    for none in (Places(order[:0], 0), Places(order[:0], 1 << 40)):
        assert none[asked].tolist() == [0] * 7
