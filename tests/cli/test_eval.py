"""`retrieval eval` and `retrieval eval compare`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retrieval.cli.output.evaluation import results_table
from retrieval.cli.output.style import Style
from retrieval.eval.results import read_results, read_texts
from tests.cli.conftest import COMMAND, Retrieval

QUERIES = {"q1": "takes the lock", "q2": "grey goose flies", "q3": "red hen"}
CORPUS = {
    "d1": "A writer takes the lock before it writes.",
    "d2": "The grey goose flies south.",
    "d3": "A red hen sits.",
}


@pytest.fixture
def birds(folder: Path) -> Path:
    """A collection in BEIR's format, in the current folder."""
    return collection(folder / "birds")


def collection(place: Path) -> Path:
    (place / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", CORPUS), ("queries", QUERIES)):
        lines = (json.dumps({"_id": id, "text": text}) + "\n" for id, text in texts.items())
        (place / f"{name}.jsonl").write_text("".join(lines))
    qrels = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\nq3\td3\t1\n"
    (place / "qrels" / "test.tsv").write_text(qrels)
    return place


def test_a_table_and_a_folder(birds: Path, retrieval_command: Retrieval) -> None:
    found = retrieval_command("eval", birds, "--retriever", "lexical", "--out", "out")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0] == "birds (test, 3 documents, 3 queries)"
    assert lines[1].split()[:3] == ["system", "nDCG@10", "AP"]
    assert lines[2].split()[:3] == ["lexical", "1.0000", "1.0000"]
    assert "p50 ms" in lines[4]
    assert lines[-1] == f"report: {Path('out/report.html')}"
    names = {path.name for path in Path("out").iterdir()}
    assert {"results.json", "report.html", "report.md", "runs", "texts"} <= names


def test_fewer_queries(birds: Path, retrieval_command: Retrieval) -> None:
    arguments = ("eval", birds, "--retriever", "lexical", "--out", "out", "--queries")
    found = retrieval_command(*arguments, "2")
    assert found.out.splitlines()[0] == "birds (test, 3 documents, 2 queries)"
    assert len(read_results(Path("out")).per_query["birds"]["lexical"]) == 2
    assert retrieval_command(*arguments, "0").code == 2


def test_systems_and_json(birds: Path, retrieval_command: Retrieval) -> None:
    pytest.importorskip("bm25s")
    Path("theirs.trec").write_text("q1 Q0 d1 1 1.0 t\n")
    options = ["--retriever", "dense", "--retriever", "lexical", "--system", "bm25s"]
    options += ["--system", "encoder:other", "--system", "run:theirs.trec", "--json"]
    found = retrieval_command("eval", "run", birds, "--out", "out", *options)
    assert found.code == 0
    document = json.loads(found.out)
    values = {r["system"]: r["value"] for r in document["rows"] if r["measure"] == "RR@10"}
    assert list(values) == ["lexical", "dense", "bm25s", "other/lexical", "other/dense", "theirs"]
    assert values["bm25s"] == 1.0
    assert values["theirs"] == pytest.approx(1 / 3)
    assert "per_query" not in document
    assert document["out"] == "out"
    assert document["failed"] == {}


def test_texts_can_be_left_out(birds: Path, retrieval_command: Retrieval) -> None:
    options = ["--retriever", "lexical", "--out", "out"]
    assert retrieval_command("eval", birds, *options, "--no-texts").code == 0
    assert read_texts(Path("out"), "birds") is None
    assert "grey goose" not in Path("out/report.html").read_text()
    assert "grey goose" not in Path("out/results.json").read_text()


def test_a_failure_is_told_and_the_rest_is_there(birds: Path, retrieval_command: Retrieval) -> None:
    found = retrieval_command("eval", birds, "docs", "--retriever", "lexical", "--out", "out")
    assert found.code == 1
    assert "birds (test" in found.out
    assert "failed: docs: " in found.err and "docs is in no format that is known" in found.err
    assert read_results(Path("out")).collections == ("birds",)


def test_warnings_are_told(birds: Path, retrieval_command: Retrieval) -> None:
    with (birds / "qrels" / "test.tsv").open("a") as more:
        more.write("q1\td9\t1\n")
    found = retrieval_command("eval", birds, "--retriever", "lexical", "--out", "out")
    assert found.code == 0
    assert "birds: 1 judged document is not in the corpus" in found.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--retriever", "sparse"], "retriever 'sparse' is unknown; choose from lexical, dense"),
        (["--retriever", "none"], "no system was given"),
        (["--retriever", "none", "--retriever", "late"], "retriever 'none' is unknown"),
        (["--system", "bm26"], "system 'bm26' is unknown"),
        (["--retriever", "lexical", "--split", "dev"], "has no split 'dev'; choose from: test"),
    ],
)
def test_wrong_options(
    birds: Path, retrieval_command: Retrieval, options: list[str], said: str
) -> None:
    found = retrieval_command("eval", birds, "--out", "out", *options)
    assert found.code == 2
    assert said in found.err


def test_a_missing_dataset_or_folder_is_a_wrong_command(retrieval_command: Retrieval) -> None:
    assert "missing argument" in retrieval_command("eval", "--out", "o").err
    assert "--out" in retrieval_command("eval", "birds").err


def test_compare(birds: Path, retrieval_command: Retrieval) -> None:
    options = ["--retriever", "lexical", "--retriever", "dense", "--out"]
    assert retrieval_command("eval", birds, *options, "a").code == 0
    assert retrieval_command("eval", birds, *options, "b").code == 0
    found = retrieval_command("eval", "compare", "a", "b", "--json")
    assert found.code == 0
    document = json.loads(found.out)
    assert [(c["a"], c["b"], c["difference"]) for c in document["compared"]] == [
        ("lexical", "lexical", 0.0),
        ("dense", "dense", 0.0),
    ]
    found = retrieval_command("eval", "compare", "a", "a", "--systems", "lexical,dense")
    assert found.code == 0
    assert "nDCG@10" in found.out
    assert retrieval_command("eval", "compare", "a", "b", "--systems", "x").code == 2
    missing = retrieval_command("eval", "compare", "a", "nowhere")
    assert (missing.code, "no results.json in nowhere" in missing.err) == (2, True)


def test_what_cannot_be_compared_says_why(birds: Path, retrieval_command: Retrieval) -> None:
    options = ["--retriever", "lexical", "--out"]
    assert retrieval_command("eval", birds, *options, "a").code == 0
    assert retrieval_command("eval", birds, *options, "b", "-k", "5").code == 0
    found = retrieval_command("eval", "compare", "a", "b")
    assert found.code == 1
    assert "aggregation of passages differs" in found.out


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (signal.SIGINT, 130, "run the same command to continue"),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_stopped_it_goes_on(birds: Path, sent: int, code: int, said: str) -> None:
    collection(birds.with_name("geese"))
    options = ["--retriever", "dense", "--out", "out"]
    first = subprocess.run([*COMMAND, "eval", "birds", *options], check=True, timeout=60)
    assert first.returncode == 0
    (before,) = read_results(Path("out")).efficiency
    arguments = [*COMMAND, "eval", "birds", "geese", *options]
    process = subprocess.Popen(
        arguments, env=os.environ | {"FAKE_DELAY": "30"}, stderr=subprocess.PIPE, text=True
    )
    try:
        while process.poll() is None and not list(Path("out").glob("indexes/geese/*/begun")):
            time.sleep(0.05)
        time.sleep(1)  # it is in the middle of encoding then
        process.send_signal(sent)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert said in err
    assert read_results(Path("out")).collections == ("birds",)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "birds (test" in done.stdout and "geese (test" in done.stdout
    after = read_results(Path("out")).efficiency
    assert after[0] == before, "what was done is not done again"
    assert after[1].build_s is None, "what another process began is not timed"


def test_one_evaluation_at_a_time_in_a_folder(birds: Path, retrieval_command: Retrieval) -> None:
    arguments = ["eval", "birds", "--retriever", "dense", "--out", "out"]
    process = subprocess.Popen([*COMMAND, *arguments], env=os.environ | {"FAKE_DELAY": "30"})
    try:
        while process.poll() is None and not list(Path("out").glob("indexes/*/*/begun")):
            time.sleep(0.05)
        found = retrieval_command(*arguments)
    finally:
        process.kill()
        process.wait()
    assert (found.code, found.out, found.err.count("\n")) == (1, "", 1)
    assert f"another writer (process {process.pid}) holds out/lock" in found.err


def test_a_folder_that_cannot_be_made_says_what_to_do(
    birds: Path, retrieval_command: Retrieval
) -> None:
    options = ["--retriever", "lexical", "--out", birds / "corpus.jsonl" / "out"]
    found = retrieval_command("eval", birds, *options)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert "out cannot be written to (Not a directory); give a folder" in found.err


def test_one_query_is_said_as_one(birds: Path, retrieval_command: Retrieval) -> None:
    options = ["--retriever", "lexical", "--out", "out", "--queries", "1"]
    found = retrieval_command("eval", birds, *options)
    assert found.out.splitlines()[0] == "birds (test, 3 documents, 1 query)"


def test_the_best_is_marked(birds: Path, retrieval_command: Retrieval) -> None:
    Path("bad.trec").write_text("q1 Q0 d2 1 1.0 t\n")
    options = ["--retriever", "lexical", "--system", "run:bad.trec", "--out", "out"]
    assert retrieval_command("eval", birds, *options).code == 0
    table = results_table(read_results(Path("out")), Style(colours=True, width=100))
    assert "\x1b[1;33m1.0000\x1b[0m" in table
    assert "\x1b[1;33m0.0000" not in table


def test_help_is_quick_and_names_both_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "retrieval", "eval", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "compare" in done.stdout and "run" in done.stdout
    for package in ("numpy", "faiss", "onnxruntime", "ir_measures"):
        assert f" {package}\n" not in done.stderr
