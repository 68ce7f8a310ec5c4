"""Collections and measures against what can be worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from retrieval.errors import InputError
from retrieval.eval.datasets import load_beir
from retrieval.eval.measures import means


def _collection(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": "d1", "title": "T", "text": "one"}, {"_id": 2, "text": "two"}]
    queries = [{"_id": "q1", "text": "first"}, {"_id": "q2", "text": "second"}, {"_id": "q3"}]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\t2\t1\nq2\t2\t1\n"
    )
    return folder


def test_a_beir_folder_is_read(tmp_path: Path) -> None:
    dataset = load_beir(str(_collection(tmp_path / "tiny")))
    assert dataset.name == "tiny"
    assert [(d.id, d.title, d.text) for d in dataset.documents] == [
        ("d1", "T", "one"),
        ("2", "", "two"),
    ]
    assert dataset.queries == {"q1": "first", "q2": "second"}
    assert dataset.qrels == {"q1": {"d1": 2, "2": 1}, "q2": {"2": 1}}
    assert list(load_beir(tmp_path / "tiny", max_queries=1).queries) == ["q1"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("corpus.jsonl", '{"_id": "d1"}\n{broken\n', "corpus.jsonl:2"),
        ("queries.jsonl", '["q1"]\n', "queries.jsonl:1"),
        ("qrels/test.tsv", "q1\td1\n", "test.tsv:1"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\thigh\n", "test.tsv:2"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, name: str, content: str, said: str) -> None:
    folder = _collection(tmp_path / "tiny")
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=said):
        load_beir(folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpus\.jsonl cannot be read"):
        load_beir(tmp_path)


def test_ndcg_is_the_formula() -> None:
    qrels = {"q1": {"a": 2, "b": 1}, "q2": {"c": 1}}
    run = {"q1": {"b": 3.0, "x": 2.0, "a": 1.0}}
    ideal = 2 + 1 / math.log2(3)
    gained = 1 + 2 / math.log2(4)
    # q2 has no answer and counts as 0.
    assert means(qrels, run)["nDCG@10"] == pytest.approx(gained / ideal / 2)


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(InputError, match="nDCG@k"):
        means({"q": {"a": 1}}, {"q": {"a": 1.0}}, ["nonsense@@"])
