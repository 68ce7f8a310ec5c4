"""What is learnt and what is measured on stay apart; wrong data are named."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.train.task import Task, hold_out, read_task

Judged = Mapping[str, Sequence[tuple[str, str, int]]]


def write(folder: Path, splits: Judged, *, texts: Mapping[str, str] | None = None) -> Path:
    (folder / "qrels").mkdir(parents=True)
    queries = sorted({query for rows in splits.values() for query, _, _ in rows})
    documents = [f"d{number}" for number in range(60)]
    with (folder / "corpus.jsonl").open("w") as file:
        file.writelines(
            json.dumps({"_id": d, "title": "", "text": f"text of {d}"}) + "\n" for d in documents
        )
    with (folder / "queries.jsonl").open("w") as file:
        for query in queries:
            text = f"ask {query}" if texts is None else texts.get(query, "")
            file.write(json.dumps({"_id": query, "text": text}) + "\n")
    for split, rows in splits.items():
        lines = "".join(f"{q}\t{d}\t{grade}\n" for q, d, grade in rows)
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return folder


def train(count: int = 30) -> list[tuple[str, str, int]]:
    return [(f"q{number}", f"d{number}", 1) for number in range(count)]


def test_a_development_split_is_measured_on(tmp_path: Path) -> None:
    task = read_task(write(tmp_path / "a", {"train": train(), "dev": [("v", "d40", 2)]}))
    assert list(task.held_out) == ["v"] and len(task.train) == 30
    assert task.measured_on == "queries of the dev split"
    assert task.held_out["v"] == {"d40": 2}


def test_queries_of_other_splits_are_not_learnt_from(tmp_path: Path) -> None:
    splits = {"train": train(), "test": [("q3", "d3", 1)], "dev": [("q4", "d4", 1)]}
    task = read_task(write(tmp_path / "a", splits))
    assert not {"q3", "q4"} & set(task.train)
    assert any("2 train queries that other splits name" in note for note in task.notes)


def test_without_a_development_split_a_share_of_train_is_held_out(tmp_path: Path) -> None:
    task = read_task(write(tmp_path / "a", {"train": train()}))
    assert len(task.held_out) == 6 and len(task.train) == 24
    assert not set(task.held_out) & set(task.train)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_queries_that_share_a_document_are_held_out_together(seed: int) -> None:
    chance = random.Random(seed)
    grades = {
        f"q{number}": {f"d{chance.randrange(60)}": 1 for _ in range(chance.randint(1, 2))}
        for number in range(50)
    }
    held, apart = hold_out(grades, 10, np.random.default_rng(seed))
    assert 0 < len(held) <= 10
    seen = {document for query in grades if query not in held for document in grades[query]}
    asked = {document for own in held.values() for document in own}
    assert not apart or not seen & asked


def test_where_all_share_one_document_it_says_so(tmp_path: Path) -> None:
    rows = [(f"q{number}", "d0", 1) for number in range(30)]
    task = read_task(write(tmp_path / "a", {"train": rows}))
    assert task.held_out and "whose documents training sees too" in task.measured_on


def test_the_documents_that_queries_name_come_first(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", {"train": train(20), "dev": [("v", "d59", 1)]})
    task = read_task(folder, most_documents=30)
    assert len(task.documents) == 30
    assert {"d59", *(f"d{number}" for number in range(20))} <= {d.id for d in task.documents}
    few = read_task(folder, most_documents=10)
    assert len(few.train) == 9 and set(few.held_out) == {"v"}
    assert any("11 of 20 train queries left out" in note for note in few.notes)


def test_negative_judgements_are_no_answers(tmp_path: Path) -> None:
    rows = [*train(), ("q0", "d30", 0), ("q1", "d31", -1), ("only", "d5", 0)]
    task = read_task(write(tmp_path / "a", {"train": rows, "dev": [("v", "d40", 1)]}))
    assert task.train["q0"] == {"d0": 1} and task.train["q1"] == {"d1": 1}
    assert "only" not in task.train


def test_scores_of_a_teacher_are_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", {"train": train(), "dev": [("v", "d40", 1)]})
    (folder / "scores.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td7\t0.25\nv\td1\t1\n")
    assert read_task(folder).scores == {"q0": {"d7": 0.25}}


def test_the_digest_follows_what_is_learnt(tmp_path: Path) -> None:
    first = read_task(write(tmp_path / "a", {"train": train(), "dev": [("v", "d40", 1)]}))
    same = read_task(write(tmp_path / "b", {"train": train(), "dev": [("v", "d40", 1)]}))
    other = read_task(write(tmp_path / "c", {"train": train(), "dev": [("v", "d40", 2)]}))
    assert first.digest() == same.digest() != other.digest()
    assert isinstance(first, Task)


def test_wrong_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no train split: qrels/ holds test\.tsv"):
        read_task(write(tmp_path / "a", {"test": train()}))
    with pytest.raises(InputError, match="is not a folder"):
        read_task(tmp_path / "nowhere")
    with pytest.raises(InputError, match="none of the 30 judged queries has a text"):
        read_task(write(tmp_path / "b", {"train": train()}, texts={}))
    some = read_task(write(tmp_path / "c", {"train": train()}, texts={"q1": "a", "q2": "b"}))
    assert any("28 queries without a text" in note for note in some.notes)
    folder = write(tmp_path / "d", {"train": train()})
    (folder / "scores.tsv").write_text("q0\td1\tnan\n")
    with pytest.raises(InputError, match=r"scores\.tsv:1"):
        read_task(folder)
    (folder / "scores.tsv").write_bytes("q0\td\xe9\t1\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"scores\.tsv is not UTF-8"):
        read_task(folder)
