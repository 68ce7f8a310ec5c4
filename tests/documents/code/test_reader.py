"""What a parser reads piece by piece is the source, and does not stay in memory."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
import tree_sitter_python
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Parser

from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats.code.reader import Reader
from retrieval.documents.formats.code.risk import risk_of

LANGUAGE = Language(tree_sitter_python.language())


@given(st.lists(st.sampled_from(["x = 1\n", "é = 'ü'\n", "'\U0001f600'", "# 한\n", "(", "\r"])))
def test_the_tree_is_that_of_the_source(parts: list[str]) -> None:
    source = "".join(parts).encode()
    read = Parser(LANGUAGE).parse(Reader(source))
    whole = Parser(LANGUAGE).parse(source + b"\n")  # the reader gives a line break after the end
    assert str(read.root_node) == str(whole.root_node)


def test_the_text_of_a_long_node_is_whole() -> None:
    """Queries compare it, after the parser has read; where it goes beyond the end, too."""
    source = b"x = '" + bytes(range(97, 123)) * 50 + b"'\n"
    reader = Reader(source)
    tree = Parser(LANGUAGE).parse(reader)
    reader.parsing = False
    assert tree.root_node.text == source + b"\n"  # the line break after the end is in it
    assert tree.root_node.children[0].text == source.strip()


@pytest.mark.parametrize("length", [7, 8, 9, 65_535, 65_536, 65_537, 200_001])
def test_a_source_of_any_length_is_read_to_its_end(length: int) -> None:
    source = ("# é\n" * length).encode()[:length].rstrip(b"\xc3")
    found, at = b"", 0
    read = Reader(source)
    while piece := bytes(read(at, None)):
        found += piece
        at += len(piece)
    assert found == source + b"\n"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.py", b"def f(x):\n    return x + 1\n\n\n"),
        # The queries of these read the texts of nodes.
        ("a.cs", b'class A { public const string S = "x"; public int F() { return 1; } }\n'),
        ("a.js", b"module.exports.f = function (a) { return a };\nconst g = () => 3;\n"),
    ],
)
def test_a_source_does_not_stay_in_memory(name: str, source: bytes) -> None:
    source *= 10_000 // len(source)
    assert risk_of(source) == "none"  # it is parsed in this process

    def parse() -> None:
        format_of(name, source[:4096]).parse(source, Source(name))

    parse()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(30):
            parse()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 10 * len(source)
