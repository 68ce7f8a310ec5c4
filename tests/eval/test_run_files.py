"""Ids of any kind go through a run file and come back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.eval.datasets.run_files import escape_id, unescape_id, write_run
from retrieval.eval.results import read_run, run_path

_PIECES = st.sampled_from(
    [" ", "%", "%20", "%25", "20", "2", "5", "\t", "\u2003", "%E2%80%83", "a"]
)
IDS = st.one_of(st.lists(_PIECES, max_size=8).map("".join), st.text(st.characters(codec="utf-8")))


@given(IDS)
def test_an_id_is_one_word_and_comes_back(id: str) -> None:
    said = escape_id(id)
    assert unescape_id(said) == id
    assert said.split() == ([said] if said else [])


@given(st.text(alphabet="ab%/:.é", min_size=1))
def test_an_id_that_needs_no_escape_stays(id: str) -> None:
    assert escape_id(id) == id


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("a b", "a%20b"),
        ("a%20b", "a%2520b"),
        ("100%", "100%"),
        ("a%2Fb", "a%2Fb"),
        ("%25", "%2525"),
    ],
)
def test_what_stands_in_the_file(id: str, said: str) -> None:
    assert escape_id(id) == said


def test_a_run_is_read_with_the_ids_of_the_collection(tmp_path: Path) -> None:
    run = {"query one": {"my notes.md": 2.0, "my%20notes.md": 1.0}, "q%": {"50%\u00a0off": 1.0}}
    path = run_path(tmp_path, "tiny", "bm25")
    path.parent.mkdir()
    write_run(path, run, "a tag")
    assert read_run(tmp_path, "tiny", "bm25", 5) == {
        "query one": [("my notes.md", 2.0), ("my%20notes.md", 1.0)],
        "q%": [("50%\u00a0off", 1.0)],
    }
