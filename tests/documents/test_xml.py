"""XML: known kinds of documents, others, data, feeds, drawings, and what is hostile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import Parsed, Source, format_of

from .mutations_for_tests import documents, survives
from .outlines_for_tests import FILL, blocks, check, headings, parsed, passages_of

FILES = Path(__file__).parent / "files"
"""`pumps.md`, and what pandoc 2.17 writes of it: `pandoc -s pumps.md -t jats -o pumps.jats.xml`."""
KINDS = ["jats", "docbook4", "docbook5", "tei", "fb2"]


def pumps(kind: str) -> bytes:
    return (FILES / f"pumps.{kind}.xml").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_pandoc_writes_is_read_with_its_structure(kind: str) -> None:
    made = parsed("pumps.xml", pumps(kind))
    assert made.title == "The pumps of the mill"
    assert made.metadata["authors"] == ["Ada Lovelace", "Charles Babbage"]
    words = " ".join(made.text.split())
    for said in (
        "The mill has two pumps, see the plan. Each has a valve() of its own.",
        "The north pump runs by day.",
        "south 11 runs at night",
        "return pump.rate * 2",
        "What a term means in the mill.",
        "A quote by somebody.",
        "The text of the note.",
        "Pressure is 40° & more.",
    ):
        assert said in words
    assert "<" not in made.text and "&amp;" not in made.text
    # FictionBook has no title page: the title is a heading of the body, and notes are sections.
    levels = [one for one in headings(made) if one[1] not in ("The pumps of the mill", "1")]
    (first, _), *_ = levels
    assert levels == [(first, "Introduction"), (first + 1, "Flow by day"), (first, "Results")]
    table = next(block for block in made.outline.blocks if block.kind == "table")
    assert table.lead.endswith("name | flow | remark")
    assert "south" in made.text[table.start : table.end]


@pytest.mark.parametrize("kind", ["jats", "docbook4", "docbook5"])
def test_captions_code_and_lists_are_told_apart(kind: str) -> None:
    made = parsed("pumps.xml", pumps(kind))
    assert [block for block in blocks(made) if block[1] or block[2]] == [
        ("list", "These hold:", ""),
        ("table", "Pumps and their flow\nname | flow | remark", ""),
        ("code", "", "python"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_stands_on_its_line_of_the_source(kind: str) -> None:
    source = pumps(kind).decode()
    lines = source.split("\n")
    made = parsed("pumps.xml", source)
    for number, line in enumerate(made.text.split("\n")):
        for word in re.findall(r"\w+", line):
            assert word in lines[number], (number + 1, word)


def test_metadata_of_an_article() -> None:
    made = parsed(
        "a.xml",
        """<article article-type="research-article"><front><journal-meta><journal-title-group>
        <journal-title>Journal of Mills</journal-title></journal-title-group></journal-meta>
        <article-meta><article-id>10.1/x</article-id><title-group><article-title>On <italic>two
        </italic> pumps<xref>*</xref></article-title></title-group><contrib-group><contrib><name>
        <surname>Lovelace</surname><given-names>Ada</given-names></name><xref>1</xref></contrib>
        </contrib-group><aff>Mill</aff><pub-date><year>2024</year></pub-date><pub-date>
        <year>2023</year></pub-date><abstract><p>In short.</p></abstract>
        <kwd-group><kwd>pump</kwd><kwd>flow</kwd></kwd-group></article-meta></front>
        <body><sec><label>1</label><title>Method</title><p>We ran it.</p></sec></body>
        <back><ref-list><title>References</title><ref><mixed-citation>Babbage C. <year>1832</year>
        </mixed-citation></ref></ref-list></back></article>""",
    )
    assert made.title == "On two pumps*"
    assert made.metadata == {
        "journal": "Journal of Mills",
        "authors": ["Lovelace Ada"],
        "year": 2024,
        "keywords": ["pump", "flow"],
        "vocabulary": "jats",
    }
    assert "Mill\n" not in made.text and "10.1/x" not in made.text
    assert (2, "Method") in headings(made)
    assert "Babbage C. 1832" in made.text


def test_a_topic_of_dita() -> None:
    made = parsed(
        "start.dita",
        f"""<!DOCTYPE task PUBLIC "-//OASIS//DTD DITA Task//EN" "task.dtd">
<task id="t"><title>Start the <ph>pump</ph></title><shortdesc>How to start.</shortdesc>
<prolog><author>Ada</author><metadata><keywords><indexterm>no</indexterm></keywords></metadata>
</prolog><taskbody><context>{FILL}</context><steps><step><cmd>Open the <uicontrol>valve
</uicontrol>.</cmd><info><codeblock outputclass="language-bash">open valve
  --now</codeblock></info></step></steps>
<section><title>Flow</title><simpletable><sthead><stentry>name</stentry><stentry>flow</stentry>
</sthead><strow><stentry>north</stentry><stentry>7</stentry></strow></simpletable></section>
</taskbody></task>""",
    )
    assert made.title == "Start the pump"
    assert made.metadata == {"authors": ["Ada"], "vocabulary": "dita"}
    assert headings(made) == [(1, "Start the pump"), (2, "Flow")]
    assert ("code", "", "bash") in blocks(made)
    assert blocks(made)[-1] == ("table", "name | flow", "")
    assert "open valve\n  --now" in made.text


RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>News of the mill</title><link>https://example.org/</link>
<description>What happens</description><language>en</language>
<item><title>A pump &amp; a valve</title><link>https://example.org/1</link>
<guid>x1</guid><pubDate>Mon, 03 Mar 2025 10:00:00 GMT</pubDate>
<description>&lt;p&gt;It &lt;b&gt;runs&lt;/b&gt; &amp;amp; runs.&lt;/p&gt;</description></item>
<item><title>Second</title><content:encoded><![CDATA[<h2>No</h2>
<p>Longer <em>text</em></p><script>x</script>]]></content:encoded></item>
</channel></rss>"""


def test_items_of_a_feed_are_sections_with_title_link_and_date() -> None:
    made = parsed("news.rss", RSS)
    assert made.title == "News of the mill"
    assert headings(made) == [(1, "News of the mill"), (2, "A pump & a valve"), (2, "Second")]
    first = made.outline.sections[1]
    assert " ".join(made.text[first.body : first.end].split()) == (
        "https://example.org/1 Mon, 03 Mar 2025 10:00:00 GMT It runs & runs."
    )
    last = made.outline.sections[2]
    assert made.text[last.body : last.end].split() == ["No", "Longer", "text"]
    lines = made.text.split("\n")
    assert "It runs & runs." in lines[6] and "Longer text" in lines[8]
    atom = parsed(
        "a.atom",
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><id>no</id>'
        '<entry><title>One</title><link href="https://example.org/1"/><updated>2025-03-03</updated>'
        '<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>It <b>runs</b></p>'
        "</div></content></entry></feed>",
    )
    assert headings(atom) == [(1, "News"), (2, "One")]
    assert atom.text.split() == ["News", "One", "https://example.org/1", "2025-03-03", "It", "runs"]


def test_of_a_drawing_the_words_are_read() -> None:
    made = parsed(
        "a.svg",
        '<svg xmlns="http://www.w3.org/2000/svg"><title>The mill</title><style>a{}</style>'
        "<desc>Two pumps</desc>\n<defs><path d='M0 0'/></defs><metadata>no</metadata>"
        "<g><text x='1'>north <tspan>pump</tspan></text>\n<text>south</text></g></svg>",
    )
    assert (made.title, made.text.rstrip()) == ("The mill", "The mill Two pumps\nnorth pump\nsouth")
    assert documents("icon.svg", '<svg><path d="M0 0"/></svg>') == []


def test_prose_in_elements_that_nobody_knows_is_its_text() -> None:
    made = parsed(
        "a.xml",
        f"<manual><chapter><title>Pumps</title><para>{FILL * 3}</para><para>Of the <x>north</x> "
        f"pump.</para></chapter><chapter><title>Valves</title><para>{FILL * 3}</para></chapter>"
        "</manual>",
    )
    assert made.format == "" and "<" not in made.text
    assert headings(made) == [(1, "Pumps"), (1, "Valves")]
    assert "Of the north pump." in made.text
    assert passages_of(made)[-1][1].context.headings == ("Valves",)


@pytest.mark.parametrize(
    "source",
    [
        "<project><dependency><artifactId>junit</artifactId></dependency></project>\n",
        '<?xml version="1.0"?>\n<a>\n  <b c="d"/>\n</a>\n',
        f"<log><p>{FILL}</p></log><log>",
        f"<a><p>{FILL}</a>",
        "",
    ],
)
def test_data_and_what_is_not_well_formed_stand_as_they_are(source: str) -> None:
    made = parsed("pom.xml", source)
    assert (made.text, made.format, made.metadata) == (source, "code", {"language": "xml"})
    broken = FILL in source or not source
    assert len(made.problems) == int(broken)
    if broken:
        assert made.problems[0].startswith("not well-formed XML at line 1 (")


def test_a_page_of_xhtml_is_read_as_html() -> None:
    made = parsed(
        "a.xml", "<?xml version='1.0'?>\n<html><head><title>T</title></head><body>b</body>"
    )
    assert (made.title, made.text.strip(), made.format) == ("T", "b", "html")


def test_what_begins_as_xml_is_xml_whatever_its_name() -> None:
    head = b"\xef\xbb\xbf<?xml version='1.0'?><x/>"
    assert format_of("notes.unknown", head).name == "xml"
    assert format_of("notes.unknown", b"<?php echo 1;").name == "text"


BOMB = """<!DOCTYPE article [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
<!ENTITY d SYSTEM "file:///etc/passwd"><!ENTITY % e SYSTEM "http://example.org/x"> %e;
<!-- ]> ' --><!ENTITY name "the mill's">
<!ATTLIST para x CDATA "]>">]>
"""


def test_no_entity_is_expanded_and_no_other_file_is_opened() -> None:
    said = "x &c;&d;&unknown;&nbsp;&eacute; &name; y"
    source = f'{BOMB}<article><para role="&c;&d;">{said}</para></article>'
    made = parsed("a.xml", source)
    assert made.text.split("\n")[5].split() == ["x", "é", "the", "mill's", "y"]
    assert len(made.text) < 60


def test_numbers_of_characters_break_no_lines() -> None:
    made = parsed("a.tei", "<TEI><p>a&#10;b\r\nc</p>\n<p>d</p></TEI>")
    assert [line.rstrip() for line in made.text.split("\n")] == ["a b", "c", "d"]


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-16", "windows-1252"])
def test_the_declared_encoding_is_read(encoding: str) -> None:
    source = f"<?xml version='1.0' encoding='{encoding}'?>\n<TEI><p>Größe der Mühle</p></TEI>"
    assert parsed("a.tei", source.encode(encoding)).text.strip() == "Größe der Mühle"


@pytest.mark.parametrize(
    ("before", "after"),
    [("<div><head>h</head>", "</div>"), ("<front><head>h</head>", "</front>"),
     ("<table>", "</table>"), ("<row><cell>", "</cell></row>"), ("<list><item>", "</item></list>"),
     ("<eg>", "</eg>")],
)  # fmt: skip
def test_elements_may_be_nested_without_end(before: str, after: str) -> None:
    deep = 10_000
    made = parsed("a.tei", f"<TEI>{before * deep}x{after * deep}</TEI>")
    assert made.text.rstrip().endswith("x")


TAGS = "sec title p list list-item table-wrap caption table tr code italic"
PIECES = st.sampled_from(
    [
        *(f"<{tag}>" for tag in TAGS.split()),
        *(f"</{tag}>" for tag in TAGS.split()),
        *("<th>a</th>", "<td>b</td>", "&amp;", "&nbsp;", "&#10;", "words", "a few words more"),
        *("<![CDATA[<x>]]>", "<!--c-->", "<aff/>", "\n", "\n\n"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=25))
def test_an_outline_lies_within_its_text_and_lines_are_those_of_the_source(
    pieces: list[str],
) -> None:
    source = "<article><front/><body>" + "".join(pieces) + "</body></article>"
    made = format_of("a.xml").parse(source.encode(), Source("a.xml"))
    assert isinstance(made, Parsed)
    check(made.text, made.outline)
    assert made.text.count("\n") <= source.count("\n")


def test_damaged_xml_is_read_or_refused() -> None:
    samples = [pumps(kind) for kind in KINDS] + [RSS.encode(), (BOMB + "<book/>").encode()]
    words = [
        *(b"&", b"<", b"]]>", b"<![CDATA[", b"<!DOCTYPE x [", b"&#0;", b"&#x110000;", b"<?xml?>"),
        *(b"<table-wrap><table>", b"<title>", b"<sec>", b"\xff\xfe", b"xmlns=''", b"--"),
    ]
    assert survives("a.xml", samples, words) > 200


ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"><title{}>{}</title><entry><summary{}>{}</summary></entry></feed>'


@pytest.mark.parametrize(
    ("said", "words", "shown"),
    [
        (' type="html"', "Tom &amp;amp; Jerry &lt;em&gt;again&lt;/em&gt;", "Tom & Jerry again"),
        (' type="html"', "<![CDATA[What&#8217;s <b>new</b>?]]>", "What’s new?"),
        (' type="text/html"', "a &amp;lt;b&amp;gt;", "a <b>"),
        (' type="text"', "Use &lt;b&gt; &amp;amp; co", "Use <b> &amp; co"),
        ("", "Use &lt;b&gt; &amp;amp; co", "Use <b> &amp; co"),
        (' type="xhtml"', "<div>One <em>t</em>wo &lt;b&gt;</div>", "One two <b>"),
    ],
)
def test_text_of_atom_is_what_its_type_says(said: str, words: str, shown: str) -> None:
    made = parsed("a.atom", ATOM.format(said, words, said, words))
    assert made.title == shown
    assert " ".join(made.text.split()) == f"{shown} {shown}"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("<![CDATA[Tom &amp; Jerry&#8217;s]]>", "Tom & Jerry’s"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("<![CDATA[<b>Bold</b> news]]>", "Bold news"),
        ("Use of &lt;video&gt; in List&lt;String&gt;", "Use of <video> in List<String>"),
        ("1 &lt; 2 &amp;&amp; 3 > 2", "1 < 2 && 3 > 2"),
        ("a&amp;#10;b", "a b"),
    ],
)
def test_titles_of_rss_are_shown_as_readers_do(words: str, shown: str) -> None:
    item = f"<item><title>{words}</title><description>x\ny</description></item>"
    source = f"<rss><channel><title>{words}</title>{item}</channel></rss>"
    made = parsed("a.rss", source)
    assert made.title == shown
    assert " ".join(made.text.split()) == f"{shown} {shown} x y"
    assert made.text.count("\n") == source.count("\n")


TEI = "<TEI><text><body><div>{}</div></body></text></TEI>"
JATS = "<article><front><article-meta>{}</article-meta></front><body><sec>{}</sec></body></article>"
BOOK = "<book><info><title>B</title>{}</info><chapter>{}</chapter></book>"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (TEI.format("<head>On<lb/>the sea</head><p>from<pb n='2'/>it</p>"), "On the sea from it"),
        (TEI.format("<p>a<cb/>b<gb/>c<milestone unit='x'/>d<lb break='no'/>e</p>"), "a b c de"),
        (TEI.format("<p>He <choice><sic>recieved</sic><corr>received</corr></choice>, </p>"),
         "He recieved received,"),
        (TEI.format("<p><choice><abbr>Dr</abbr><expan>Doctor</expan></choice>s</p>"), "Dr Doctors"),
        (TEI.format("<p><choice><orig>olde</orig><reg>old</reg></choice>.</p>"), "olde old."),
        (TEI.format("<p>a <app><lem>cat</lem><rdg>dog</rdg></app>, <subst><del>x</del><add>y</add>"
                    "</subst></p>"), "a cat dog, x y"),
        (TEI.format("<p>w<hi>or</hi>d</p>"), "word"),
        (JATS.format("", "<title>One<break/>two</title><p>a<break/>b</p>"), "One two a b"),
        (BOOK.format("", "<title>C</title><para>a<?linebreak?>b <keycombo><keycap>Ctrl</keycap>"
                     "<keycap>C</keycap></keycombo> <menuchoice><guimenu>File</guimenu>"
                     "<guimenuitem>Open</guimenuitem></menuchoice></para>"),
         "B C a b Ctrl C File Open"),
        ("<doc><p>one two three four five six<br/>seven</p></doc>",
         "one two three four five six seven"),
    ],
)  # fmt: skip
def test_lines_pages_and_alternatives_are_apart(source: str, said: str) -> None:
    assert " ".join(parsed("a.xml", source).text.split()) == said


def test_a_title_over_two_lines_is_apart_and_a_word_is_whole() -> None:
    titles = "<docTitle>On<lb/>the se<lb break='no'/>a</docTitle>"
    made = parsed(
        "a.xml", f"<TEI><text><front><titlePage>{titles}</titlePage></front></text></TEI>"
    )
    assert made.title == "On the sea"


def contributor(name: str, kind: str = "") -> str:
    said = f' contrib-type="{kind}"' if kind else ""
    return f"<contrib{said}><name><surname>{name}</surname></name></contrib>"


def test_only_authors_are_authors() -> None:
    people = "".join(
        f"<contrib-group>{contributor(f'N{at}', kind)}</contrib-group>"
        for at, kind in enumerate(
            ["", "author", "Corresponding-Author", "editor", "reviewer", "translator",
             "author non-byline", "authors"]
        )
    )  # fmt: skip
    people += f'<contrib-group content-type="editors">{contributor("E")}</contrib-group>'
    made = parsed("a.xml", JATS.format(people, "<p>a</p>"))
    assert made.metadata["authors"] == ["N0", "N1", "N2", "N7"]
    letter = f"<sub-article><front-stub>{contributor('R', 'author')}</front-stub></sub-article>"
    source = JATS.format(contributor("A"), "<p>a</p>").replace("</article>", f"{letter}</article>")
    assert parsed("a.xml", source).metadata["authors"] == ["A"]
    people = (
        "<author><personname>A</personname></author><editor><personname>E</personname></editor>"
    )
    made = parsed("a.xml", BOOK.format(people, "<title>C</title><para>a</para>"))
    assert made.metadata["authors"] == ["A"]
