"""Queries out of the documents of an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval import Document, Index
from retrieval.errors import EncoderMismatch, IndexNotFound, InputError
from retrieval.train.pseudo_queries import index_settings, read_index, records
from tests.index.fake_encoder import FakeEncoder

BODY = "It waits until the other one has left, and then it goes on with what it was about. " * 4


def page(number: int) -> Document:
    text = f"# Page number {number}\n\n{BODY}\n\n## How lock {number} is taken\n\n{BODY}\n"
    return Document(f"p{number}.md", text, f"Page number {number}", {"language": "markdown"})


def test_headings_titles_and_docstrings_ask() -> None:
    (first, second) = records(page(1))
    assert second.query == "How lock 1 is taken" and second.query not in second.text
    code = "def take(lock):\n    '''Wait until the lock is free.'''\n" + "    lock.wait()\n" * 9
    (function,) = records(Document("a.py", code, "", {"language": "python"}))
    assert function.query == "Wait until the lock is free." and "free" not in function.text
    (plain,) = records(Document("a.txt", f"Of locks and keys\n{BODY}", "Of locks and keys"))
    assert plain.query == "Of locks and keys" and "keys" not in plain.text
    assert first.query == "Page number 1"


def test_an_index_becomes_a_task(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        index.add([page(number) for number in range(20)])
    task = read_index(tmp_path / "index")
    assert task.pseudo and "pseudo-queries" in task.measured_on
    known = {document.id for document in task.documents}
    assert set(task.train) | set(task.held_out) <= known
    held = {query.partition("#")[0] for query in task.held_out}
    assert held and not held & {query.partition("#")[0] for query in task.train}


def test_what_gives_no_queries_is_refused(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        index.add([Document("a", "No title, and too short to be cut.")])
    with pytest.raises(InputError, match="no titles, headings or docstrings"):
        read_index(tmp_path / "index")
    with pytest.raises(IndexNotFound):
        read_index(tmp_path / "nowhere")


def test_an_index_of_another_encoder_is_refused(tmp_path: Path) -> None:
    Index.create(tmp_path / "index", encoder=FakeEncoder()).close()
    with pytest.raises(EncoderMismatch, match="leave --from out"):
        index_settings(tmp_path / "index", fingerprint="0" * 64)
