"""What an index holds, listed, counted, fetched and deleted."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from retrieval.errors import FilterError, InputError, StorageError
from retrieval.index import Index
from retrieval.index import listing as listing_module
from retrieval.indexes import Filter
from retrieval.service import contents
from retrieval.sync import sync
from retrieval.types import Document

EMPTY = Document("empty", "", metadata={"year": 2024, "language": "none"})
"""It has no passage."""

TEXTS = [
    Document("b", "A brown fox.", "Fox", {"year": 2019, "tags": ["a", "b"], "draft": True}),
    Document("a", "A lazy dog.", "", {"year": 2021, "tags": ["a", "a"], "author": {"name": "Ann"}}),
    Document("é", "Ein Hund.", "", {"year": 2021.0, "tags": "a", "draft": 1}),
    EMPTY,
]


@pytest.fixture
def filled(index: Index) -> Index:
    index.add(TEXTS)
    return index


def test_every_document_is_listed(filled: Index) -> None:
    expected = ["a", "b", "empty", "é"]  # by code point
    assert filled.ids() == list(filled) == expected
    assert [one.id for one in filled.documents()] == expected
    assert {one.id for one in filled.listed()} == set(expected)
    assert len(filled) == filled.count() == filled.status().documents == 4
    assert "empty" in filled and "nothing" not in filled and 1 not in filled
    assert list(filled.documents(where='id == "b"')) == [TEXTS[0]]


def test_an_empty_index_is_still_an_index(index: Index) -> None:
    assert len(index) == 0 and bool(index)
    assert index.ids() == [] and list(index.documents()) == [] and index.values("year") == []
    assert index.clear() == 0


@pytest.mark.parametrize("bare", ["language", "title", "a.b.c.d"])
def test_the_deepest_filter_runs_wherever_a_filter_may_stand(filled: Index, bare: str) -> None:
    """SQLite bounds how deep a statement nests, that around the filter included."""
    heavy = Filter.parse(f'{bare} in ["none", 1, true, false, null, time("2024-01-01")]')
    deepest = deeper = heavy
    with pytest.raises(FilterError, match="at most 40 levels"):
        while True:
            deeper = ~(heavy & ~(heavy | deepest))
            deeper.to_sql()
            deepest = deeper
    assert filled.count(deepest) == len(filled.ids(deepest)) == len(filled.listed(deepest))
    assert [one.id for one in filled.documents(deepest, limit=10)] == filled.ids(deepest)
    assert filled.values("year", where=deepest) and filled.values("page", where=deepest) == []
    assert filled.metadata_keys(deepest)
    assert {hit.document_id for hit in filled.search("fox", where=deepest)} <= {
        *filled.ids(deepest)
    }
    assert filled.delete(where=deepest) and filled.count(deepest) == 0


def test_a_filter_chooses_what_is_listed(filled: Index) -> None:
    assert filled.ids("year >= 2021") == ["a", "empty", "é"]
    assert filled.count("year >= 2021") == 3
    assert filled.count('language == "none"') == 1  # also of a document without a passage
    assert filled.count('symbol == "f"') == 0
    assert filled.count('not symbol == "f"') == 4
    for ask in (filled.ids, filled.count, filled.listed, filled.documents):
        with pytest.raises(FilterError):
            ask("year >=")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_are_the_list(filled: Index, size: int) -> None:
    pages: list[list[str]] = [[]]
    after = None
    while page := filled.ids(after=after, limit=size):
        assert page == [one.id for one in filled.documents(after=after, limit=size)]
        pages.append(page)
        after = page[-1]
    assert [id for page in pages for id in page] == filled.ids()
    assert filled.ids(limit=0) == list(filled.documents(limit=0)) == []
    assert filled.ids(after="aa") == ["b", "empty", "é"]  # an id that is not there


def test_documents_stream_from_one_generation(
    filled: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_module, "_AT_ONCE", 2)
    seen = []
    for document in filled.documents():
        seen.append(document)
        filled.delete([document.id])
        filled.add([Document(f"new {document.id}", "more")])
    assert seen == sorted(TEXTS, key=lambda one: one.id)
    assert [one.id for one in filled.documents(limit=3)] == ["new a", "new b", "new empty"]
    stream = filled.documents()
    filled.close()
    with pytest.raises(StorageError, match="was closed"):
        next(stream)


def test_values_are_counted_by_document(filled: Index) -> None:
    assert filled.values("year") == [(2021, 2), (2019, 1), (2024, 1)]
    assert filled.values("tags") == [("a", 3), ("b", 1)]  # once a document
    assert [(type(value), count) for value, count in filled.values("draft")] == [
        (int, 1),
        (bool, 1),
    ]
    assert filled.values("author") == []
    assert filled.values("author.name") == [("Ann", 1)]
    assert filled.values("`author`.`name`", 'id == "a"') == [("Ann", 1)]
    assert filled.values("title") == [("", 3), ("Fox", 1)]
    assert filled.values("tags", "year < 2020") == [("a", 1), ("b", 1)]
    assert filled.values("missing") == []
    for key in ("year ==", "", "a b", "and"):
        with pytest.raises(FilterError, match="expected"):
            filled.values(key)
    with pytest.raises(FilterError, match="is not a text"):
        filled.values(3)  # type: ignore[arg-type]


def test_values_of_the_documents_own_fields_are_whole(index: Index) -> None:
    """Also after a NUL, where SQLite's JSON ends a text."""
    index.add([Document("a\0b", "x\0y", "T\0i"), Document("a\0c", "x\0y", "T", {"k": "K"})])
    assert index.values("id") == [("a\0b", 1), ("a\0c", 1)]
    assert index.values("id", 'k == "K"') == [("a\0c", 1)]
    assert index.values("title", exact=True) == [("T", 1), ("T\0i", 1)]
    assert index.values("text") == [("x\0y", 2)]


def test_one_and_one_point_nought_are_told_apart_if_asked(index: Index) -> None:
    given = (1, 1.0, True, "1", [1, 1], [1.0, 1])
    index.add(Document(f"d{n}", "text", metadata={"k": one}) for n, one in enumerate(given))
    assert index.values("k") == [(1, 4), ("1", 1), (True, 1)]
    found = index.values("k", exact=True)
    assert [(type(value).__name__, count) for value, count in found] == [
        ("int", 3),
        ("float", 2),
        ("str", 1),
        ("bool", 1),
    ]


def test_keys_of_metadata_and_their_kinds(index: Index) -> None:
    assert index.metadata_keys() == {}
    given: list[dict[str, Any]] = [
        {"a": 1, "b": None, "odd key": "x"},
        {"a": 1.5, "b": {"c": 1}},
        {"a": True, "b": [1]},
        {"a": False, "b": "x"},
        {},
    ]
    index.add(Document(f"d{n}", "text", metadata=one) for n, one in enumerate(given))
    assert index.metadata_keys() == {
        "a": {"boolean": 2, "number": 2},
        "b": {"list": 1, "null": 1, "object": 1, "text": 1},
        "odd key": {"text": 1},
    }
    assert index.metadata_keys("a is number") == {
        "a": {"number": 2},
        "b": {"null": 1, "object": 1},
        "odd key": {"text": 1},
    }
    with pytest.raises(FilterError):
        index.metadata_keys("a ==")


def test_values_of_passages(index: Index) -> None:
    text = "# One\n\n" + "apples " * 300 + "\n\n# Two\n\npears\n"
    index.add([Document("m", text, metadata={"format": "markdown", "kind": "x"})])
    assert index.status().passages > 2
    assert index.values("heading") == [("One", 1), ("Two", 1)]
    assert index.values("heading", 'heading == "Two"') == [("Two", 1)]
    assert index.values("kind", 'heading == "Two"') == [("x", 1)]
    assert index.values("language") == []


def test_several_documents_at_once(filled: Index) -> None:
    found = filled.get_many(["é", "nothing", "a", "é", "\ud800"])
    assert found == [TEXTS[2], None, TEXTS[1], TEXTS[2], None]
    assert filled.get_many(iter([])) == []
    many = [*(f"no {n}" for n in range(2000)), "empty"]
    assert filled.get_many(many)[-1] == EMPTY


@pytest.mark.parametrize("id", [1, None, ["a"], b"a", ("a",)])
def test_an_id_is_a_text(filled: Index, id: Any) -> None:
    with pytest.raises(InputError, match="is not a text; ids are str"):
        filled.get(id)
    for ask in (filled.get_many, filled.delete):
        with pytest.raises(InputError, match="is not a text; ids are str"):
            ask(["a", id])
        with pytest.raises(InputError, match="give a list of them"):
            ask("a")
    assert len(filled) == 4


def test_wrong_pages(filled: Index) -> None:
    for limit in (-1, True, "3", 1.5):
        with pytest.raises(InputError, match="is not a number of documents"):
            filled.ids(limit=limit)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="is not a number of documents"):
            filled.documents(limit=limit)  # type: ignore[arg-type]
    for after in (3, "\ud800"):
        with pytest.raises(InputError, match="is not a text; give the id"):
            filled.ids(after=after)  # type: ignore[arg-type]


def test_what_fulfils_a_filter_is_deleted(filled: Index) -> None:
    assert filled.delete(["a", "b", "nothing"], where="year >= 2020") == 1
    assert filled.ids() == ["b", "empty", "é"]
    assert filled.delete(where="year >= 2021") == 2
    assert filled.ids() == ["b"]
    assert filled.delete([]) == 0
    with pytest.raises(InputError, match="nothing was named"):
        filled.delete()
    with pytest.raises(FilterError):
        filled.delete(where="year >=")
    assert len(filled) == 1


def test_a_filter_that_deletes_sees_what_others_wrote(tmp_path: Path, filled: Index) -> None:
    with Index.open(tmp_path / "index", encoder=filled.encoder) as other:
        other.add([Document("late", "added meanwhile", metadata={"year": 2030})])
    assert "late" not in filled
    assert filled.delete(where="year == 2030") == 1


def test_all_can_be_deleted_and_comes_back_from_files(
    tmp_path: Path, index: Index, docs: Path
) -> None:
    (docs / "nothing.txt").write_text("")
    sync(index, [docs])
    index.add([EMPTY])
    assert index.clear() == 4
    assert len(index) == index.status().files == 0
    assert index.search("apples") == []
    report = sync(index, [docs])
    assert (report.added, len(index)) == (3, 3)


@pytest.mark.parametrize("where", ["", " \n", {}])
def test_an_empty_filter_lists_all_and_deletes_nothing(filled: Index, where: Any) -> None:
    assert (
        filled.count(where) == len(filled.search("a", 9, where=where, retriever="dense")) + 1 == 4
    )
    with pytest.raises(InputError, match="nothing was named"):
        filled.delete(where=where)
    with pytest.raises(InputError, match="nothing was named"):
        contents.delete(filled, where=where)
    assert filled.delete(["a"], where=where) == 1


def test_filters_of_every_form(filled: Index) -> None:
    chosen = ["a", "empty", "é"]
    assert filled.ids({"year": {"$gte": 2021}}) == chosen
    assert filled.ids("year >= :y", params={"y": 2021}) == chosen
    assert filled.ids(Filter.parse("year >= 2021")) == chosen
    assert filled.values("tags", {"year": 2021}) == [("a", 2)]
    assert filled.count("id in :ids", params={"ids": ["a", "b"]}) == 2
    assert [one.id for one in filled.documents({"id": "a"})] == ["a"]
    assert [one.id for one in filled.listed("id == :i", params={"i": "a"})] == ["a"]
    hits = filled.search("dog", where={"draft": True}, retriever="dense")
    assert [hit.document_id for hit in hits] == ["b"]
    (hits,) = filled.search_batch(["dog"], where="draft == :d", params={"d": True})
    assert [hit.document_id for hit in hits] == ["b"]
    assert filled.delete(where="year == :y", params={"y": 2019}) == 1
    with pytest.raises(FilterError, match="params"):
        filled.search("dog", params={"y": 2019})


def test_each_query_of_a_batch_may_have_a_filter_of_its_own(filled: Index) -> None:
    queries = ["dog", "fox", "dog", "hund", "dog"]
    filters: list[Any] = ["year == 2021", None, {"draft": True}, "year == 2021", "false"]
    alone = [filled.search(query, where=one) for query, one in zip(queries, filters, strict=True)]
    assert filled.search_batch(iter(queries), where=filters) == alone
    made = filled.encoder.encode_queries(queries)
    found = filled.search_batch(queries, where=tuple(filters), embeddings=made)
    assert [[hit.passage for hit in hits] for hits in found] == [
        [hit.passage for hit in hits] for hits in alone
    ]
    assert filled.search_batch([], where=[]) == []
    (one, other) = filled.search_batch(["dog", "dog"], where=["year == :y", None], params={"y": 1})
    assert one == [] and other
    with pytest.raises(InputError, match="1 filters were given for 2 queries"):
        filled.search_batch(["dog", "fox"], where=["true"])
    with pytest.raises(InputError, match="give a list of queries"):
        filled.search_batch(3)  # type: ignore[arg-type]


class Colour(Enum):
    RED = "red"


def test_values_of_python_are_metadata(index: Index) -> None:
    zone = timezone(timedelta(hours=2))
    given = {
        "day": date(2024, 3, 1),
        "at": datetime(2024, 3, 1, 12, tzinfo=zone),
        "uuid": UUID(int=7),
        "whole": Decimal("3.0"),
        "part": Decimal("0.5"),
        "colour": [Colour.RED, {"inner": Colour.RED}],
        "number": np.int64(5),
        "row": np.array([1.5, 2.5], np.float32),
    }
    index.add([Document("a", "text", metadata=given)])
    assert index.add([Document("a", "text", metadata=given)]) == 0  # as it was
    assert index.get("a") == Document(
        "a",
        "text",
        metadata={
            "day": "2024-03-01",
            "at": "2024-03-01T12:00:00+02:00",
            "uuid": "00000000-0000-0000-0000-000000000007",
            "whole": 3,
            "part": 0.5,
            "colour": ["red", {"inner": "red"}],
            "number": 5,
            "row": [1.5, 2.5],
        },
    )
    for name in ("at", "day", "uuid", "whole", "part", "number"):
        assert index.ids({name: given[name]}) == ["a"], name
    for value in (object(), {1}, np.float32("nan"), Decimal("inf"), Decimal("nan"), b"x", 1j):
        with pytest.raises(InputError, match="cannot be stored as JSON"):
            index.add([Document("b", "text", metadata={"value": value})])


def test_metadata_that_could_not_be_read_back_are_refused(index: Index) -> None:
    """Readers of JSON give up at some depth, which depends on who calls them."""

    def nested(levels: int) -> dict[str, Any]:
        value: Any = [1]
        for _ in range(levels - 2):
            value = {"a": value}
        return {"k": value}

    wide = {"k": [{"a": [n]} for n in range(200)]}
    assert index.add([Document("deep", "text", metadata=nested(100)), Document("w", "", "", wide)])
    assert index.get("deep").metadata == nested(100)  # type: ignore[union-attr]
    for levels in (101, 200, 985, 5000):
        with pytest.raises(InputError, match="cannot be stored as JSON") as told:
            index.add([Document("deeper", "text", metadata=nested(levels))])
        assert "\n" not in str(told.value)
    assert index.ids() == ["deep", "w"]
