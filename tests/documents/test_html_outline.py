"""The structure of HTML pages: headings, tables, lists, code; what is no text of the page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats.html import extract

from .outlines_for_tests import FILL, blocks, check, headings, headings_at, parsed, passages_of

ROWS = "".join(f"<tr><td>pump {n}</td><td>{n * 7}</td><td>{FILL}</td></tr>" for n in range(12))


def test_every_passage_of_a_long_section_has_the_headings_above_it() -> None:
    long = f"<p>{FILL * 3}</p>" * 4
    page = f"<h1>Guide</h1><h2>North</h2>{long}<h3>Doors</h3>{long}<h2>South</h2>{long}"
    made = parsed("a.html", page)
    found = {p.context.headings for _, p in passages_of(made)}
    assert found >= {("Guide", "North"), ("Guide", "North", "Doors"), ("Guide", "South")}
    assert headings(made) == [(1, "Guide"), (2, "North"), (3, "Doors"), (2, "South")]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<header><h1>A</h1></header><main><h2>B</h2>b</main>", [(1, "A"), (2, "B")]),
        ("<h1>A</h1><section><h1>B</h1><section><h1>C</h1></section></section><section><h1>D</h1>",
         [(1, "A"), (2, "B"), (3, "C"), (2, "D")]),
        ("<section><h1>A</h1></section><section><h1>B</h1></section>", [(1, "A"), (1, "B")]),
        ("<article><h2>A</h2><section><h2>B</h2><h3>C</h3></section></article><h2>D</h2>",
         [(2, "A"), (3, "B"), (4, "C"), (2, "D")]),
        ("<div role=heading aria-level=3>A</div><p role='heading'>B</p>", [(3, "A"), (2, "B")]),
        ("<h2>A<a class=headerlink href=#a title='Link'>¶</a></h2>", [(2, "A")]),
        ("<h2><a href='#a'>#</a> A</h2><p>see <a href=x>#</a></p>", [(2, "A")]),
        ("<h2><a href='#a'><span aria-hidden=true>#</span></a>A</h2>", [(2, "A")]),
        ("<h2>A <em>b</em>\n<code>c()</code></h2>", [(2, "A b c()")]),
        ("<h2>A<h3>B</h3>", [(2, "A"), (3, "B")]),
        ("<h1>A<div><h2>b</h2></div></h1>", [(1, "A b")]),
        ("<h2></h2><h3>B</h3>", [(3, "B")]),
        ("<nav><h2>Menu</h2></nav><h2>A</h2><aside><h3>Ads</h3></aside>", [(2, "A")]),
        ("<div hidden><h2>X</h2></div><h2>A</h2>", [(2, "A")]),
        ("<table><tr><td><h2>A</h2>a<td><h2>B</h2>b</table>", [(2, "A"), (2, "B")]),
    ],
)  # fmt: skip
def test_headings_are_those_that_a_reader_sees(page: str, expected: list[tuple[int, str]]) -> None:
    assert headings(parsed("a.html", page)) == expected


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<nav>a<nav>b</nav>c</nav>d<footer>e</footer><aside>f</aside>", "d"),
        ("<div role=navigation>a<div>b</div>c</div>d", "d"),
        ("<p hidden>a<p>b", "b"),
        ("<ul><li hidden>a<li>b</ul>c", "b c"),
        ("<span aria-hidden='true'>a<span>b</span>c</span>d", "d"),
        ("<div style='color:red; display : NONE'>a</div>b", "b"),
        ("<div class=hidden>a</div><div hidden=until-found>b</div>", "a b"),
        ("<div hidden>a<table><tr><td>b</div>c</td></tr></table>d</div>e", "e"),
        ("<dialog>a</dialog><dialog open>b</dialog>", "b"),
        ("<img src=x alt='a  graph\nof b'>c<img alt=''><img alt=d hidden>", "a graph of b\nc"),
        ("<nav>only this</nav>", "only this"),
        ("<nav>a<p>b", "a b"),
        ("a<footer>b", "a"),
        ("<td class=linenos><pre>1\n2</pre></td><td><pre>x\ny</pre></td>", "\nx\ny"),
        ("see ¶ 3 and <a href=#x>¶</a>", "see ¶ 3 and"),
    ],
)
def test_what_is_hidden_or_about_the_site_is_no_text(page: str, text: str) -> None:
    made = parsed("a.html", page)
    assert made.text.rstrip() == text
    assert made.text.count("\n") == page.count("\n")


@pytest.mark.parametrize(
    "head",
    [
        "<caption>Pumps of the mill</caption><thead><tr><th>name<th>flow<th>remark</thead><tbody>",
        "<caption>Pumps of the mill</caption><tr><th>name</th><th>flow</th><th>remark</th></tr>",
        "<caption>Pumps of the mill<tr><td>name</td><td>flow</td><td>remark</td></tr>",
    ],
)
def test_rows_of_a_table_are_read_with_its_caption_and_header(head: str) -> None:
    made = parsed("a.html", f"<p>{FILL}<p>Before.<table>{head}{ROWS}</table><p>After.")
    assert blocks(made) == [("table", "Pumps of the mill\nname | flow | remark", "")]
    found = passages_of(made)
    for n in range(12):
        text, passage = next((t, p) for t, p in found if f"pump {n} " in t)
        assert f"pump {n} {n * 7} {FILL.strip()}" in text
        assert "name flow" in text or "flow | remark" in passage.context.lead


def test_a_table_without_caption_is_read_with_the_sentence_before_it() -> None:
    page = f"<p>{FILL} These are the pumps:</p><table><tr><th>name<th>flow<th>note{ROWS}</table>"
    made = parsed("a.html", page)
    assert made.outline.blocks[0].lead == "These are the pumps:\nname | flow | note"


def test_a_table_that_only_puts_things_beside_each_other_is_none() -> None:
    page = "<table><tr><td><table><tr><th>a<th>b<tr><td>1<td>2</table><td><p>c<pre>d</pre></table>"
    assert blocks(parsed("a.html", page)) == [("table", "a | b", ""), ("code", "", "")]


def test_lists_are_cut_between_items_and_read_with_what_introduces_them() -> None:
    items = "".join(f"<li>item {n}, {FILL}" for n in range(9))
    made = parsed("a.html", f"<p>{FILL} You need the following:<ul>{items}</ul><p>End.")
    assert blocks(made) == [("list", "You need the following:", "")]
    listed = [(text, p) for text, p in passages_of(made) if text.startswith("item")]
    assert len(listed) > 2
    assert all(p.context.lead == "You need the following:" for _, p in listed)
    assert all(text.removesuffix("End.").strip().endswith(FILL.strip()) for text, _ in listed)


def test_a_long_definition_is_read_with_its_term() -> None:
    made = parsed("a.html", f"<dl><dt>first</dt><dd>{FILL}</dd><dt>second<dd>{FILL * 9}</dl>")
    assert [b for b in blocks(made) if b[1]] == [("list", "second", "")]
    assert passages_of(made)[-1][1].context.lead == "second"


@pytest.mark.parametrize(
    ("page", "language"),
    [
        ("<pre><code class='language-python'>x = 1</code></pre>", "python"),
        ("<pre class='lang-js'>x</pre>", "javascript"),
        ("<div class='highlight-c++ notranslate'><div class=highlight><pre>x</pre></div></div>",
         "cpp"),
        ("<div class='highlight highlight-source-shell'><pre>x</pre></div>", "bash"),
        ("<pre class='brush: java'>x</pre>", "java"),
        ("<pre class='sourceCode go'><code>x</code></pre>", "go"),
        ("<pre data-lang=rust>x</pre>", "rust"),
        ("<pre>x</pre><code class=language-go>y</code>", ""),
    ],
)  # fmt: skip
def test_code_has_the_language_that_its_highlighter_was_told(page: str, language: str) -> None:
    assert blocks(parsed("a.html", page)) == [("code", "", language)]


def test_a_heading_in_one_long_line_is_found_at_its_words() -> None:
    body = "".join(f"<h2>Part {n}</h2><p>{FILL * 3}word{n}</p>" for n in range(30))
    made = parsed("a.html", f"<html><body>{body}</body></html>")
    for n in range(30):
        assert f"Part {n}" in headings_at(made, f"word{n}")


PIECES = st.sampled_from(
    [
        *("<p>", "</p>", "<div>", "</div>", "<h1>", "</h1>", "<h2>", "</h2>", "<section>"),
        *("</section>", "<table>", "</table>", "<tr>", "</tr>", "<th>", "<td>", "</td>"),
        *("<caption>", "</caption>", "<thead>", "<ul>", "</ul>", "<li>", "<dl>", "<dt>", "<dd>"),
        *("</dl>", "<pre>", "</pre>", "<code class=language-c>", "<nav>", "</nav>", "<p hidden>"),
        *("<span hidden>", "</span>", "<footer>", "</footer>", "<img alt='a b'>", "<a>¶</a>"),
        *("word", "two words:", " ", "\n", "\r\n", "&amp;", "<b>", "</b>", "<title>t</title>"),
    ]
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_an_outline_lies_within_its_page(page: str) -> None:
    text, _, outline = extract(page)
    check(text, outline)
    assert text.count("\n") == page.count("\n")
    for section in outline.sections:
        if section.level:
            assert " ".join(text[section.start : section.body].split()) == section.heading


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    ["<li>", "<p>\n", "<div hidden>", "<td>", "<table>", "<h2>a", "<section>", "<a>", "<dd>a",
     "<span hidden>", "</div>", "<nav>", "<p class=a hidden b='>", "<a> <b>", "<pre>", "<ul><li>a"],
)  # fmt: skip
def test_twenty_thousand_unclosed_elements_are_no_trouble(unit: str) -> None:
    text, _, outline = extract(unit * 20_000)
    assert len(text) <= len(unit) * 50_000
    assert len(outline.sections) <= 20_001


def test_a_caption_that_stands_within_its_table_is_read_with_the_rows_below() -> None:
    page = f"<table><tr><td>first<td>1</tr><caption>Pumps</caption>{ROWS}</table>"
    made = parsed("a.html", page)
    assert made.outline.blocks[0].lead.startswith("Pumps")
    assert passages_of(made)[-1][1].context.lead.startswith("Pumps")


def test_code_in_code_is_one_block() -> None:
    made = parsed("a.html", "<pre>a\n" * 300 + "b" + "</pre>" * 300)
    assert [block.kind for block in made.outline.blocks] == ["code"]
