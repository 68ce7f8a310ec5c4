"""`retrieval measure`: its output, its files, and what it refuses."""

import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from retrieval.cli.output.progress import progress_bar
from retrieval.index import MeasureReport
from retrieval.types import ProgressUpdate
from tests.cli.conftest import Retrieval

QUERIES = {"q1": "who takes the lock", "q2": "readers", "q3": "never judged"}


@pytest.fixture
def judged(folder: Path) -> tuple[str, ...]:
    """The options that name a file of queries and one of judgements."""
    rows = [json.dumps({"_id": id, "text": text}) for id, text in QUERIES.items()]
    (folder / "queries.jsonl").write_text("\n".join(rows))
    (folder / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\tdocs/locks.md\t1\nq2\tdocs/readers.md\t2\nq9\tx\t1\n"
    )
    return ("--queries", "queries.jsonl", "--qrels", "test.tsv")


def test_the_report_is_a_fact_a_line(indexed: Retrieval) -> None:
    done = indexed("measure", "--sample", 2)
    assert (done.code, done.err) == (0, "")
    lines = dict(line.split(None, 1) for line in done.out.splitlines() if "recall" not in line)
    assert lines["queries"] == "2 drawn from the passages"
    assert lines["passages"] == "3 (3 exact)"
    assert lines["tokens"].endswith(" bytes")
    assert " ms, 95 % within " in lines["search"]
    assert "recall@10    1.000 of an exhaustive search of the stored vectors\n" in done.out
    assert "recall@100   1.000 of the same\n" in done.out
    assert "of exact vectors, for its 100 best\n" in done.out
    assert "of the same" not in indexed("measure", "--sample", 2, "-k", 100).out


def test_the_report_as_json(indexed: Retrieval) -> None:
    report = json.loads(indexed("measure", "--json", "-k", 3).out)
    names = {field.name for field in fields(MeasureReport)} - {"found"}
    assert set(report) == names | {"ndcg_at_10"}
    assert (report["k"], report["drawn"], report["ndcg_at_10"]) == (3, True, None)


def test_queries_from_a_plain_file(indexed: Retrieval, folder: Path) -> None:
    (folder / "asked.txt").write_text("who takes the lock\n\n  \nreaders\n")
    report = json.loads(indexed("measure", "--queries", "asked.txt", "--json").out)
    assert (report["queries"], report["drawn"]) == (2, False)


def test_judgements_give_ndcg(indexed: Retrieval, judged: tuple[str, ...]) -> None:
    report = json.loads(indexed("measure", *judged, "--json").out)
    assert report["queries"] == 2  # the third is not judged
    assert set(report["ndcg_at_10"]) == {"search", "exhaustive", "float"}
    assert 0 < report["ndcg_at_10"]["search"] <= 1
    assert "nDCG@10      search " in indexed("measure", *judged).out


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("queries.jsonl", '{"_id": "q1", "text": "a"}\n{"text": "b"}\n', "queries.jsonl:2: "),
        ("queries.jsonl", "{broken\n", "queries.jsonl:1: "),
        ("queries.jsonl", '{"_id": "q1"}\n', "query 'q1' has no text"),
        ("queries.jsonl", "", "queries.jsonl holds no query; give at least one"),
        ("queries.jsonl", '{"_id": "q7", "text": "a"}\n', "test.tsv judges none of the queries of"),
        ("queries.jsonl", None, "queries.jsonl cannot be read (No such file or directory)"),
        ("queries.jsonl", b"\xff", "queries.jsonl is not UTF-8"),
        ("test.tsv", "q1\td1\n", "test.tsv:1: "),
        ("test.tsv", "q1\td1\tmuch\n", "test.tsv:1: "),
        ("test.tsv", "q1\td1\t1\n", "test.tsv judges none of the documents in the index"),
        ("test.tsv", None, "test.tsv cannot be read (No such file or directory)"),
    ],
)
def test_files_that_cannot_be_used(
    indexed: Retrieval,
    folder: Path,
    judged: tuple[str, ...],
    name: str,
    text: str | bytes | None,
    said: str,
) -> None:
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    failed = indexed("measure", *judged)
    assert (failed.code, failed.out, failed.err.count("\n")) == (2, "", 1)
    assert said in failed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--qrels", "x.tsv", "--queries", "x.jsonl"),
            "x.tsv:1: 'q1\\td1\\tx', expected query id, document id and a whole number",
        ),
        (("--qrels", "test.tsv"), "give those with --queries FILE.jsonl"),
        (("--qrels", "test.tsv", "--queries", "x.txt"), "give those with --queries FILE.jsonl"),
        (("--queries", "x.txt"), "x.txt cannot be read (No such file or directory); expected a"),
        (("-k", 0), "--help`"),
        (("--sample", 0), "--help`"),
    ],
)
def test_options_that_cannot_be_used(
    indexed: Retrieval, folder: Path, arguments: tuple[object, ...], said: str
) -> None:
    (folder / "x.tsv").write_text("q1\td1\tx\n")
    (folder / "x.jsonl").write_text('{"_id": "q1", "text": "lock"}\n')
    failed = indexed("measure", *arguments)
    assert (failed.code, failed.out, failed.err.count("\n")) == (2, "", 1)
    assert said in failed.err


def test_an_index_that_is_empty_or_not_there(retrieval_command: Retrieval, folder: Path) -> None:
    assert retrieval_command("measure").code == 1
    (folder / "empty").mkdir()
    retrieval_command("index", "empty")
    failed = retrieval_command("measure")
    assert (failed.code, failed.err.count("\n")) == (2, 1)
    assert "is empty; add documents first" in failed.err


def test_the_bar_says_what_is_going_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bar("reading") as show:
        show(ProgressUpdate("searching", 1, 3, "queries"))
        show(ProgressUpdate("encoding", 256, 700, "passages"))
    assert capsys.readouterr().out == ""
