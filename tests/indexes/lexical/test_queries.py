"""Phrases and exclusions: what is read as such, and what they find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.indexes.lexical import LexicalIndex, content_words, parse_query, write_lexical

from .made import build

Phrases = tuple[tuple[str, ...], ...]


@pytest.mark.parametrize(
    ("query", "text", "phrases", "excluded"),
    [
        ('"steam valve" pressure', "steam valve pressure", [("steam", "valv")], []),
        ("“steam valve” pressure", "steam valve pressure", [("steam", "valv")], []),
        ("valve -steam", "valve", [], [("steam",)]),
        ("valve -steam pressure", "valve pressure", [], [("steam",)]),
        ('valve -"safety steam"', "valve", [], [("safeti", "steam")]),
        ('"relief valve", -steam', "relief valve,", [("relief", "valv")], [("steam",)]),
        ('("relief valve" or tap)', "(relief valve or tap)", [("relief", "valv")], []),
        ("valve -open_steam", "valve", [], [("open", "steam")]),
        ('"the valve of it"', "the valve of it", [("the", "valv", "of", "it")], []),
        ("数据库 -连接", "数据库", [], [("连", "接")]),
        ("  valve   -steam  ", "valve", [], [("steam",)]),
    ],
)
def test_syntax(query: str, text: str, phrases: list[str], excluded: list[str]) -> None:
    parsed = parse_query(query)
    assert parsed.text == text
    assert list(parsed.phrases) == phrases
    assert list(parsed.excluded) == excluded


@pytest.mark.parametrize(
    "query",
    [
        "-steam",  # at the start
        "-steam -valve",
        "steam - valve",
        "steam-valve",
        "steam --valve",
        "ls -la kitchen",
        "rm -rf build -kitchen",  # an option makes it a command
        "grep --color -kitchen",
        "p ->kitchen",
        "temperature -15 outside",
        "a 5\" pipe and a 3\" kitchen",
        'print("steam valve")',
        '{"steam": 1}',
        '"steam valve',
        'steam valve"',
        'steam "" valve',
        '"',
        '-""',
        "-",
        "--",
        "the valve -the",  # a stop word
        "java -jar steam.jar",  # asked for as well
        'one line\nand "another one" -kitchen',
        'said "hello there" ' * 7,
    ],
)  # fmt: skip
def test_what_is_no_syntax(query: str) -> None:
    parsed = parse_query(query)
    assert parsed.phrases == parsed.excluded == ()


def test_a_query_keeps_its_text_if_it_has_no_syntax() -> None:
    assert parse_query("two  spaces\tand\nlines").text == "two  spaces\tand\nlines"


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from('ab -"“” \n(,é数'), max_size=40))
def test_any_text_is_a_query(query: str) -> None:
    parsed = parse_query(query)
    assert all(parsed.phrases) and all(parsed.excluded)
    if parsed.excluded or parsed.phrases:
        assert parsed.terms


DOCS = {
    0: ("", "the steam valve opens"),
    1: ("", "a valve for steam opens"),
    2: ("steam valve", "opens late"),
    3: ("", "steam_valve = openSteamValve()"),
    4: ("", "steam. valve: opens"),
    5: ("", "the valve opens"),
    6: ("steam", "valve"),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return build(tmp_path_factory.mktemp("queries"), DOCS)


FOUND = [
    ('"steam valve"', {0, 2, 3, 4}),
    ('"steam valves" opens', {0, 2, 3, 4}),
    ('"valve steam"', set()),
    ('"open steam valve"', {3}),
    ('"the steam"', {0}),
    ('valve -"steam valve"', {1, 5, 6}),
    ("valve -steam", {5}),
    ("opens -openSteamValve -late", {0, 1, 4, 5}),
    ('"steam valve" -late', {0, 3, 4}),
    ('"steam valve" "valve opens"', {0, 3, 4}),
    ("valve -unheard", {0, 1, 2, 3, 4, 5, 6}),
    ('"unheard"', set()),
]


@pytest.mark.parametrize(("query", "found"), FOUND)
def test_phrases_and_exclusions_in_a_search(
    index: LexicalIndex, query: str, found: set[int]
) -> None:
    ids, _ = index.search(query, 10)
    assert set(ids.tolist()) == found
    scores = index.score(query, range(8))
    assert set(np.flatnonzero(scores).tolist()) == found
    allowed = np.arange(8) % 2 == 0
    assert set(index.search(query, 10, allowed)[0].tolist()) == {i for i in found if i % 2 == 0}


@pytest.mark.parametrize(("query", "found"), FOUND)
def test_what_fits_a_query_for_retrievers_that_see_no_words(
    index: LexicalIndex, query: str, found: set[int]
) -> None:
    mask = index.fitting(query, None, 8)
    assert mask is not None and mask.shape == (8,)
    assert {i for i in range(7) if mask[i]} >= found
    parsed = parse_query(query)
    for i in range(7):  # among those that have the words it is the search's answer
        if index.score(parsed.text, [i])[0]:
            assert mask[i] == (i in found)
    allowed = np.arange(8) < 3
    assert (index.fitting(query, allowed, 8) == (mask & allowed)).all()


def test_a_query_without_syntax_leaves_the_mask_alone(index: LexicalIndex) -> None:
    allowed = np.ones(8, np.bool_)
    assert index.fitting("steam valve", allowed, 8) is allowed
    assert index.fitting("steam valve", None, 8) is None


@pytest.mark.parametrize(
    ("text", "phrase", "other"),
    [
        ("数据库连接池的大小", '"数据库连接"', '"连接数据库"'),
        ("使用connection池", '"connection池"', '"池connection"'),
        ("พิมพ์รายงานประจำวัน", '"รายงานประจำ"', '"ประจำรายงาน"'),
        ("비밀번호를 바꿉니다", '"비밀번호를 바꿉"', '"바꿉니다 비밀"'),
        ("ПолучитьДанные сегодня", '"данные сегодня"', '"сегодня данные"'),
    ],
)
def test_phrases_in_other_scripts(tmp_path: Path, text: str, phrase: str, other: str) -> None:
    write_lexical(tmp_path, add=[(0, {"text": text})])
    index = LexicalIndex.open(tmp_path)
    assert index.search(phrase, 1)[0].tolist() == [0]
    assert index.search(other, 1)[0].tolist() == []


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("the valve", 1),
        ("steam valve", 2),
        ("valve -steam", 1),
        ("the of and to", 0),
        ("...", 0),
        ("", 0),
        ("数据库", 2),  # its bigrams
    ],
)
def test_words_that_ask_for_something(query: str, count: int) -> None:
    assert content_words(query) == count


def test_a_repeated_word_counts_for_more_but_not_for_many() -> None:
    assert 1 < content_words("valve " * 2) < 2
    assert content_words("valve " * 1000) < 3
