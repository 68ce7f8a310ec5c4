"""What shares words with a protected text is found, at the limits; what does not is let through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.text.decontaminate import CODE_RUN, RUN, Protected, protect
from retrieval.errors import InputError
from retrieval.eval.datasets import beir
from retrieval.train.pairs import Record


def _words(count: int, of: str) -> str:
    return " ".join(f"{of}{at}" for at in range(count))


def _collection(
    folder: Path,
    documents: Mapping[str, str | tuple[str, str]],
    queries: Mapping[str, str],
    qrels: Mapping[str, list[tuple[str, str]]],
) -> Path:
    (folder / "qrels").mkdir(parents=True)
    titled = {id: text if isinstance(text, tuple) else ("", text) for id, text in documents.items()}
    (folder / "corpus.jsonl").write_text(
        "".join(
            json.dumps({"_id": id, "title": title, "text": text}) + "\n"
            for id, (title, text) in titled.items()
        )
    )
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": id, "text": text}) + "\n" for id, text in queries.items())
    )
    for split, rows in qrels.items():
        lines = ["query-id\tcorpus-id\tscore", *(f"{q}\t{d}\t1" for q, d in rows)]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def protected(tmp_path: Path) -> Protected:
    documents = {
        "long": _words(60, "d"),
        "eight": _words(8, "e"),
        "seven": _words(7, "s"),
        "titled": ("Sound Of Small Waves", _words(30, "t")),
    }
    queries = {"q": "how do birds fly", "lone": "heart"}
    return protect([_collection(tmp_path / "c", documents, queries, {"test": [("q", "long")]})])


def _planted(count: int, *, of: str = "d") -> str:
    return f"{_words(30, 'x')} {_words(count, of)} {_words(30, 'y')}"


@pytest.mark.parametrize(
    ("record", "code", "expected"),
    [
        (Record(_planted(12)), False, None),
        (Record(_planted(13)), False, "text overlap"),
        (Record(_planted(19)), True, None),
        (Record(_planted(20)), True, "text overlap"),
        (Record(f'def f():\n    """{_words(13, "d")}"""\n    return 1'), True, "text overlap"),
        (Record(f"def f():\n    '''{_words(12, 'd')}'''\n    return 1"), True, None),
        (Record(_planted(8, of="e")), False, "text overlap"),
        (Record(_planted(8, of="e")), True, "text overlap"),
        (Record(_planted(7, of="s")), False, None),
        (Record(_words(9, "x"), query=_words(13, "d")), False, "query overlap"),
        (Record(_words(9, "x"), query=_words(12, "d")), False, None),
        (Record(_words(9, "x"), query="How do birds FLY?"), False, "query equal"),
        (Record(_words(9, "x"), query="Heart"), False, "query equal"),
        (Record(_words(9, "x"), query="how do birds sing"), False, None),
        (Record(_words(9, "x"), title="how-do-birds_fly"), False, None),
        (Record(_words(9, "x"), title="How do birds fly"), False, "title equal"),
        (Record(_words(9, "x"), title="Sound of small waves"), False, "title equal"),
        (Record(_words(9, "x"), title="Heart"), False, None),
        (Record(_words(9, "x"), title="how do birds fly"), True, None),
        # Words of the title and of the text make the run together, here and there.
        (Record(_words(9, "t"), title="of the Sound of small waves"), False, "text overlap"),
        (Record(_words(8, "t"), title="of the sound of small waves"), False, None),
        (Record(_words(500, "x"), title="Unrelated", query="what else is there"), False, None),
    ],
)
def test_overlap_at_the_limits(
    protected: Protected, record: Record, code: bool, expected: str | None
) -> None:
    assert protected.overlap(record, code=code) == expected


def test_punctuation_and_case_hide_nothing(protected: Protected) -> None:
    shouted = ",\n".join(_words(13, "d").upper().split())
    assert protected.overlap(Record(shouted)) == "text overlap"


@given(
    st.lists(st.sampled_from("abcd"), max_size=40), st.lists(st.sampled_from("abcd"), min_size=1)
)
def test_hashed_runs_find_what_comparing_words_finds(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], held: list[str]
) -> None:
    folder = _collection(tmp_path_factory.mktemp("c"), {"d": " ".join(held)}, {}, {})
    found = protect([folder])

    def runs(of: list[str], length: int) -> set[tuple[str, ...]]:
        return {tuple(of[at : at + length]) for at in range(len(of) - length + 1)}

    for limit, code in ((RUN, False), (CODE_RUN, True)):
        length = limit if len(held) >= limit else len(held)
        expected = length >= 8 and bool(runs(words, length) & runs(held, length))
        assert bool(found.overlap(Record(" ".join(words)), code=code)) == expected


def test_only_what_no_other_split_names_is_free(tmp_path: Path) -> None:
    folder = _collection(
        tmp_path / "c",
        {name: _words(20, name) for name in ("train", "both", "test", "unjudged")},
        {"q1": "first question here", "q2": "second question here", "q3": "third question here"},
        {"train": [("q1", "train"), ("q1", "both"), ("q2", "train")], "dev": [("q2", "both")]},
    )
    assert beir.train_only(folder) == beir.Ids(frozenset({"q1"}), frozenset({"train"}))
    partly, whole = protect([], but_train=[folder]), protect([folder])
    for name in ("both", "test", "unjudged", "train"):
        record = Record(_words(20, name))
        assert whole.overlap(record) == "text overlap"
        assert partly.overlap(record) == (None if name == "train" else "text overlap")
    for query, free in (("first", True), ("second", False), ("third", False)):
        record = Record(_words(9, "x"), query=f"{query} question here")
        assert whole.overlap(record) == "query equal"
        assert partly.overlap(record) == (None if free else "query equal")


def test_nothing_protected_drops_nothing() -> None:
    assert protect([]).overlap(Record(_words(50, "d"), "a title of words", "a query")) is None


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpus\.jsonl cannot be read"):
        protect([tmp_path])
    folder = _collection(tmp_path / "c", {"d": "text"}, {}, {"test": [("q", "d")]})
    with pytest.raises(InputError, match=r"train\.tsv cannot be read"):
        protect([], but_train=[folder])
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\tmuch\n")
    with pytest.raises(InputError, match=r"train\.tsv:2: .*whole number"):
        protect([], but_train=[folder])
    (folder / "queries.jsonl").write_text('{"_id": "a", "text": "b"}\n{"text": "no id"}\n')
    with pytest.raises(InputError, match=r"queries\.jsonl:2"):
        protect([folder])
