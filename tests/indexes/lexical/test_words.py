"""Terms of queries, and highlighting."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.indexes import highlight
from retrieval.indexes.lexical import parse_query, words


def marked(query: str, text: str) -> str:
    for start, end in reversed(highlight(query, text)):
        text = f"{text[:start]}[{text[start:end]}]{text[end:]}"
    return text


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("Running the dogs", {"run", "dog"}),
        ("parse_json_line", {"pars", "json", "line", "parsejsonlin"}),
        ("parseJsonLine", {"pars", "json", "line", "parsejsonlin"}),
        ("HTTPServer", {"http", "server", "httpserver"}),
        ("JSON2Csv", {"json2", "csv", "json2csv"}),
        ("getURLs", {"get", "url", "geturl"}),
        ("APIs mRNA H2O v2 utf8", {"api", "mrna", "rna", "h2o", "v2", "utf8"}),
        ("__init__ _private", {"init", "privat"}),
        ("the", {"the"}),
        ("", set()),
    ],
)
def test_query_terms(query: str, terms: set[str]) -> None:
    assert set(parse_query(query).terms) == terms


@given(
    word=st.text("aszAZ09", min_size=1, max_size=8) | st.from_regex(words._PLAIN, fullmatch=True)
)
def test_plain_words_are_told_apart_as_all_words_are(word: str) -> None:
    quickly = words.parts(word)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_PLAIN", re.compile(r"(?!)"))  # which matches nothing
        assert words.parts(word) == quickly


def test_repeated_words_count_for_more_but_not_for_many() -> None:
    terms = parse_query("dog Dogs cat " + "word " * 100).terms
    assert terms["cat"] == 1 < terms["dog"] < terms["word"] < 3


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("run dog", "Dogs were running; the Run.", "[Dogs] were [running]; the [Run]."),
        ("the dog", "the dog", "the [dog]"),
        ("json", "def parseJsonLine(x)", "def parse[Json]Line(x)"),
        ("parse json", "def parseJsonLine(x)", "def [parseJson]Line(x)"),
        ("json", "parse_json_line", "parse_[json]_line"),
        ("parseJsonLine", "x = parse_json_line()", "x = [parse_json_line]()"),
        ("parse_json_line", "x = parseJsonLine()", "x = [parseJsonLine]()"),
        ("server", "an HTTPServer", "an HTTP[Server]"),
        ("cafe", "😀 Un CAFÉ, deux cafés", "😀 Un [CAFÉ], deux [cafés]"),
        ("?!", "what?!", "what?!"),
        ("dog", "", ""),
        ("dog", "\ud800 dog", "\ud800 [dog]"),
    ],
)
def test_highlight(query: str, text: str, expected: str) -> None:
    assert marked(query, text) == expected


@settings(deadline=None)
@given(st.text(), st.text())
def test_spans_ascend_within_the_text(query: str, text: str) -> None:
    for whole in (text, text + query, query):
        spans = [(0, 0), *highlight(query, whole)]
        assert all(a < b for a, b in spans[1:])
        assert all(b <= c for (_, b), (c, _) in pairwise(spans))
        assert spans[-1][1] <= len(whole)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["dog", "getName", "max_len", "Über", "x1"]), min_size=1))
def test_a_text_that_is_its_query_is_marked_throughout(words: list[str]) -> None:
    text = ", ".join(words)
    assert marked(text, text) == ", ".join(f"[{word}]" for word in words)
