"""Parts of a collection score as one index of all of it would."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import InputError, StorageError
from retrieval.indexes import (
    LexicalIndex,
    LexicalPart,
    LexicalTotals,
    lexical_totals,
    top_k,
    write_lexical,
)
from retrieval.indexes.lexical import padding

Rows = Sequence[tuple[int, Mapping[str, str]]]

VOCABULARY = [f"w{n}" for n in range(80)]
SHARES = [1 / (n + 1) for n in range(80)]  # as words of a language


def passages(count: int) -> Rows:
    """Passages of very different lengths, of which only some have a title and Thai words."""
    drawn = random.Random(7)
    rows = []
    for id in range(count):
        fields = {"text": " ".join(drawn.choices(VOCABULARY, SHARES, k=drawn.randint(1, 70)))}
        if id % 3 == 0:
            fields["title"] = " ".join(drawn.choices(VOCABULARY, SHARES, k=3))
        if id % 5 == 0:
            fields["symbol"] = drawn.choice(VOCABULARY)
        if id % 7 == 0:
            fields["text"] += " ภาษาไทย"
        rows.append((id, fields))
    return rows


def by_length(rows: Rows, count: int) -> list[Rows]:
    """Parts that differ as much as they can: the shortest passages in the first."""
    ordered = sorted(rows, key=lambda row: len(row[1]["text"]))
    bounds = [round(n * len(rows) / count) for n in range(count + 1)]
    return [ordered[a:b] for a, b in itertools.pairwise(bounds)]


def opened(folder: Path, parts: Sequence[Rows]) -> list[LexicalIndex]:
    folders = [folder / f"part{n}" for n in range(len(parts))]
    for place, rows in zip(folders, parts, strict=True):
        write_lexical(place, add=rows)
    own = [lexical_totals(place) for place in folders]
    whole = LexicalTotals.summed(own)
    return [
        LexicalIndex.open(place, LexicalPart(each, whole))
        for place, each in zip(folders, own, strict=True)
    ]


def search(parts: Sequence[LexicalIndex], query: str, k: int) -> tuple[list[int], list[float]]:
    """The best of all parts."""
    counts = np.sum([part.counts(query) for part in parts], axis=0)
    found = [part.search(query, k, counts=counts) for part in parts]
    ids, scores = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    best, values = top_k(ids, scores, k)
    return best.tolist(), values.tolist()


QUERIES = [
    "w0",
    "w79",
    "w3 w50",
    "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11",  # so many that common ones count less
    "w5 ภาษาไทย",
    '"w0 w1" w9',
    "w4 w17 -w0",
    "nowhere w12",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("whole")
    write_lexical(folder, add=passages(400))
    return LexicalIndex.open(folder)


@pytest.mark.parametrize("count", [1, 4])
def test_parts_rank_as_the_whole(tmp_path: Path, whole: LexicalIndex, count: int) -> None:
    parts = opened(tmp_path, by_length(passages(400), count))
    for query in QUERIES:
        ids, scores = whole.search(query, 30)
        found, values = search(parts, query, 30)
        assert found == ids.tolist(), query
        assert values == pytest.approx(scores.tolist(), rel=2**-12)  # a step of rounded scores


def test_parts_score_what_others_found(tmp_path: Path, whole: LexicalIndex) -> None:
    parts = opened(tmp_path, by_length(passages(400), 3))
    query, ids = "w3 w50", np.arange(400)
    counts = np.sum([part.counts(query) for part in parts], axis=0)
    found = np.sum([part.score(query, ids, counts=counts) for part in parts], axis=0)
    assert found == pytest.approx(whole.score(query, ids), rel=2**-12)


def test_without_the_collection_parts_rank_otherwise(tmp_path: Path, whole: LexicalIndex) -> None:
    """The padding is what makes them agree: these parts differ enough."""
    parts = by_length(passages(400), 4)
    for n, rows in enumerate(parts):
        write_lexical(tmp_path / str(n), add=rows)
    alone = [LexicalIndex.open(tmp_path / str(n)) for n in range(4)]
    found = [part.search("w3 w50", 30) for part in alone]
    ids, scores = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    assert top_k(ids, scores, 30)[0].tolist() != whole.search("w3 w50", 30)[0].tolist()


def test_padding_is_neither_found_nor_counted(tmp_path: Path) -> None:
    parts = opened(tmp_path, by_length(passages(60), 3))
    assert [len(part) for part in parts] == [20, 20, 20]
    before = sorted(file.name for file in (tmp_path / "part0").iterdir())
    for query in ("\u2042", "-w0 \u2042", *QUERIES):
        ids, _ = search(parts, query, 1000)
        assert set(ids) <= set(range(60))
    assert sorted(file.name for file in (tmp_path / "part0").iterdir()) == before


def test_padding_is_kept_for_the_next_opening(
    tmp_path: Path, whole: LexicalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = by_length(passages(400), 2)
    folders = [tmp_path / "a", tmp_path / "b"]
    for place, rows in zip(folders, parts, strict=True):
        write_lexical(place, add=rows)
    own = [lexical_totals(place) for place in folders]
    kept = [tmp_path / "padding a", tmp_path / "padding b"]
    for _ in range(2):
        opened = [
            LexicalIndex.open(place, LexicalPart(each, LexicalTotals.summed(own), keeper))
            for place, each, keeper in zip(folders, own, kept, strict=True)
        ]
        assert search(opened, "w3 w50", 30)[0] == whole.search("w3 w50", 30)[0].tolist()
        monkeypatch.setattr(padding, "_write", None)  # it need not be written again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "padding a", "padding b"]


def test_totals_are_what_the_passages_hold(tmp_path: Path) -> None:
    write_lexical(tmp_path / "a", add=[(0, {"text": "kax bol kax"}), (1, {"title": "tir"})])
    write_lexical(tmp_path / "b", previous=tmp_path / "a", add=[(2, {"text": "muv"})], delete=[1])
    totals = lexical_totals(tmp_path / "b")
    assert (totals.passages, totals.counted) == (2, 3)  # the deleted one is not merged away yet
    assert {name: count for name, count in totals.tokens.items() if count} == {
        "text": 4,
        "title": 1,
    }
    assert totals.holders["text"] == 2
    twice = LexicalTotals.summed([totals, totals])
    assert (twice.passages, twice.counted, twice.tokens["text"]) == (4, 6, 8)


def test_a_large_collection_is_met_with_little_padding(
    tmp_path: Path, whole: LexicalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Means agree although the padding does not stand for all other passages."""
    monkeypatch.setattr(padding, "_MOST", 10)
    rows = passages(400)
    parts = opened(tmp_path, [rows[0::2], rows[1::2]])
    assert all(len(part) == 200 for part in parts)
    agreeing = 0
    for query in QUERIES:
        ids, scores = whole.search(query, 10)
        found, values = search(parts, query, 10)
        assert values == pytest.approx(scores.tolist(), rel=0.02)
        agreeing += len(set(found) & set(ids.tolist())) / max(1, len(ids))
    assert agreeing >= 0.9 * len(QUERIES)


def test_a_part_needs_the_counts_of_its_collection(tmp_path: Path) -> None:
    (part,) = opened(tmp_path, [passages(5)])
    with pytest.raises(InputError, match="give the collection's counts"):
        part.search("w0", 3)
    with pytest.raises(InputError, match=r"shape \(1, 5\) were given for a query of 2 terms"):
        part.search("w0 w1", 3, counts=part.counts("w0"))


def test_no_space_for_the_padding_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(place: Path) -> None:
        raise OSError(28, "No space left on device")

    write_lexical(tmp_path / "a", add=passages(5))
    monkeypatch.setattr(padding, "create", full)
    with pytest.raises(StorageError, match="No space left"):
        lexical_totals(tmp_path / "a")
