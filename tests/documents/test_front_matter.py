"""What a Markdown file says of itself before its text: where it ends, and its fields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import front_matter

from .outlines_for_tests import headings, parsed


@pytest.mark.parametrize(
    "front",
    [
        "---\n# Change what you like.\n# See the guide.\n\nlayout: home\ntitle: Welcome\n---\n",
        "---\n\nlayout: home\ntitle: Welcome\n---\n",
        "---\n# remark\ntitle: Welcome\n...\n",
        "---\r\n# remark\r\n\r\nTitle: Welcome\r\ntags:\r\n- a\r\n---\r\n",
        "---\n  # remark\n\n'title': Welcome # so\nmenu:\n  main: {}\n\n---\n",
        "---\n# remark\nog.x: y\ntags: [\na: b,\n]\ntitle: Welcome\n---\n",
        "+++\n# remark\n\ntitle = 'Welcome'\n[menu]\ntitle = 'no'\n+++\n",
        "+++\n\n[menu]\na = 1\n+++\n",
    ],
)
def test_front_matter_begins_with_comments_and_blank_lines(front: str) -> None:
    made = parsed("a.md", f"{front}\n## Welcome\n\ntext\n")
    assert made.title == "Welcome"
    assert headings(made) == [(2, "Welcome")]
    assert front_matter.end_of(made.text) == len(front)


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nSome text.\n\n---\n\nmore\n",
        "---\n\ntitle: no\n\n---\n\nmore\n",
        "---\n# Heading\n\nWhat it is: a mill.\n\n---\n",
        "---\n# Heading\n\nNote: read this.\n\n---\n",
        "---\n# Heading\n---\n",
        "---\n\n---\na: b\n",
        "---\n# remark\ntitle: never closed\n",
        "---\n\n- a: b\n---\n",
        "---\n***\n---\n",
        "----\na: b\n----\n",
        "",
    ],
)
def test_a_rule_and_another_are_no_front_matter(text: str) -> None:
    assert front_matter.end_of(text) == 0
    assert front_matter.fields(text) == {} and front_matter.title(text) == ""


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ('"Foo" # remark', "Foo"),
        ("'It''s'", "It's"),
        (r'"Say \"hi\" \u00e9\\"', 'Say "hi" é\\'),
        (r'"A\nB \ud800\U0011ffff\0"', "A B"),
        ('"Two\n  lines" # x', "Two lines"),
        ("Two  # x\n  lines # y", "Two lines"),
        ("\n  Below", "Below"),
        ("C# and F# # or so", "C# and F#"),
        ("a: b # c", "a: b"),
        ('"Foo" and "bar"', '"Foo" and "bar"'),
        ("'tis", "'tis"),
        ("[Draft] My post", "[Draft] My post"),
        ("[a, b]", "a, b"),
        ("&t !!str Foo", "Foo"),
        ("1.50", "1.50"),
        ("007", "007"),
        ("null", ""),
        ("~ # none", ""),
        ('""', ""),
        ("# none", ""),
        ("{{ name }}", "{{ name }}"),
        ("Foo\n  deep: no", "Foo"),
    ],
)
def test_titles_of_yaml(line: str, title: str) -> None:
    assert front_matter.title(f"---\nx: 1\ntitle: {line}\ny: 2\n---\ntext") == title
    assert front_matter.title(f'---\n"title": {line}\n---\ntext') == title


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('["Doe, John", "Roe, Jane"]', ["Doe, John", "Roe, Jane"]),
        ("[a, b] # x", ["a", "b"]),
        ("[ 'a', \"7\", 7 , 1.5, true,]", ["a", "7", 7, 1.5, True]),
        ("[\n  a, # one\n  b\n]", ["a", "b"]),
        ("[a, [b, c], {d: e}, f, g: h]", ["a", "f"]),
        ("[don't, a#b, C#]", ["don't", "a#b", "C#"]),
        ("[a, b", "[a, b"),
        ("\n- 'a: b' # x\n- \"c, d\"\n- 3\n-\n- e: f\n- - g\n", ["a: b", "c, d", 3]),
        ("\n  # remark\n  - a\n\n  - b\n    - c\n", ["a", "b"]),
        ("\n  - name: Ada\n    url: x\n", None),
        ("\n  deep: [no]\n", None),
        ("&a[b] x & y", "&a[b] x & y"),
        ("&a x & y", "x & y"),
        ("a\n\n  b", "a b"),
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02 10:00:00 +01:00 # x", "2024-01-02 10:00:00 +01:00"),
        ("'2024'", "2024"),
        ("2024", 2024),
        ("O''Brien", "O''Brien"),
        (">-\n  folded", None),
        ("| # kept\n  folded", None),
        ("http://x.org/#a", "http://x.org/#a"),
        ("99999999999999999999", "99999999999999999999"),
    ],
)
def test_values_of_yaml(line: str, value: Any) -> None:
    found = front_matter.fields(f"---\ntitle: x\nK-1: {line}\nend: 7\n---\ntext")
    assert found == ({"end": 7} if value is None else {"k-1": value, "end": 7})


@pytest.mark.parametrize(
    ("text", "title", "expected"),
    [
        ("date = 2024-01-01\n[menu]\ntitle = 'no'\nx = 1\n", "", {"date": "2024-01-01"}),
        ("Title = \"It's \\\"x\\\" # y\" # z\nat = 2024-01-01T07:00:00Z\n", "It's \"x\" # y",
         {"at": "2024-01-01T07:00:00Z"}),
        ("tags = [\n  'a, b', # x\n  \"c\",\n]\nn = 1_000\nf = inf\ng = 0x7f\n", "",
         {"tags": ["a, b", "c"], "n": 1000, "f": "inf", "g": 127}),
        ('title = """\nTwo\nlines"""\n[[a]]\nb = 1\n', "Two lines", {}),
        ("a.b = 1\nc = [[1], {d = 2}, 3]\nn = 0x" + "f" * 9000 + "\n", "", {"c": [3]}),
        ('title = "T" # it is no TOML\nb = c d\ntags = ["a", "b"]\n[menu]\ntitle = "no"\n', "T",
         {"b": "c d", "tags": ["a", "b"]}),
    ],
)  # fmt: skip
def test_values_of_toml(text: str, title: str, expected: dict[str, Any]) -> None:
    text = f"+++\n{text}+++\ntext"
    assert front_matter.title(text) == title
    assert front_matter.fields(text) == expected


PIECES = st.sampled_from(
    [
        *("---\n", "+++\n", "...\n", "a: ", "title: ", "b = ", "\n", "  ", "- ", "# x", '"', "'"),
        *(
            "[",
            "]",
            "{",
            "}",
            ",",
            "\\",
            "\\u",
            "word",
            "7",
            "1979-05-27",
            "\\ud800",
            "&a ",
            "[a]\n",
        ),
    ]
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["---\n", "+++\n"]), st.lists(PIECES, max_size=30).map("".join))
def test_values_are_plain_whatever_is_written(mark: str, said: str) -> None:
    text = f"{mark}a{':' if mark[0] == '-' else '='} {said}\n{mark}"
    front_matter.title(text).encode()
    for value in front_matter.fields(text).values():
        several = value if isinstance(value, list) else [value]
        assert {type(one) for one in several} <= {str, int, float, bool}
        assert "\ud800" not in several


def test_long_front_matter_is_no_text_either() -> None:
    text = "---\ntitle: x\n" + "".join(f"k{n}: value\n" for n in range(8000)) + "---\n# A\n"
    made = parsed("a.md", text)
    assert len(text) > 1 << 16
    assert headings(made) == [(1, "A")] and made.title == "A"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mark", "unit"),
    [
        *(("+++", unit) for unit in ("a.", "'a'.", "a=[", "a={a=", "[a]\n", 'a="', "a=1\n")),
        *(("---", unit) for unit in ("a: [", '"\\", ', "a: '", 'a: "', " ", "&a ", "#\n", "- \n")),
        *(("---", unit) for unit in ("a", "a:\n", "a: [x #", "[", "{", "]", "a: b\n - c\n")),
    ],
)
def test_sixty_thousand_characters_of_anything_are_no_trouble(mark: str, unit: str) -> None:
    for before in ("a: [", "a: ", "a = ", ""):
        text = f"{mark}\n{before}{unit * (60_000 // len(unit))}\n{mark}\n"
        front_matter.title(text)
        front_matter.fields(text)
