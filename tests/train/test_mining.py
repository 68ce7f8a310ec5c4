"""Candidates: what is mined, what is left out, what a teacher makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval import Document, Index
from retrieval.errors import InputError
from retrieval.train.candidates import data_scores, own_scores, teacher_scores
from retrieval.train.mining import Mined, mine, repeats, text_of
from retrieval.train.task import Task
from retrieval.train.teacher_cache import AT_ONCE, TeacherCache
from retrieval.train.teachers import EncoderTeacher
from tests.index.fake_encoder import FakeEncoder

DOCUMENTS = [
    Document("right", "a lock is taken before the index is written by the one writer", "Locks"),
    Document("again", "a lock is taken before the index is written by the one writer too", "Locks"),
    Document("near", "a lock of hair that was taken from a sleeping giant in the hills"),
    Document("other", "the writer of the tale lived by the sea and wrote at night"),
    Document('odd "\\id', "nothing of that kind was ever heard of in this town"),
    *(Document(f"fill{n}", f"word{n} stands with word{n + 1} and word{n + 2}") for n in range(20)),
]


def task(**changes: object) -> Task:
    values: dict[str, object] = {
        "name": "small",
        "documents": DOCUMENTS,
        "queries": {"q": "who takes the lock", "p": "word3 word4"},
        "train": {"q": {"right": 1}, "p": {'odd "\\id': 1}},
        "held_out": {},
        "measured_on": "nothing",
    }
    return Task(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    made = Index.create(tmp_path_factory.mktemp("index") / "index", encoder=FakeEncoder())
    made.add(DOCUMENTS)
    return made


def names(mined: Mined) -> tuple[list[str], list[str]]:
    positives = [DOCUMENTS[candidate.document].id for candidate in mined.positives]
    return positives, [DOCUMENTS[candidate.document].id for candidate in mined.negatives]


def test_answers_and_what_repeats_them_are_no_negatives(index: Index, tmp_path: Path) -> None:
    (q, p) = mine(index, task(), tmp_path / "found.jsonl", negatives=16)
    assert names(q)[0] == ["right"]
    assert not {"right", "again"} & set(names(q)[1]) and "near" in names(q)[1]
    # An answer that no retriever proposes is asked for by its id, whatever the id is.
    assert names(p)[0] == ['odd "\\id'] and len(p.negatives) == 16


def test_a_passage_is_read_as_the_index_reads_it(index: Index, tmp_path: Path) -> None:
    (q, _) = mine(index, task(), tmp_path / "found.jsonl", negatives=4)
    assert text_of(q.positives[0], DOCUMENTS) == f"Locks\n{DOCUMENTS[0].text}"


def test_mining_goes_on_where_it_was_cut_off(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    whole = mine(index, task(), path, negatives=4)
    written = path.read_bytes()
    path.write_bytes(written[: written.index(b"\n") + 20])
    told: list[int] = []
    assert (
        mine(index, task(), path, negatives=4, progress=lambda now: told.append(now.done)) == whole
    )
    assert told == [2] and path.read_bytes() == written
    told.clear()
    mine(index, task(), path, negatives=4, progress=lambda now: told.append(now.done))
    assert told == []
    # After a power cut a line may be there in length only.
    path.write_bytes(bytes(written.index(b"\n")) + written[written.index(b"\n") :])
    assert mine(index, task(), path, negatives=4) == whole and path.read_bytes() == written


def test_repeating_is_a_matter_of_shared_words() -> None:
    assert repeats("a b c d e", ["A, b: c d e!"])
    assert repeats("a b c d", ["x", "a b c d e"])
    assert not repeats("a b c", ["a b c d e"])
    assert not repeats("a", [])


def test_scores_of_the_start_go_from_0_to_1_by_the_weights_of_hybrid(
    index: Index, tmp_path: Path
) -> None:
    (q, _) = mine(index, task(), tmp_path / "found.jsonl", negatives=6)
    rows = [*q.positives, *q.negatives]
    late = np.array([row.late for row in rows])
    np.testing.assert_allclose(
        own_scores(q, "late"), (late - late.min()) / (late.max() - late.min()), atol=1e-6
    )
    total = np.zeros(len(rows))
    for name, weight in (("lexical", 0.5), ("dense", 1.0), ("late", 1.0)):
        column = np.array([getattr(row, name) for row in rows])
        total += weight * (column - column.min()) / (column.max() - column.min())
    expected = (total - total.min()) / (total.max() - total.min())
    np.testing.assert_allclose(own_scores(q, "hybrid"), expected, atol=1e-5)


def test_documents_that_the_data_score_are_the_candidates(index: Index, tmp_path: Path) -> None:
    scores = {"q": {"fill1": 3.0, "other": 7.0, "right": 9.0}}
    scored = task(scores=scores)
    (q, p) = mine(index, scored, tmp_path / "found.jsonl", negatives=4)
    assert names(q) == (["right"], ["other", "fill1"])
    found = data_scores(q, scored)
    assert found is not None
    np.testing.assert_allclose(found, [1, 2 / 3, 0], atol=1e-6)
    assert data_scores(p, scored) is None


def test_a_teacher_reads_each_text_once(tmp_path: Path) -> None:
    teacher = FakeEncoder()
    cache = TeacherCache(teacher, tmp_path)
    texts = [f"text {number}" for number in range(AT_ONCE + 5)]
    assert cache.add([*texts, *texts], "document") == len(texts) == len(teacher.encoded)
    again = TeacherCache(teacher, tmp_path)
    assert again.add(texts, "document") == 0 and len(teacher.encoded) == len(texts)
    made = teacher.encode_documents([texts[-1]])
    kept = again.get(texts[-1], "document")
    assert made.dense is not None and made.tokens is not None
    np.testing.assert_allclose(kept.dense, made.dense[0], atol=1e-3)
    np.testing.assert_allclose(kept.tokens, made.tokens, atol=1e-3)
    with pytest.raises(KeyError):
        again.get(texts[-1], "query")


def test_what_was_damaged_is_made_again(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(3)]
    TeacherCache(FakeEncoder(), tmp_path).add(texts, "document")
    for rows in tmp_path.rglob("*.rows"):
        rows.write_bytes(rows.read_bytes()[:-2])
    again = TeacherCache(FakeEncoder(), tmp_path)
    assert again.add(texts, "document") == 0, "nobody has looked at the vectors yet"
    made = again.encoder.encode_documents(texts)
    assert made.dense is not None
    kept = np.stack([again.get(text, "document").dense for text in texts])
    np.testing.assert_allclose(kept, made.dense, atol=1e-3)
    assert again.encoder.encoded == [*texts, texts[-1]]  # type: ignore[attr-defined]


def test_teachers_scores_are_those_of_their_vectors(index: Index, tmp_path: Path) -> None:
    found = mine(index, task(), tmp_path / "found.jsonl", negatives=5)
    encoder = FakeEncoder()
    cache = TeacherCache(encoder, tmp_path / "teachers")
    teacher = EncoderTeacher(cache)
    late = teacher_scores(found, task(), [teacher, teacher], "late")
    for mined, scores in zip(found, late, strict=True):
        texts = [text_of(row, DOCUMENTS) for row in (*mined.positives, *mined.negatives)]
        query = encoder.encode_queries([task().queries[mined.query]]).tokens
        assert query is not None
        expected = []
        for text in texts:
            tokens = encoder.encode_documents([text]).tokens
            assert tokens is not None
            expected.append(float((query @ tokens.T).max(1).mean()))
        low, high = min(expected), max(expected)
        np.testing.assert_allclose(scores, (np.array(expected) - low) / (high - low), atol=5e-3)


def test_a_teacher_without_the_head_is_refused(index: Index, tmp_path: Path) -> None:
    found = mine(index, task(), tmp_path / "found.jsonl", negatives=5)
    teacher = EncoderTeacher(TeacherCache(FakeEncoder(token_dim=None), tmp_path / "teachers"))
    with pytest.raises(InputError, match="gives no late scores; ask for dense"):
        teacher_scores(found, task(), [teacher], "late")
    assert len(teacher_scores(found, task(), [teacher], "hybrid")) == len(found)
