"""Passages: their spans, their limit, their order, that they lose nothing; where they are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.documents import chunk
from retrieval.errors import InputError
from retrieval.types import Document, Passage, TokenSpans

from .tokenizers_for_tests import TOKENIZERS, WORDS, by_pattern

LANGUAGES = ["text", "markdown", "rst", "python", "jsonl", None]

# What cuts, what must not be cut, and what is easily miscounted.
FRAGMENTS = st.sampled_from(
    [
        *("\n", "\n\n", "\r\n", "\r", " ", "  ", "\t", "\u2028", "\xa0", "\x00", "\u200b"),
        *("# Heading\n", "## Section two\n\n", "Title\n=====\n", "Sub\n---\n", "====\nTop\n====\n"),
        *(
            "```\n",
            "~~~\n",
            "- item\n",
            "1. one\n   two\n\n",
            "> quoted\n",
            "| a | b |\n|---|---|\n",
        ),
        *("---\ntitle: x\n---\n", "<div>\n", "    indented\n", "def f(x):\n    return 1\n", "}\n"),
        *(
            "A sentence. ",
            "Is it? ",
            "Yes! ",
            "e.g. this ",
            '"Quoted." ',
            "文章。",
            "word ",
            "the ",
        ),
        *(
            "paragraph",
            "e\u0301",
            "a\u0301\u0302\u0303",
            "👩‍👩‍👧",
            "𝒜𝓑",
            "ﷺ",
            "́",
            "x" * 40,
            "....",
            "#",
        ),
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=12), max_size=60).map("".join)


def document(text: str, language: str | None = "text") -> Document:
    return Document("d", text, metadata={} if language is None else {"language": language})


def texts_of(text: str, passages: list[Passage]) -> list[str]:
    return [text[passage.start : passage.end] for passage in passages]


def tokens_in(passage: Passage, spans: NDArray[np.int64]) -> int:
    return int(((spans[:, 0] < passage.end) & (spans[:, 1] > passage.start)).sum())


@pytest.mark.slow
@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150, deadline=None)
@given(
    text=TEXTS,
    language=st.sampled_from(LANGUAGES),
    max_tokens=st.integers(1, 12) | st.sampled_from([40, 256]),
)
def test_passages_are_spans_in_order_that_lose_nothing_and_keep_the_limit(
    name: str, text: str, language: str | None, max_tokens: int
) -> None:
    token_spans = TOKENIZERS[name]
    passages = chunk(document(text, language), token_spans, max_tokens=max_tokens)
    spans = token_spans(text)
    end = 0
    for ordinal, passage in enumerate(passages):
        assert (passage.document_id, passage.ordinal) == ("d", ordinal)
        assert end <= passage.start < passage.end <= len(text)
        assert not text[end : passage.start].strip()
        own = text[passage.start : passage.end]
        assert own == own.strip()
        if tokens_in(passage, spans) > max_tokens:
            assert name == "bytes" and len(own) == 1  # one character of several tokens
        end = passage.end
    assert not text[end:].strip()


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.text("abcé.", min_size=1, max_size=8), max_size=400))
def test_no_passage_of_a_long_section_is_tiny(words: list[str]) -> None:
    text = " ".join(words)
    passages = chunk(document(text), WORDS, max_tokens=16)
    sizes = [tokens_in(passage, WORDS(text)) for passage in passages]
    assert sum(sizes) == len(words)
    assert len(sizes) < 2 or min(sizes) >= 4


def test_a_text_without_characters_has_no_passages() -> None:
    for text in ("", " ", "\n\n\t\r\n \u2003"):
        assert chunk(document(text), WORDS) == []


def test_a_short_text_is_one_passage_without_the_space_around_it() -> None:
    assert chunk(document("\n  one two\n"), WORDS) == [Passage("d", 0, 3, 10)]


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_limit_below_one_is_refused(wrong: int) -> None:
    with pytest.raises(InputError, match=f"max_tokens is {wrong}"):
        chunk(document("a"), WORDS, max_tokens=wrong)


def test_a_text_is_tokenised_once_in_pieces_cut_at_white_space() -> None:
    seen: list[str] = []

    def counting(text: str) -> NDArray[np.int64]:
        seen.append(text)
        return WORDS(text)

    text = "".join(f"word{at} " + "\n" * (at % 13 == 0) for at in range(120_000))
    passages = chunk(document(text), counting, max_tokens=200)
    assert "".join(seen) == text
    assert len(seen) > 2
    assert all(max(map(len, seen)) >= len(piece) for piece in seen)
    assert not any(piece[-1].isspace() for piece in seen[:-1])
    assert sum(len(piece.split()) for piece in texts_of(text, passages)) == 120_000


def test_a_megabyte_without_a_space_is_one_token_or_many() -> None:
    text = "a " + "x" * 1_000_000 + " b"
    assert texts_of(text, chunk(document(text), WORDS, max_tokens=1)) == text.split()
    passages = chunk(document(text), by_pattern(r"\S{1,4}"), max_tokens=100)
    assert {len(piece) for piece in texts_of(text, passages)[1:-2]} == {400}


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "unit",
    ["\n", "\r", "# a\n", "- a\n", "> ", "a. B ", "```\n", "<!--", "|a|b|\n|-|-|\n", "==\n", "}\n"],
)
def test_a_text_of_one_thing_repeated_is_cut_as_any_other(language: str, unit: str) -> None:
    text = unit * 4_000
    passages = chunk(document(text, language), TOKENIZERS["words and marks"], max_tokens=64)
    assert "".join("".join(texts_of(text, passages)).split()) == "".join(text.split())


def test_a_character_and_its_marks_stay_together() -> None:
    accented = "e\u0301" * 10
    passages = chunk(document(accented), by_pattern(r"(?s)."), max_tokens=5)
    assert texts_of(accented, passages)[:2] == ["e\u0301" * 2, "e\u0301" * 2]
    family = "👩‍👩‍👧" * 4
    passages = chunk(document(family), by_pattern(r"(?s)."), max_tokens=7)
    assert texts_of(family, passages) == ["👩‍👩‍👧"] * 4


def cut(text: str, language: str, max_tokens: int) -> list[str]:
    return texts_of(text, chunk(document(text, language), WORDS, max_tokens=max_tokens))


def test_prose_is_cut_at_the_last_paragraph_that_fits() -> None:
    text = "a b c\n\nd e f\n\ng h i j k l m"
    assert cut(text, "text", 8) == ["a b c\n\nd e f", "g h i j k l m"]


def test_a_long_paragraph_is_cut_at_sentences_and_not_at_abbreviations() -> None:
    text = "One two e.g. three\nfour. Five six seven. Eight (nine.) Ten eleven."
    assert cut(text, "text", 6) == [
        "One two e.g. three\nfour.",
        "Five six seven. Eight (nine.)",
        "Ten eleven.",
    ]
    chinese = "今天天气很好。我们去公园。他们在家。"
    passages = chunk(document(chinese), by_pattern("."), max_tokens=10)
    assert texts_of(chinese, passages) == ["今天天气很好。", "我们去公园。", "他们在家。"]


def test_a_long_sentence_is_cut_at_lines_then_words() -> None:
    assert cut("a b c\nd e f\ng h i", "text", 4) == ["a b c", "d e f", "g h i"]
    assert cut("a b c d e f g h i j k l m", "text", 8) == ["a b c d e f g h", "i j k l m"]


def test_a_word_is_cut_between_tokens_when_nothing_else_is_left() -> None:
    text = "abcdefghij"
    passages = chunk(document(text), by_pattern("."), max_tokens=4)
    assert texts_of(text, passages) == ["abcd", "efgh", "ij"]


def test_markdown_is_cut_at_headings_though_both_parts_fit() -> None:
    text = "# A\n\none two three\n\n# B\n\nfour five six"
    assert cut(text, "markdown", 16) == ["# A\n\none two three", "# B\n\nfour five six"]
    assert cut(text, "text", 16) == [text]


def test_a_hash_in_a_fence_is_no_heading() -> None:
    text = "# A\n\none two\n\n```sh\n# a comment\nls -l\n```\n"
    assert cut(text, "markdown", 16) == [text.strip()]


def test_a_heading_stays_with_what_it_heads() -> None:
    text = "# Title\n\n## Install\n\npip install x y z\n\n## Use\n\nimport x as y and z"
    assert cut(text, "markdown", 16) == [
        "# Title\n\n## Install\n\npip install x y z",
        "## Use\n\nimport x as y and z",
    ]


def test_tiny_sections_join_the_one_before_but_not_one_above_them() -> None:
    text = "# A\n\na b c d e f\n\n## A1\n\nx\n\n## A2\n\ny\n\n# B\n\nz"
    assert cut(text, "markdown", 16) == [
        "# A\n\na b c d e f\n\n## A1\n\nx\n\n## A2\n\ny",
        "# B\n\nz",
    ]


def test_long_lists_are_cut_at_items_and_long_tables_and_fences_at_lines() -> None:
    items = "\n".join(f"- One. Two\n  three {at}" for at in range(6))
    assert all(piece.startswith("- One.") for piece in cut(items, "markdown", 11))
    table = "| A. B | c |\n|---|---|\n" + "\n".join(f"| X. Y | {at} |" for at in range(6))
    assert all(piece.startswith("|") for piece in cut(table, "markdown", 15))
    fence = "```\n" + "\n".join(f"Call one. Two {at}" for at in range(6)) + "\n```"
    assert all(piece.startswith(("```", "Call")) for piece in cut(fence, "markdown", 9))


def test_rst_is_cut_at_titles() -> None:
    text = "A\n=\n\none two three\n\nB\n-\n\nfour five six seven"
    assert cut(text, "rst", 16) == ["A\n=\n\none two three", "B\n-\n\nfour five six seven"]


CODE = """\
import os, sys
from typing import Any, List

@cached
def first(a, b):
    if a:
        return b + 1

    return a + b * 2

# a remark about
class Second:
    def one(self):
        return 1 + 2 + 3

    def two(self):
        return 4 + 5 + 6
"""


def test_code_is_cut_at_its_top_level_blocks() -> None:
    imports, first, second = cut(CODE, "python", 22)
    assert imports == "import os, sys\nfrom typing import Any, List"
    assert first.startswith("@cached\ndef first") and first.endswith("a + b * 2")
    assert second.startswith("# a remark") and second.endswith("4 + 5 + 6")


def test_a_long_block_of_code_is_cut_at_the_blocks_within() -> None:
    text = CODE[CODE.index("# a remark") :]
    assert [piece.split("\n")[0] for piece in cut(text, "python", 16)] == [
        "# a remark about",
        "def one(self):",
        "def two(self):",
    ]


LONG = "".join(f"        self.step({at}, value)\n" for at in range(20))


def test_each_method_of_a_long_class_begins_a_passage() -> None:
    methods = [f"    def step_{at}(self, value):\n{LONG}\n" for at in range(5)]
    text = f"class Engine:\n\n{''.join(methods)}"
    pieces = cut(text, "python", 64)
    assert pieces[0].startswith("class Engine:\n\n    def step_0")
    begun = [piece.split("(")[0] for piece in pieces if piece.startswith("def ")]
    assert begun == [f"def step_{at}" for at in range(1, 5)]
    assert all("def " not in piece[1:] for piece in pieces[1:])


def test_a_class_that_fits_stays_whole_and_short_methods_stay_together() -> None:
    methods = [f"    def step_{at}(self): return {at}\n\n" for at in range(12)]
    text = f"import os\n\nclass Engine:\n{''.join(methods[:4])}"
    assert len(cut(text, "python", 64)) == 1
    pieces = cut(f"class Engine:\n{''.join(methods)}", "python", 64)
    assert len(pieces) <= 4


def test_what_stands_between_long_methods_is_no_part_of_them() -> None:
    between = "".join(f"    limit_{at} = {at}\n" for at in range(12))
    text = f"class Engine:\n    def a(self):\n{LONG}\n{between}\n    def b(self):\n{LONG}"
    assert [p.split("\n")[0] for p in cut(text, "python", 64) if not p.startswith("self.")] == [
        "class Engine:",
        "limit_0 = 0",
        "def b(self):",
    ]


def test_braces_and_a_following_function_need_no_blank_line() -> None:
    text = "int a(int x)\n{\n  return x + 1 ;\n}\nint b(int y)\n{\n  return y - 1 ;\n}\n"
    assert [piece[:5] for piece in cut(text, "c", 12)] == ["int a", "int b"]


def test_an_else_stays_with_its_if() -> None:
    text = "if a :\n    b c d e f\nelse :\n    g h i j k\nx = y z w v\n"
    assert cut(text, "python", 16) == [text[: text.index("x =")].strip(), "x = y z w v"]


def test_tokens_that_reach_across_a_boundary_move_it() -> None:
    text = "one two three four five six"
    for max_tokens in (1, 2):
        passages = chunk(document(text), by_pattern(r"\w+ \w+"), max_tokens=max_tokens)
        pairs = [piece.split() for piece in texts_of(text, passages)]
        assert all(len(words) % 2 == 0 for words in pairs)


def test_spans_of_any_shape_of_nothing_are_taken() -> None:
    empty: TokenSpans = lambda text: np.empty((0, 2), dtype=np.int64)  # noqa: E731
    assert chunk(document("a b"), empty) == [Passage("d", 0, 0, 3)]
