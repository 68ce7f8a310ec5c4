"""Pairs come from where people wrote them: docstrings, headings, train splits."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents.natural_queries import read
from retrieval.train import pairs
from retrieval.train.pairs import LONGEST, SHORTEST, Record, windows
from retrieval.types import Document

_BODY = "\n".join(f"    total = total + values[{at}]" for at in range(5))


def functions(source: str, language: str = "python") -> list[Record]:
    return list(pairs.functions(*read(Document("d", source, metadata={"language": language}))))


def sections(text: str, format: str, title: str | None = None) -> list[Record]:
    return list(pairs.sections(*read(Document("d", text, metadata={"format": format})), title))


def _prose(characters: int, word: str = "word") -> str:
    return (f"{word} " * characters)[:characters].strip()


def test_a_docstring_asks_for_its_code() -> None:
    docstring = '"""Add up  the given\n    values.\n\n    More."""'
    source = f"@cache\ndef add(values):\n    {docstring}\n{_BODY}\n"
    assert (functions(source)) == [
        Record(f"def add(values):\n{_BODY}", "add", "Add up the given values.")
    ]


@pytest.mark.parametrize(
    ("docstring", "query"),
    [
        ("Add two.", ""),
        (
            "Return `~numpy.sum` of :func:`~a.values` and ``b``.",
            "Return ~numpy.sum of a.values and b.",
        ),
        ("Add up all the values\nParameters\n----------\nvalues", "Add up all the values"),
        ("Add up all the values\n:param values: them", "Add up all the values"),
        ("Add up " + "very " * 100 + "many values", ""),
    ],
)
def test_the_query_is_the_first_paragraph(docstring: str, query: str) -> None:
    indented = docstring.replace("\n", "\n    ")
    (record,) = functions(f'def add(values):\n    """{indented}"""\n{_BODY}\n')
    assert record == Record(f"def add(values):\n{_BODY}", "add", query)


@pytest.mark.parametrize(
    ("after", "left"),
    [
        ("", ""),
        ("  # noqa: D401", ""),
        ("; total = 0", "    total = 0\n"),
        ("\n    # why", "    # why\n"),
    ],
)
def test_only_the_docstring_is_cut_out(after: str, left: str) -> None:
    source = f'def größe(values):\n    "Größe of all the values"{after}\n{_BODY}'
    (record,) = functions(source.replace("\n", "\r\n"))
    assert record.text == f"def größe(values):\n{left}{_BODY}"


def test_a_docstring_on_the_line_of_the_signature_is_cut_by_bytes() -> None:
    body = "; ".join(f"x{at} = '{at}'" for at in range(12))
    (record,) = functions(f"def é(ü='ß'): 'What this does with ß'; {body}")
    assert record.text == f"def é(ü='ß'): {body}"
    assert record.query == "What this does with ß"


def test_methods_are_taken_and_inner_functions_stay_inside() -> None:
    inner = f'def inner():\n    """Not a pair of its own."""\n{_BODY}'
    method = f"async def f(self):\n{textwrap.indent(inner, '    ')}"
    source = (
        f"class A:\n    if True:\n{textwrap.indent(method, ' ' * 8)}\n"
        '    def g(self): "Nothing but a docstring, which makes no pair"\n'
    )
    (record,) = functions(source)
    assert record.title == "f"
    assert record.query == ""
    assert record.text == method


@pytest.mark.parametrize("source", ["def f(:", "x = 1\0", "(" * 5000, ""])
def test_source_that_does_not_parse_gives_none(source: str) -> None:
    assert (functions(source)) == []


def test_what_is_left_of_real_code_is_the_same_code() -> None:
    """The syntax tree without the docstring is the one of the record's text."""
    import argparse

    tree = ast.parse(inspect.getsource(argparse))
    expected = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
            if ast.get_docstring(node):
                del node.body[0]
            expected.setdefault(node.name, set()).add(ast.dump(node))
    records = functions(inspect.getsource(argparse))
    assert len(records) > 50
    for record in records:
        assert ast.dump(ast.parse(record.text).body[0]) in expected[record.title]


STATEMENTS = "\n".join(f"    total = add(total, values[{at}]);" for at in range(5))

DOCUMENTED = {
    "java": """
class A {
    /**
     * Adds up  the given {@link Value values}.
     *
     * More.
     * @return them
     */
    @Override
    int add(int[] values) {
BODY
    }
}
""",
    "javascript": """
/**
 * Adds up the given <b>values</b>.
 * @param values them
 */
export function add(values) {
BODY
}
""",
    "go": """
// Adds up the given values.
//
// More.
func (e *E) add(values []int) {
BODY
}
""",
    "rust": """
/// Adds up the given [`values`].
///
/// # Panics
#[inline]
fn add(values: V) {
BODY
}
""",
    "c": """
/* Adds up the given
 * values.
 */
static struct sum *
add(int *values)
{
BODY
}
""",
    "cpp": """
/// \\brief Adds up the given values.
/// \\param values them
template <class T>
T E<T>::add(T values)
{
BODY
}
""",
    "csharp": """
class A {
    /// <summary>
    /// Adds up the given values.
    /// </summary>
    /// <param name="values">them</param>
    int add(int[] values)
    {
BODY
    }
}
""",
    "ruby": """
# Adds up the given values.
def add(values)
BODY
end
""",
    "kotlin": """
/** Adds up the given [values]. */
fun add(values: V) {
BODY
}
""",
    "php": """<?php
/**
 * Adds up the given values.
 * @return int
 */
function add($values)
{
BODY
}
""",
}


@pytest.mark.parametrize("language", DOCUMENTED)
def test_the_comment_above_asks_for_code_in_any_language(language: str) -> None:
    (record,) = functions(DOCUMENTED[language].replace("BODY", STATEMENTS), language)
    assert record.query == "Adds up the given values."
    assert record.title == "add"
    assert "given" not in record.text and "Override" not in record.text
    assert record.text.count("total = add") == 5 and not record.text[0].isspace()


def test_a_remark_asks_for_nothing() -> None:
    for remark in ("# This is slow on some machines", "# TODO add up all the others"):
        assert [r.query for r in functions(f"{remark}\ndef add(values):\n{_BODY}\n")] == [""]
    source = f"// TODO add up all the others\nfunc add() {{\n{STATEMENTS}\n}}\n"
    assert [r.query for r in functions(source, "go")] == [""]


@given(st.text(alphabet="aB .!?\n\té", max_size=300), st.integers(1, 60))
def test_windows_hold_every_word_once_within_the_limits(piece: str, times: int) -> None:
    text = f"{piece}\n\n" * times
    found = windows(text)
    assert all(SHORTEST <= len(window) <= LONGEST for window in found)
    if found:
        # A word of thousands of letters is cut, so letters are compared.
        assert "".join("".join(found).split()) == "".join(text.split())
    else:
        assert len("".join(text.split())) < SHORTEST


def test_windows_end_at_paragraphs_and_at_sentences_of_long_ones() -> None:
    paragraphs = [_prose(700, f"p{at}") for at in range(5)]
    assert windows("\n\n".join(paragraphs)) == [
        "\n\n".join(paragraphs[:2]),
        "\n\n".join(paragraphs[2:4]),
        paragraphs[4],
    ]
    sentences = [f"S{_prose(400, 'and')}." for _ in range(10)]
    assert windows(" ".join(sentences))[0] == " ".join(sentences[:3])
    assert all(len(window) <= LONGEST for window in windows("x" * 20_000))


def test_a_heading_asks_for_its_section() -> None:
    usage, options, intro = _prose(300, "use"), _prose(300, "opt"), _prose(300, "intro")
    fence = "```\n# no heading\n```"
    text = (
        f"# The `tool` manual\n\n{intro}\n\n## Usage\n\n{usage}\n\n"
        f"## More\n### All its options ###\n{options}\n\n{fence}\n\n"
        "Short one\n---------\ntoo short\n"
    )
    assert (sections(text, "markdown")) == [
        Record(intro, "The tool manual", "The tool manual"),
        Record(usage, "The tool manual", "The tool manual: Usage"),
        Record(f"{options}\n\n{fence}", "The tool manual", "All its options"),
    ]


def test_rst_sections() -> None:
    intro, usage, more = _prose(300, "intro"), _prose(300, "use"), _prose(2400, "more")
    text = f"""\
=========
 The tool
=========

{intro}

How to use it
-------------
{usage}

More
----
{_prose(300, "first")}

{more}
"""
    assert (sections(text, "rst")) == [
        Record(intro, "The tool", "The tool"),
        Record(usage, "The tool", "How to use it"),
        Record(_prose(300, "first"), "The tool", "The tool: More"),
        Record(more, "The tool: More"),
    ]


def test_text_before_the_first_heading_belongs_to_the_document() -> None:
    text = f"{_prose(300)}\n"
    assert (sections(text, "markdown", title="Notes")) == [Record(text.strip(), "Notes")]
    assert (sections(text, "markdown")) == [Record(text.strip())]
