"""`retrieval eval make`, and `retrieval eval run --measure`."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Retrieval

Process = Callable[..., "subprocess.Popen[str]"]
QUERIES = ["--query", "takes the lock", "--query", "who waits"]


@pytest.fixture
def made(retrieval_command: Retrieval) -> Retrieval:
    """The command, after `docs` was indexed."""
    assert retrieval_command("index", "docs").code == 0
    return retrieval_command


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts lines into standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def qrels(folder: str = "t") -> list[list[str]]:
    lines = Path(folder, "qrels", "test.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines[1:]]


def test_a_test_set_is_made_judged_and_measured(
    made: Retrieval, stdin: Callable[[str], None]
) -> None:
    found = made("eval", "make", "t", *QUERIES)
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == [
        "t: 2 queries (2 new), 0 judgements, 2 documents",
        "2 queries have no judgement and would not be asked: --judge",
    ]
    stdin("1\n0\nb\n2\ns\nq\n")
    found = made("eval", "make", "t", "--judge", "--json")
    assert found.code == 0
    facts = json.loads(found.out)
    counts = ("queries", "added", "judged_queries", "judgements", "judged_now", "skipped_now")
    assert [facts[name] for name in counts] == [2, 0, 1, 2, 3, 1]
    assert "query 1 of 2: takes the lock" in found.err
    assert "A writer takes the lock before it writes." in found.err
    assert "grade (was 0): " in found.err
    assert sorted(grade for _, _, grade in qrels()) == ["1", "2"]
    assert "query 2 of 2" in found.err
    stdin("3\n")  # on from where it stopped, to the end of the input
    found = made("eval", "make", "t", "--judge")
    assert "query 1 of 2" not in found.err
    assert found.out.splitlines()[0] == "t: 2 queries (0 new), 3 judgements, 2 documents"
    options = ["--retriever", "lexical", "--measure", "RR@10", "--measure", "P@1", "--json"]
    found = made("eval", "t", "--out", "out", *options)
    assert found.code == 0
    rows = json.loads(found.out)["rows"]
    assert [(row["measure"], row["queries"]) for row in rows] == [("RR@10", 2), ("P@1", 2)]


def test_queries_from_a_log_a_file_and_the_documents(made: Retrieval) -> None:
    more = "It waits, and it says so, and then it waits again. " * 10
    Path("docs/birds.md").write_text(f"# Birds\n\n## How geese fly\n\n{more}\n")
    assert made("index", "docs").code == 0
    Path("log.csv").write_text("query,document\nlock,docs/locks.md\nlock,gone.md\n")
    Path("q.txt").write_text("one\ntwo\n")
    options = ["--log", "log.csv", "--queries", "q.txt", "--propose", "9", "--json"]
    found = made("eval", "make", "t", *options)
    assert found.code == 0
    facts = json.loads(found.out)
    assert facts["log"] == {"queries": 1, "clicks": 2, "unknown": 1, "rare": 0, "left_out": 0}
    assert facts["proposed"] == {"queries": 1, "found": 1, "ambiguous": 0}
    assert any("such as 'gone.md'" in line for line in facts["warnings"])
    assert any("the documents have no more" in line for line in facts["warnings"])
    record = json.loads(Path("t/made.json").read_text())
    assert {query["source"] for query in record["queries"]} == {"typed", "log", "proposed"}
    assert record["runs"][0]["propose"] == 9
    said = [json.loads(line) for line in Path("t/judgements.jsonl").read_text().splitlines()]
    assert {line["by"] for line in said} == {"log", "proposed"}


def test_queries_are_read_from_standard_input(
    made: Retrieval, stdin: Callable[[str], None]
) -> None:
    stdin("one query\n\nanother\n")
    assert "2 queries (2 new)" in made("eval", "make", "t").out
    stdin("a third\n")
    assert "3 queries (1 new)" in made("eval", "make", "t", "--queries", "-").out
    stdin("")
    assert "3 queries (0 new)" in made("eval", "make", "t").out


def test_a_changed_index_is_said(made: Retrieval) -> None:
    assert made("eval", "make", "t", *QUERIES).code == 0
    Path("docs/more.md").write_text("One more.\n")
    assert made("index", "docs").code == 0
    found = made("eval", "make", "t", "--query", "more")
    assert "the index has changed since: 1 document added, 0 changed, 0 gone" in found.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no query was given"),
        (["--judge"], "no query was given"),
        (["--query", " "], "--query is empty"),
        (["--queries", "none.txt"], "none.txt cannot be read"),
        (["--log", "docs/locks.md"], "expected a search log"),
        (["--judge", "--queries", "-"], "standard input cannot give both"),
        (["--query", "q", "--retriever", "sparse"], "retriever 'sparse' is not in the index"),
        (["--query", "q", "--min-clicks", "0"], "--min-clicks"),
    ],
)
def test_wrong_options(
    made: Retrieval, stdin: Callable[[str], None], options: list[str], said: str
) -> None:
    stdin("")
    found = made("eval", "make", "t", *options)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert said in found.err
    assert not Path("t").exists()


def test_one_of_anything_is_said_as_one(made: Retrieval) -> None:
    Path("log.csv").write_text("query,document\nlock,docs/locks.md\nlock,gone.md\nhens,gone.md\n")
    found = made("eval", "make", "t", "--log", "log.csv", "--query", "who waits")
    assert found.out.splitlines()[:2] == [
        "t: 2 queries (2 new), 1 judgement, 2 documents",
        "1 query has no judgement and would not be asked: --judge",
    ]
    assert found.err.splitlines() == [
        "1 document that was clicked is not in the index (such as 'gone.md'); "
        "such clicks do not count",
        "1 query of the log has no click that counts; left out",
    ]


@pytest.mark.parametrize("place", ["docs/locks.md/t", "docs/locks.md"])
def test_a_folder_that_cannot_be_made_says_what_to_do(made: Retrieval, place: str) -> None:
    found = made("eval", "make", place, *QUERIES)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert place in found.err
    assert "; give " in found.err


def test_a_folder_of_something_else_stays_as_it_is(made: Retrieval) -> None:
    found = made("eval", "make", "docs", *QUERIES)
    assert (found.code, "docs holds something else" in found.err) == (2, True)
    assert sorted(path.name for path in Path("docs").iterdir()) == ["locks.md", "readers.md"]


def test_while_one_judges_another_is_refused(made: Retrieval, process: Process) -> None:
    assert made("eval", "make", "t", *QUERIES).code == 0
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = process("eval", "make", "t", "--judge", **pipes)
    assert running.stdin is not None
    running.stdin.write("3\n")
    running.stdin.flush()
    deadline = time.monotonic() + 60
    while not Path("t/judgements.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    before = Path("t/made.json").read_bytes()
    found = made("eval", "make", "t", "--query", "a third")
    assert (found.code, found.out, found.err.count("\n")) == (1, "", 1)
    assert f"another writer (process {running.pid}) holds t/lock" in found.err
    assert Path("t/made.json").read_bytes() == before
    running.kill()  # the lock goes with its holder
    running.communicate()
    assert "3 queries (1 new)" in made("eval", "make", "t", "--query", "a third").out


def test_an_answer_that_is_none_is_named_and_those_before_it_stay(
    made: Retrieval, stdin: Callable[[str], None]
) -> None:
    assert made("eval", "make", "t", *QUERIES).code == 0
    stdin("2\nyes\n")
    found = made("eval", "make", "t", "--judge")
    assert found.code == 2
    assert "line 2 of the judgements is 'yes'; expected one of 0, 1, 2, 3, s, b, q" in found.err
    assert [grade for _, _, grade in qrels()] == ["2"]


def test_after_ctrl_c_judgements_are_kept(made: Retrieval, process: Process) -> None:
    assert made("eval", "make", "t", *QUERIES).code == 0
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = process("eval", "make", "t", "--judge", **pipes)
    assert running.stdin is not None
    running.stdin.write("3\n")
    running.stdin.flush()
    deadline = time.monotonic() + 60
    journal = Path("t/judgements.jsonl")
    while not journal.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)  # it waits for the next answer then
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "run the same command to continue" in err
    assert [grade for _, _, grade in qrels()] == ["3"]


def test_at_a_terminal_it_asks(made: Retrieval, process: Process) -> None:
    ours, theirs = pty.openpty()
    running = process(
        "eval", "make", "t", stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.write(ours, b"takes the lock\n\n")
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "query (empty to end): " * 2)
    assert "1 query (1 new)" in out
    options = {"stdin": theirs, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = process("eval", "make", "t", "--judge", "--depth", "1", **options)
    os.write(ours, b"what?\n2\nq\n")
    out, err = running.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert running.returncode == 0
    assert err.count("0 not relevant, 1 related") == 2  # once more after what was not understood
    assert qrels()[0][2] == "2"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nDCG@ten", "expected one of nDCG@k"),
        ("quality", "measure 'quality' is unknown; expected"),
        ("ndcg@10", "measure 'ndcg@10' is unknown; did you mean nDCG@10?"),
        ("P@0", "cutoff 0"),
        ("R", "measure 'R' has no cutoff; give one, as in R@10"),
        ("Judged@0", "cutoff 0"),
    ],
)
def test_a_measure_that_cannot_be_computed(made: Retrieval, name: str, said: str) -> None:
    found = made("eval", "docs", "--out", "out", "--measure", name)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert said in found.err
    assert not Path("out").exists()
