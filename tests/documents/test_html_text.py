"""The text of HTML pages: what is seen, on which line, and that broken pages end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import html_text
from retrieval.documents.formats.formulas import mathml_source
from retrieval.documents.formats.html import extract

PAGE = """\
<!DOCTYPE html>
<html><head>
<meta charset="utf-8"><title>The &amp;
   page</title>
<style>
p { color: red }
</style></head>
<body class="a>b"
      id='x'><h1>Big <em>new</em>s</h1>
<!-- no
 comment --><p>One</p><p>two<br>three &lt;3&nbsp;four</p>
<script>
  if (a < b) document.write("</p>");
</script>  <ul><li>a<li>b</ul>
<pre>
  keep   these
</pre>
<noscript>turn it on</noscript><svg><title>No</title><text>no</text></svg>
Tom & Jerry, 1 < 2 &copy; 2020 &unknown; AT&T&#10;end
</body></html>
"""


def test_a_page_is_what_a_reader_sees_on_the_lines_of_the_source() -> None:
    text, title, _ = extract(PAGE)
    assert title == "The & page"
    assert [line.rstrip() for line in text.split("\n")] == [
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "Big news",
        "",
        "One two three <3\xa0four",
        "",
        "",
        "a b",
        "",
        "  keep   these",
        "",
        "",
        "Tom & Jerry, 1 < 2 © 2020 &unknown; AT&T end",
        "",
        "",
    ]


def test_the_first_heading_stands_in_for_a_title() -> None:
    assert extract("<h1>A <b>b</b>\n c</h1><h1>d</h1>")[1] == "A b c"
    assert extract("<title> </title><h1>A</h1>")[1] == "A"
    assert extract("<h1>A</h1><title>B</title>")[1] == "B"
    assert extract("<svg><title>A</title></svg><p>b")[1] == ""


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("plain text", "plain text"),
        ("a<b>c</b>d", "acd"),
        ("<td>a</td><td>b</td>", "a b "),
        ("a < b > c", "a < b > c"),
        ("a <3 b", "a <3 b"),
        ("a<!-- b", "a"),
        ("a<!-->b", "ab"),
        ("a<!--->b", "ab"),
        ("a<!---->b", "ab"),
        ("a<!-- b --!>c", "ac"),
        ("a<!----!>b", "ab"),
        ("a<!--!>b-->c", "ac"),
        ("a<!---!>b-->c", "ac"),
        ("a<!-- b -- > c --!d -->e", "ae"),
        ("a<!-- <!-- b -->c", "ac"),
        ("a<!-- <!-->c", "ac"),
        ("a<!-- b --", "a"),
        ("a<!--", "a"),
        ("a<!-- b -- > c -->d", "ad"),
        ("a<script>b", "a"),
        ("a<script src=x />b", "ab"),
        ("a<SCRIPT>b</Script >c", "ac"),
        ("a<script>'</scripts>'</script>c", "ac"),
        ("<title>a<p>b", "a b"),
        ("a<template>b</template>c", "ac"),
        ("a<b c", "a<b c"),
        ('a<b c="d>e', "ae"),
        ('a<b c="d>e">f', "af"),
        ("a<b c=d'e>f'", "af'"),
        ("a<?php b ?>c", "ac"),
        ("a<![CDATA[b]]>c", "ac"),
        ("a</>b</ c>d", "abd"),
        ("a<br/>b", "a b"),
        ("&#x41;&#65;&amp&lt;&notanentity;&;&", "AA&<¬anentity;&;&"),
        ("&#0;&#xD800;&#99999999;", "\ufffd\ufffd\ufffd"),
        ("a\r\nb <i>c</i> \r\nd", "a\r\nb c\r\nd"),
        ("a  \n  b", "a\nb"),
        ("<math><mi>x</mi><annotation encoding='application/x-tex'>x</annotation></math>", "x"),
        ("<pre>a  \t b</pre>  c  d", "a  \t b c d"),
    ],
)
def test_markup_is_read_as_browsers_read_it(source: str, text: str) -> None:
    assert extract(source)[0] == text


TAGS = st.sampled_from(
    [
        *("<p>", "</p>", "<b>", "<pre>", "</pre>", "<script>", "</script>", "<title>", "</title>"),
        *(
            "<svg>",
            "</svg>",
            "<!--",
            "-->",
            "<!",
            "<?",
            "<a b='",
            '<a b="',
            "'>",
            '">',
            "<a\n",
            ">",
        ),
        *(
            "&amp;",
            "&#10;",
            "&#13",
            "&NewLine;",
            "&",
            "<",
            "\n",
            "\r\n",
            "\r",
            " ",
            "<h1>",
            "</h1>",
        ),
    ]
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(TAGS | st.text(max_size=4), max_size=40).map("".join))
def test_every_line_stays_where_it_is(source: str) -> None:
    text, title, _ = extract(source)
    assert text.count("\n") == source.count("\n")
    assert "\n" not in title


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["word", "<p>", "</p>", "<i>x</i>", "\n", "<!-- -->"])))
def test_a_word_is_on_the_line_of_its_source(parts: list[str]) -> None:
    source = "".join(f"w{at}" if part == "word" else part for at, part in enumerate(parts))
    lines = extract(source)[0].split("\n")
    for line, original in zip(lines, source.split("\n"), strict=True):
        assert [at for at in range(len(parts)) if f"w{at}" in line] == [
            at for at in range(len(parts)) if f"w{at}" in original
        ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        *("<", "<a", '<a b="', "<a b='", "<a/", "</", "<!--", "<!", "<?", "<svg>", "<title>"),
        *("&", "&a", "<pre>x", "<math><mi>x"),
    ],
)
def test_a_hundred_thousand_unclosed_things_are_no_trouble(unit: str) -> None:
    text, _, _ = extract(unit * 100_000)
    assert "\n" not in text


def test_formulas_without_an_end_take_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def counted(source: str) -> str:
        tried.append(len(source))
        return mathml_source(source)

    monkeypatch.setattr(html_text, "mathml_source", counted)
    for inner in ("<math><mi>x", "<math>x", "<MATH ><mi>x</mi>", "<svg></svg><math><mrow>"):
        tried.clear()
        source = inner * 30_000 + "</math>"
        assert extract(source)[0].count("x") == (30_000 if "x" in inner else 0)
        assert sum(tried) < 100
    text = extract("<math><mi>a<math><mi>y</mi><mo>=</mo><mn>1</mn></math><p>b</p>")[0]
    assert " ".join(text.split()) == "ay=1 b"
