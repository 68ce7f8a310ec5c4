"""What the elements of known kinds of XML documents are, in terms of HTML's.

JATS (articles of journals), DocBook, TEI, DITA, FictionBook, feeds (RSS and Atom), drawings (SVG);
and what names usually mean elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


def _each(value: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), value)


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What elements mean; names are without their namespace.

    Attributes:
        name: what it is called.
        elements: the element of HTML that one stands for; other blocks are paragraphs.
        sections: elements that are sections, whose titles are headings.
        titles: elements that are the title of what they stand in.
        carriers: elements between a section and its title.
        inline: elements within a line of text.
        skipped: elements that are not shown, with all that is in them.
        facts: (parent, element) whose words are kept as title or metadata.
        shown: attributes that are text, by element.
        pages: elements that may hold a page of HTML, escaped.
        breaks: elements that end a line or a page, and so a word, unless they say `break="no"`.
        apart: elements whose parts are words of their own where nothing stands between them.
    """

    name: str
    elements: Mapping[str, str] = field(default_factory=dict)
    sections: frozenset[str] = frozenset()
    titles: frozenset[str] = frozenset()
    carriers: frozenset[str] = frozenset()
    inline: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    facts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    pages: frozenset[str] = frozenset()
    breaks: frozenset[str] = _set("br")
    apart: frozenset[str] = frozenset()


_HTML = {
    name: name
    for name in _set("p ul ol dl li dt dd table thead tbody tfoot tr td th caption pre blockquote")
}
_CELLS = _each("tr", "row strow") | _each("td", "entry cell stentry") | _each("thead", "sthead")
_INLINE = _set(
    "a abbr acronym abbrev b big bold br citation code em emph emphasis font i italic kbd label "
    "link literal mark math monospace q quote ref rp rt ruby s sc small span strike strong sub "
    "subscript sup superscript term tspan tt u ulink underline underlined uri var xref"
)

JATS = Vocabulary(
    "jats",
    elements=_HTML
    | _each("p", "attrib disp-formula disp-quote speech statement verse-line")
    | _each("ul", "list ref-list")
    | _each("li", "list-item ref")
    | {"def-list": "dl", "def-item": "div", "term": "dt", "def": "dd", "table-wrap": "table"}
    | _each("pre", "code preformat"),
    sections=_set("abstract ack app article book book-part boxed-text sec sub-article "
                       "trans-abstract"),
    titles=_set("article-title book-title title"),
    carriers=_set("front article-meta title-group book-meta book-title-group front-stub "
                       "book-part-meta label caption"),
    inline=_INLINE - {"ref", "term"}
    | _set("article-title chem-struct collab comment day email etal ext-link fpage given-names "
                "inline-formula inline-graphic issue lpage month name named-content person-group "
                "pub-id publisher-loc publisher-name source string-name styled-content suffix "
                "surname uri volume year elocation-id mixed-citation element-citation"),
    skipped=_set("article-categories article-id aff author-notes "
                      "contrib-group counts custom-meta-group funding-group graphic history "
                      "journal-meta permissions processing-meta pub-date pub-history "
                      "related-article self-uri supplementary-material tex-math "
                      "alt-title trans-title-group"),
    facts={("title-group", "article-title"): "title", ("book-title-group", "book-title"): "title",
           ("contrib", "name"): "authors", ("contrib", "string-name"): "authors",
           ("contrib", "collab"): "authors", ("pub-date", "year"): "year",
           ("journal-title-group", "journal-title"): "journal", ("kwd-group", "kwd"): "keywords"},
    breaks=_set("br break"),
    apart=_set("alternatives citation-alternatives collab-alternatives element-citation name "
               "name-alternatives person-group string-name"),
)  # fmt: skip

DOCBOOK = Vocabulary(
    "docbook",
    elements=_HTML
    | _CELLS
    | _each("p", "para simpara formalpara bridgehead term seg")
    | _each("ul", "itemizedlist orderedlist simplelist procedure substeps calloutlist "
                  "segmentedlist qandaset glosslist bibliolist")
    | _each("li", "listitem step member callout seglistitem qandaentry biblioentry bibliomixed")
    | _each("dl", "variablelist")
    | {"varlistentry": "div"}
    | _each("table", "informaltable")
    | _each("pre", "programlisting screen literallayout synopsis cmdsynopsis funcsynopsis address"),
    sections=_set("appendix article bibliography book chapter colophon dedication glossary "
                       "index part partintro preface refentry reference refsect1 refsect2 refsect3 "
                       "refsection refsynopsisdiv section sect1 sect2 sect3 sect4 sect5 set "
                       "sidebar simplesect topic abstract"),
    titles=frozenset({"title", "refname"}),
    carriers=_set("info bookinfo articleinfo chapterinfo sectioninfo sect1info sect2info "
                       "refentryinfo refnamediv titleabbrev"),
    inline=_INLINE
    | _set("accel action anchor application arg author biblioref citerefentry citetitle "
                "classname command computeroutput constant coref email envar errorcode errorname "
                "errortype exceptionname filename firstname firstterm foreignphrase function "
                "guibutton guiicon guilabel guimenu guimenuitem guisubmenu indexterm inlinegraphic "
                "inlinemediaobject interface interfacename keycap keycombo keysym manvolnum "
                "markup menuchoice methodname option optional orgname package parameter personname "
                "phrase productname productnumber prompt property refentrytitle remark replaceable "
                "returnvalue sgmltag shortcut surname symbol systemitem tag token trademark type "
                "userinput varname wordasword xref year"),
    skipped=_set("alt colspec copyright date edition indexterm legalnotice pubdate publisher "
                      "releaseinfo revhistory subjectset titleabbrev imagedata author authorgroup "
                      "keywordset graphic refmeta"),
    facts={("info", "title"): "title", ("bookinfo", "title"): "title",
           ("articleinfo", "title"): "title", ("book", "title"): "title",
           ("article", "title"): "title", ("info", "author"): "authors",
           ("authorgroup", "author"): "authors", ("articleinfo", "author"): "authors",
           ("bookinfo", "author"): "authors", ("refnamediv", "refname"): "title",
           ("keywordset", "keyword"): "keywords"},
    breaks=_set("br beginpage sbr"),
    apart=_set("citerefentry cmdsynopsis group keycombo menuchoice personname"),
)  # fmt: skip

TEI = Vocabulary(
    "tei",
    elements=_HTML
    | _CELLS
    | _each("p", "ab l sp opener closer salute signed byline dateline speaker stage note")
    | _each("ul", "list listBibl")
    | _each("li", "item bibl biblStruct biblFull")
    | _each("pre", "egXML eg")
    | {"lg": "div"},
    sections=_set("div div1 div2 div3 div4 div5 div6 div7"),
    titles=frozenset({"head"}),
    carriers=frozenset({"front", "back", "text"}),
    inline=_INLINE
    | _set("add app att author choice corr cb c date del desc distinct editor ex expan fw "
                "foreign forename g gap gi gloss graphic hi ident idno lem measure mentioned "
                "milestone name num orig orgName pb lb persName placeName publisher ptr pubPlace "
                "rdg reg rs said seg sic soCalled space subst supplied surname title unclear "
                "value w pc"),
    skipped=_set("teiHeader fw"),
    facts={("titleStmt", "title"): "title", ("titleStmt", "author"): "authors",
           ("titlePage", "docTitle"): "title"},
    breaks=_set("br cb gb lb milestone pb space"),
    apart=_set("app choice persName subst"),
)  # fmt: skip

DITA = Vocabulary(
    "dita",
    elements=_HTML
    | _CELLS
    | _each("p", "shortdesc note cmd info stepresult stepxmp context prereq postreq result lq")
    | _each("ul", "sl steps steps-unordered substeps choices parml properties")
    | _each("li", "sli step substep choice plentry property")
    | _each("table", "simpletable choicetable")
    | _each("tr", "sthead strow chrow chhead")
    | _each("td", "stentry choption chdesc choptionhd chdeschd")
    | {"dlentry": "div"}
    | _each("pre", "codeblock screen msgblock lines pre"),
    sections=_set("bookmap concept dita example glossentry map reference section task topic "
                       "troubleshooting"),
    titles=frozenset({"title", "glossterm", "mainbooktitle"}),
    carriers=frozenset({"booktitle"}),
    inline=_INLINE
    | _set("apiname cite cmdname codeph delim filepath fn fragref image indexterm keyword "
                "menucascade msgnum msgph option parmname ph state synph systemoutput "
                "text tm uicontrol userinput varname wintitle xmlatt xmlelement"),
    skipped=_set("prolog indexterm metadata titlealts topicmeta"),
    facts={("topic", "title"): "title", ("concept", "title"): "title", ("task", "title"): "title",
           ("reference", "title"): "title", ("map", "title"): "title",
           ("booktitle", "mainbooktitle"): "title", ("glossentry", "glossterm"): "title",
           ("troubleshooting", "title"): "title", ("prolog", "author"): "authors"},
    apart=_set("menucascade"),
)  # fmt: skip

FICTION_BOOK = Vocabulary(
    "fictionbook",
    elements=_HTML | _each("p", "v subtitle text-author") | {"empty-line": "p"},
    sections=frozenset({"section", "body", "poem"}),
    titles=frozenset({"title"}),
    inline=_INLINE | {"style"},
    skipped=_set("description binary stylesheet"),
    facts={("title-info", "book-title"): "title", ("title-info", "author"): "authors"},
)

FEED = Vocabulary(
    "feed",
    elements=_HTML,
    sections=frozenset({"channel", "feed", "item", "entry"}),
    titles=frozenset({"title"}),
    inline=_INLINE - {"link"},
    skipped=_set("cloud docs enclosure generator guid icon id image language lastBuildDate "
                      "logo skipDays skipHours thumbnail ttl updatePeriod updateFrequency uri "
                      "comments commentRss category script style"),
    facts={("channel", "title"): "title", ("feed", "title"): "title"},
    shown={"link": "href"},
    pages=_set("content copyright description encoded rights subtitle summary tagline title"),
)  # fmt: skip

DRAWING = Vocabulary(
    "svg",
    elements=_each("p", "text title desc"),
    inline=frozenset({"a", "altGlyph", "textPath", "tref", "tspan"}),
    skipped=_set("animate metadata namedview script style"),
    facts={("svg", "title"): "title"},
)

OTHER = Vocabulary(
    "other",
    elements=_HTML | _CELLS | _each("li", "item") | _each("pre", "code-block listing"),
    sections=_set("article book chapter div part section subsection topic"),
    titles=_set("head heading title"),
    inline=_INLINE,
    skipped=frozenset({"binary", "script", "style"}),
    breaks=_set("br break cb lb linebreak newline pagebreak pb"),
)
