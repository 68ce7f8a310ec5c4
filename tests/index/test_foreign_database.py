"""A database that a stranger made: nothing in it runs, and no number in it is believed unseen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from retrieval.errors import IndexCorrupted
from retrieval.index import Index
from retrieval.store import schema
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
