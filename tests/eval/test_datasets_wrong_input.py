"""What is wrong with a collection is refused, or counted and handled as trec_eval does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.errors import InputError
from retrieval.eval.datasets import (
    Collection,
    Judgement,
    assemble,
    load,
    load_beir,
    read_run,
    write_run,
)
from retrieval.eval.datasets.rows import grade, rows
from retrieval.types import Document

CORPUS = (Document("d1", "one"), Document("d2", "two"))
QUERIES = (("q1", "first"), ("q2", "second"))


def make(
    judgements: list[Judgement],
    documents: tuple[Document, ...] = CORPUS,
    queries: tuple[tuple[str, str], ...] = QUERIES,
) -> Collection:
    return assemble("c", "test", lambda: iter(documents), queries, judgements)


GOOD: list[Judgement] = [("q1", "d1", 1)]


@pytest.mark.parametrize(
    ("judgements", "said"),
    [
        ([("q9", "d1", 1)], "1 judged query has no text"),
        ([("q1", "d9", 1)], "1 judged document is not in the corpus"),
        ([("q1", "d2", -2)], "1 judgement is below 0"),
        ([("q2", "d2", 0)], "1 query has no relevant document; it counts as 0"),
        ([("q1", "d1", 1)], "1 judgement is there twice"),
    ],
)
def test_odd_judgements_are_counted(judgements: list[Judgement], said: str) -> None:
    found = make(GOOD + judgements)
    assert len(found.warnings) == 1
    assert said in found.warnings[0]


def test_a_grade_that_cannot_be_measured_is_refused_before_anything_is_indexed() -> None:
    with pytest.raises(
        InputError, match=r"document 'd2' for query 'q1' \(collection 'c'.* is beyond"
    ):
        make([*GOOD, ("q1", "d2", 10**12)])


def test_what_is_odd_stays_in_the_judgements() -> None:
    found = make([*GOOD, ("q1", "d9", 1), ("q1", "d2", -1), ("q2", "d2", 0)])
    assert found.judgements == {"q1": {"d1": 1, "d9": 1, "d2": -1}, "q2": {"d2": 0}}


def test_repeated_documents_are_given_once_and_counted() -> None:
    found = make(GOOD, documents=(*CORPUS, Document("d1", "one")))
    assert [d.id for d in found.documents] == [d.id for d in found.documents] == ["d1", "d2"]
    assert len(found.documents) == 2
    assert "1 document is there twice" in found.warnings[0]


def test_blank_queries_and_documents_are_counted() -> None:
    found = make(GOOD, documents=(*CORPUS, Document("d3", " ")), queries=(("q1", ""),))
    assert "1 judged query is empty" in found.warnings[0]
    assert "1 document has neither title nor text" in found.warnings[1]


@pytest.mark.parametrize(
    ("judgements", "documents", "queries", "said"),
    [
        ([], CORPUS, QUERIES, "no judgements"),
        (GOOD, (), QUERIES, "no documents"),
        ([("q9", "d1", 1)], CORPUS, QUERIES, "none of the 1 judged queries has a text"),
        ([("q1", "d9", 1)], CORPUS, QUERIES, "none of the 1 relevant documents"),
        ([("q1", "d1", 0)], CORPUS, QUERIES, "no judgement is above 0"),
        ([*GOOD, ("q1", "d1", 2)], CORPUS, QUERIES, "judged 1 and 2"),
        (GOOD, (*CORPUS, Document("d1", "else")), QUERIES, "two different documents"),
        (GOOD, CORPUS, (*QUERIES, ("q1", "else")), "query 'q1' is there with two texts"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    judgements: list[Judgement],
    documents: tuple[Document, ...],
    queries: tuple[tuple[str, str], ...],
    said: str,
) -> None:
    with pytest.raises(InputError, match=said):
        make(judgements, documents, queries)


def test_an_empty_file_of_judgements_is_refused(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "one"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "first"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    with pytest.raises(InputError, match="no judgements"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("corpus.jsonl", b'{"_id": "d1", "text": "one"}\n{broken\n', r"corpus\.jsonl:2"),
        ("corpus.jsonl", b'{"id_": "d1"}\n', "a row has 'id_'; expected '_id'"),
        (
            "corpus.jsonl",
            b'{"_id": null, "text": "one"}\n',
            "a row has '_id' \\(null\\), 'text'; exp",
        ),
        ("corpus.jsonl", b'{"_id": true}\n', "a row has True as '_id'; expected a text"),
        ("corpus.jsonl", b'{"_id": ["d1"]}\n', r"corpus\.jsonl: a row has \['d1'\] as '_id'; exp"),
        ("corpus.jsonl", b'{"_id": "d1", "text": ["one"]}\n', r"has \['one'\] as 'text'; expected"),
        (
            "corpus.jsonl",
            b'{"_id": "d1", "title": {"a": 1}}\n',
            "has {'a': 1} as 'title'; expected",
        ),
        (
            "queries.jsonl",
            b'{"_id": "q1", "text": NaN}\n',
            "a row has nan as 'text'; expected a text",
        ),
        ("corpus.jsonl", b'{"_id": "\xff"}\n', "is not UTF-8 .* convert it, as by iconv"),
        ("queries.jsonl", b'["q1"]\n', r"queries\.jsonl:1: list; expected a JSON object"),
        ("qrels/test.tsv", b"q1\td1\n", r"test\.tsv:1"),
        ("qrels/test.tsv", b"q1\t0\td1\t1\n", r"four columns, as in TREC"),
        ("qrels/test.tsv", b"query-id\tcorpus-id\tscore\nq1\td1\thigh\n", r"test\.tsv:2"),
        ("corpus.jsonl.gz", b"no gzip", r"cannot be read"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "one"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "first"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("q1\td1\t1\n")
    if name.endswith(".gz"):
        (tmp_path / name.removesuffix(".gz")).unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        load(str(tmp_path))


@pytest.mark.parametrize(("given", "expected"), [(0, 0), (-2, -2), (3.0, 3), ("2", 2), ("1.0", 1)])
def test_a_grade_is_a_whole_number(given: object, expected: int) -> None:
    assert grade(given, Path("qrels")) == expected


def test_other_grades_are_refused() -> None:
    for wrong in (0.5, "1.5", "nan", math.inf, "high", None, [1]):
        with pytest.raises(InputError, match=r"qrels: grade .*; expected a whole number"):
            grade(wrong, Path("qrels"))


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is in no format that is known"):
        load(str(tmp_path))
    (tmp_path / "f.txt").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        load(str(tmp_path / "f.txt"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("q1 Q0 d1 1 nan x\n", ":1: score nan; expected a finite number"),
        ("q1 Q0 d1 1 inf x\n", ":1: score inf"),
        ("q1 Q0 d1 1 2.0 x\nq1 Q0 d1 2 1.0 x\n", ":2: document 'd1' is there twice"),
        ("q1 Q0 d1\n", ":1: .*expected query, Q0, document, rank, score"),
    ],
)
def test_a_run_that_cannot_be_used_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "run.trec"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read_run(path)


def test_a_run_is_written_as_it_is_read(tmp_path: Path) -> None:
    run = {"q1": {"a": 0.1, "b": 1 / 3, "c": 1 / 3}, "q2": {"x": -2.5}}
    write_run(tmp_path / "run.trec", run, "my system")
    assert read_run(tmp_path / "run.trec") == run
    first = (tmp_path / "run.trec").read_text().splitlines()[0].split()
    assert first == ["q1", "Q0", "c", "1", "0.3333333333333333", "my%20system"]


def test_documents_stream(tmp_path: Path) -> None:
    def endless() -> Iterator[Document]:
        yield from CORPUS

    found = assemble("c", "test", endless, QUERIES, GOOD)
    documents = iter(found.documents)
    assert next(documents).id == "d1"
    assert next(iter(found.documents)).id == "d1", "each iteration starts over"


def test_load_beir_keeps_the_first_judged_queries(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": 1, "title": "T", "text": "one"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1"}\n{"_id": "q2"}\n{"_id": "q3"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("q2\t1\t1\nq3\t1\t1\n")
    dataset = load_beir(tmp_path, max_queries=1)
    assert (list(dataset.queries), dataset.qrels) == (["q2"], {"q2": {"1": 1}})


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_row_that_is_nested_without_end_is_told_in_a_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"a": ' + "[" * 200_000 + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=name):
        list(rows(tmp_path / name))
