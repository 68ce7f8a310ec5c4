"""Searching the lexical index: BM25 by hand, fields, filters, hostile queries."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.indexes import FIELD_WEIGHTS, FIELDS, LexicalIndex, write_lexical
from retrieval.indexes.lexical import searching, statistics

from .made import WORDS, build, fields, matches

Fields = Mapping[int, Mapping[str, str]]
ROUNDED = 2.0**-13  # of a score


def stored_length(length: int) -> int:
    """Field lengths are kept in one byte: exact to 40, then with four significant bits."""
    table = list(range(24))
    for code in range(232):
        bits, shift = code & 7, code >> 3
        table.append(24 + (bits if shift == 0 else (bits | 8) << (shift - 1)))
    return max(value for value in table if value <= length)


def bm25(docs: Fields, query: str, weights: Mapping[str, float]) -> dict[int, float]:
    """BM25 in float64 by its definition, k1 = 1.2 and b = 0.75, summed over weighted fields."""
    scores: dict[int, float] = {}
    for field, weight in weights.items():
        bags = {i: doc.get(field, "").split() for i, doc in docs.items()}
        average = sum(map(len, bags.values())) / len(docs)
        share = len(docs) / max(1, sum(map(bool, bags.values())))  # of passages that lack the field
        factor = weight * (1 + 1.2 * (0.25 + 0.75 * share)) / 2.2
        for word, times in Counter(query.split()).items():
            holders = sum(word in bag for bag in bags.values())
            idf = math.log(1 + (len(docs) - holders + 0.5) / (holders + 0.5))
            for i, bag in bags.items():
                if weight and (count := bag.count(word)):
                    norm = 1.2 * (0.25 + 0.75 * stored_length(len(bag)) / average)
                    part = 3 * times / (2 + times) * factor * idf * 2.2 * count / (count + norm)
                    scores[i] = scores.get(i, 0.0) + part
    return scores


sentences = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)
names = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
passages = st.fixed_dictionaries(
    {"text": sentences}, optional={field: names for field in FIELDS if field != "text"}
)
factors = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from([0.0, 0.3, 1.0, 2.5]))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    docs=st.dictionaries(st.integers(0, 40), passages, min_size=1, max_size=20),
    query=st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join),
    k=st.integers(1, 25),
    share=st.sampled_from([None, 0.0, 0.15, 0.6, 1.0]),
    few=st.booleans(),
    changed=st.none() | factors,
    seed=st.integers(0, 2**32 - 1),
)
def test_search_is_bm25_over_weighted_fields(
    tmp_path_factory: pytest.TempPathFactory,
    docs: Fields,
    query: str,
    k: int,
    share: float | None,
    few: bool,
    changed: Mapping[str, float] | None,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("lexical")
    write_lexical(folder, add=docs.items())
    index = LexicalIndex.open(folder)
    assert len(index) == len(docs)
    truth = bm25(docs, query, {**FIELD_WEIGHTS, **(changed or {})})
    allowed = None if share is None else rng.random(41) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "_FEW_ALLOWED", 1000 if few else 0)
        patch.setattr(statistics, "_MOST_COMMON", 1000.0)  # BM25 alone
        ids, scores = index.search(query, k, allowed, weights=changed)
        wanted = rng.permutation(45)
        given_scores = index.score(query, wanted, weights=changed)
    eligible = {i: s for i, s in truth.items() if allowed is None or allowed[i]}
    assert len(ids) == min(k, len(eligible)) and set(ids.tolist()) <= set(eligible)
    np.testing.assert_allclose(scores, sorted(eligible.values(), reverse=True)[:k], rtol=ROUNDED)
    np.testing.assert_allclose(scores, [truth[i] for i in ids.tolist()], rtol=ROUNDED)
    pairs = list(zip((-scores).tolist(), ids.tolist(), strict=True))
    assert pairs == sorted(pairs)
    np.testing.assert_allclose(given_scores, [truth.get(i, 0.0) for i in wanted], rtol=ROUNDED)


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_searched(tmp_path: Path, field: str) -> None:
    others = {other: "bol tir" for other in FIELDS if other != field}
    write_lexical(tmp_path, add=[(0, others), (1, {**others, field: "kax"})])
    index = LexicalIndex.open(tmp_path)
    assert matches(index, "kax") == [1]
    assert index.search("kax", 5, weights={field: 0.0})[0].tolist() == []
    (one,), (two,) = index.search("kax", 5)[1], index.search("kax", 5, weights={field: 5.0})[1]
    assert two == pytest.approx(one * 5.0 / FIELD_WEIGHTS[field], rel=2 * ROUNDED)


def test_a_field_that_is_absent_is_as_one_that_is_empty(tmp_path: Path) -> None:
    names = [field for field in FIELDS if field != "text"]
    texts = ["kax bol", "kax kax", "tir"]
    write_lexical(tmp_path / "absent", add=[(i, {"text": t}) for i, t in enumerate(texts)])
    empty = [(i, {"text": t, **dict.fromkeys(names, "")}) for i, t in enumerate(texts)]
    write_lexical(tmp_path / "empty", add=empty)
    one, two = (LexicalIndex.open(tmp_path / name) for name in ("absent", "empty"))
    for query in ("kax", "kax tir bol"):
        assert [a.tolist() for a in one.search(query, 3)] == [
            a.tolist() for a in two.search(query, 3)
        ]


def test_unknown_fields_and_unusable_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'body' is unknown; choose from text, title"):
        write_lexical(tmp_path, add=[(0, {"body": "kax"})])
    index = build(tmp_path, {0: ("", "kax")})
    with pytest.raises(InputError, match="'body' is unknown"):
        index.search("kax", 1, weights={"body": 1.0})
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="'title' is"):
            index.score("kax", [0], weights={"title": weight})


def test_widening_reads_on_until_k_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = {i: ("", "kax " * (1 + (2999 - i) // 100)) for i in range(3000)}
    index = build(tmp_path, docs)
    monkeypatch.setattr(searching, "_FEW_ALLOWED", 0)
    allowed = np.zeros(3000, dtype=np.bool_)
    allowed[2990:] = True  # the ten that rank last
    assert sorted(index.search("kax", 10, allowed)[0].tolist()) == list(range(2990, 3000))
    assert len(index.search("kax", 50, allowed)[0]) == 10
    assert index.search("bol", 50, allowed)[0].tolist() == []


def test_stems_case_and_accents(tmp_path: Path) -> None:
    docs = {
        0: ("", "The runners were running"),
        1: ("", "CAFÉS serve coffee"),
        2: ("", "Cafe\u0301 culture"),
        3: ("Running shoes", ""),
    }
    index = build(tmp_path, docs)
    assert matches(index, "run") == [0, 3]
    assert matches(index, "cafe") == matches(index, "Café") == [1, 2]


def test_identifiers_are_found_by_their_words_and_as_a_whole(tmp_path: Path) -> None:
    docs = {
        0: ("", "def parse_json_line(text): ..."),
        1: ("", "function parseJsonLine(text) {}"),
        2: ("", "class HTTPServer: ..."),
        3: ("", "Parse each line of the json file."),
        4: ("", "MAX_LINE_LENGTH = 100"),
        5: ("", "GitHub and the APIs of mRNA"),
    }
    index = build(tmp_path, docs)
    assert matches(index, "json") == matches(index, "parse json") == [0, 1, 3]
    for query in ("parse_json_line", "parseJsonLine", "ParseJSONLine", "parsejsonline"):
        ids, scores = index.search(query, 2)
        assert sorted(ids.tolist()) == [0, 1], query
        assert scores[1] > index.score(query, [3])[0]
    for query in ("http", "server", "HTTPServer", "httpserver", "http_server"):
        assert matches(index, query) == [2]
    assert matches(index, "length") == matches(index, "maxLineLength")[-1:] == [4]
    assert matches(index, "github") == matches(index, "api") == matches(index, "rna") == [5]


def test_stop_words_count_only_by_themselves(tmp_path: Path) -> None:
    docs = {0: ("", "to be or not to be"), 1: ("", "kax of the bol")}
    index = build(tmp_path, docs)
    assert matches(index, "to be or not to be") == [0]
    assert matches(index, "the kax") == matches(index, "not the bol") == [1]


HOSTILE = [
    'kax AND', "AND OR NOT", "title:kax", "kax:", ":kax", '"kax', "'kax", "(kax", "kax)", "[kax TO",
    "kax^2", "kax~3", "*", "kax*", "/kax/", "\\", "kax\\", "\0kax\0", "&&", "||",
    "IN [kax]", "kax\n\t bol", "nosuchfield:kax", "😀kax", "\ud800 kax \udfff",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
def test_no_query_is_syntax(tmp_path: Path, query: str) -> None:
    index = build(tmp_path, {0: ("kax", "bol"), 1: ("", "tir")})
    holds = "kax" in query or "bol" in query
    assert matches(index, query) == ([0] if holds else [])


@pytest.mark.parametrize("query", ["", " ", "\n", "?!... --- ()", "😀", "_", "\u0301"])
def test_a_query_without_words_finds_nothing(tmp_path: Path, query: str) -> None:
    index = build(tmp_path, {0: ("kax", "bol ?! _")})
    ids, scores = index.search(query, 3)
    assert ids.tolist() == scores.tolist() == []
    assert index.score(query, [0, 1]).tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return build(tmp_path_factory.mktemp("odd"), {0: ("é", "x ß ﬁ İ 日本 \0"), 1: ("", "")})


@settings(deadline=None)
@given(query=st.text(st.characters()))
def test_any_text_is_a_query(odd: LexicalIndex, query: str) -> None:
    ids, scores = odd.search(query, 3)
    assert set(ids.tolist()) <= {0} and np.isfinite(scores).all()


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(text=st.text(st.characters()), title=st.text(st.characters()))
def test_any_text_can_be_indexed(
    tmp_path_factory: pytest.TempPathFactory, text: str, title: str
) -> None:
    index = build(tmp_path_factory.mktemp("any"), {0: (title, text + " kax")})
    assert matches(index, "kax") == [0]


def test_endless_queries_are_bounded_to_the_rarest_terms(tmp_path: Path) -> None:
    docs = {i: ("", f"common{i % 300} common") for i in range(900)} | {900: ("", "unique common")}
    index = build(tmp_path, docs)
    query = " ".join(f"common{i}" for i in range(300)) + " common" * 50 + " unique"
    ids, _ = index.search(query, 1)
    assert ids.tolist() == [900]
    assert matches(index, "unique " + "x" * 10_000_000) == [900]


def test_words_that_are_everywhere_do_not_drown_the_ones_that_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = [f"ko{letter}o" for letter in "bcdfghjklmnprstvwxz"]
    docs = {
        i: ("", " ".join(word for at, word in enumerate(common) if (i * 7 + at * 5) % 11 < 6))
        for i in range(120)
    }
    docs[120] = ("", "zabra quixa " + " ".join(["tir", "muv", "pog"] * 8))
    index = build(tmp_path, docs)
    query = " ".join([*common, "zabra"])
    assert index.search(query, 1)[0].tolist() == [120]
    claim = " ".join([*common[:8], "zabra"])  # of a sentence's length
    assert index.search(claim, 1)[0].tolist() == [120]
    monkeypatch.setattr(statistics, "_MOST_COMMON", 1000.0)
    index = LexicalIndex.open(tmp_path)  # one that keeps no query yet
    assert index.search(query, 1)[0].tolist() != [120]
    assert index.search(claim, 1)[0].tolist() != [120]


def test_few_common_words_count_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = {i: ("", "kax bol tir" if i % 2 else "muv pog") for i in range(4000)}
    index = build(tmp_path, docs | {4001: ("", "zabra kax"), 4002: ("", "zabra muv pog bol")})
    _, scores = index.search("zabra kax", 2)
    monkeypatch.setattr(statistics, "_MOST_COMMON", 1000.0)
    index = LexicalIndex.open(tmp_path)
    assert index.search("zabra kax", 2)[1].tolist() == scores.tolist()


def test_a_query_of_common_words_alone_scores_as_each_of_them(tmp_path: Path) -> None:
    index = build(tmp_path, {i: ("", "kax bol" if i % 2 else "muv pog") for i in range(40)})
    ids, scores = index.search("kax bol", 40)
    assert sorted(ids.tolist()) == list(range(1, 40, 2))
    single = index.search("kax", 1)[1][0]
    assert scores[0] == pytest.approx(2 * single, rel=1e-3)


def test_k_must_be_positive(tmp_path: Path) -> None:
    index = build(tmp_path, {0: ("", "kax")})
    with pytest.raises(InputError, match="k is 0"):
        index.search("kax", 0)


def test_empty_index(tmp_path: Path) -> None:
    index = build(tmp_path / "a", {})
    assert len(index) == 0
    assert index.search("kax", 3)[0].tolist() == []
    write_lexical(tmp_path / "b", previous=tmp_path / "a", add=fields({0: ("", "kax")}))
    assert matches(LexicalIndex.open(tmp_path / "b"), "kax") == [0]
    write_lexical(tmp_path / "c", previous=tmp_path / "b", delete=[0])
    last = LexicalIndex.open(tmp_path / "c")
    assert len(last) == 0 and matches(last, "kax") == []


@pytest.mark.parametrize("k", [1, 2, 7, 19, 60])
def test_equal_passages_are_in_the_order_of_their_ids_whatever_k_is(tmp_path: Path, k: int) -> None:
    rng = np.random.default_rng(2)
    ids = rng.permutation(60).tolist()
    text = "kax bol tir muv kax"
    previous = None
    for part in range(6):  # as many segments, none of them in order
        target = tmp_path / str(part)
        add = [(i, {"text": text}) for i in ids[10 * part : 10 * part + 10]]
        write_lexical(target, previous=previous, add=add)
        previous = target
    index = LexicalIndex.open(target)
    for query in ("kax", "bol tir muv", "pog kax tir bol muv"):
        found, scores = index.search(query, k)
        assert found.tolist() == list(range(k)) and len(set(scores.tolist())) == 1
        allowed = np.arange(60) % 3 > 0
        kept = np.flatnonzero(allowed)[:k].tolist()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(searching, "_FEW_ALLOWED", 0)
            assert index.search(query, k, allowed)[0].tolist() == kept


def test_thousands_of_equal_passages(tmp_path: Path) -> None:
    texts = [(i, {"text": "kax bol" if i % 2 else "kax bol bol"}) for i in range(20_000)]
    write_lexical(tmp_path, add=texts[::-1])
    index = LexicalIndex.open(tmp_path)
    assert index.search("kax", 3)[0].tolist() == [1, 3, 5]
    assert index.search("bol", 3)[0].tolist() == [0, 2, 4]
    assert index.search("kax bol", 10_001)[0].tolist() == [*range(0, 20_000, 2), 1]


def test_what_all_words_of_a_query_are_worth(tmp_path: Path) -> None:
    words = ["kax", "bol", "tir", "muv", "pog"]
    docs = {i: ("", " ".join(words[: 1 + i % 5])) for i in range(40)}  # kax in all, pog in a fifth
    index = build(tmp_path, docs)
    single = [index.ideal(word) for word in words]
    assert single == sorted(single)  # the rarer, the more
    assert index.ideal("unheard") > single[-1]  # as the rarest
    assert index.ideal("kax pog") == pytest.approx(single[0] + single[-1])
    assert index.ideal("...") == 0.0


@pytest.mark.slow
@given(
    passages_of=st.dictionaries(
        st.integers(0, 50), sentences.filter(str.split), min_size=1, max_size=12
    ),
    query=sentences,
)
@settings(max_examples=40, deadline=None)
def test_no_text_is_worth_more_than_all_words_of_a_query(
    tmp_path_factory: pytest.TempPathFactory, passages_of: Mapping[int, str], query: str
) -> None:
    index = build(tmp_path_factory.mktemp("index"), {i: ("", t) for i, t in passages_of.items()})
    _, scores = index.search(query, 100)
    assert all(score <= index.ideal(query) * (1 + 2 * ROUNDED) for score in scores.tolist())
