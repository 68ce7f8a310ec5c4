"""Markdown: its title, front matter and structure, by the blocks that a CommonMark parser sees."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from html import unescape
from typing import TYPE_CHECKING

from retrieval.documents.formats import front_matter
from retrieval.documents.formats.builder import HEADING_CHARACTERS, OutlineBuilder
from retrieval.documents.formats.format import text_format, top_heading
from retrieval.documents.formats.languages import language_named
from retrieval.documents.outline import Outline

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_PIECE_CHARS = 512 * 1024
"""What is parsed at a time: the parser's tokens take far more memory than the text."""

_NEWLINE = re.compile(r"\r\n?|\n")
_RULE = re.compile(
    r"[ \t>]*+\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+(?:\r?\n?|\r)$",
    re.MULTILINE,
)
"""What stands below the header of a table. The parser takes tables for paragraphs: its own are a
token a cell."""
_MARKERS = re.compile(r"(?:[ \t>]|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))*+")
"""What may stand before a paragraph in a quote or an item."""
_BAR = re.compile(r"(?<!\\)\|")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HTML = re.compile(
    r"(?P<comment><!--(?!-?>))|<(?P<raw>script|style|textarea)(?=[\s>])"
    r"|<h([1-6])(?:\s[^>]{0,500})?>(.{0,500}?)</h\3\s*>",
    re.IGNORECASE | re.DOTALL,
)
"""A heading, or what begins a stretch of HTML that holds none, whatever it says."""
_TAG = re.compile(r"<(?:img\s[^>]*?alt=[\"']([^\"']*)[\"'])?[^>]*>", re.IGNORECASE)
_LISTS = frozenset({"bullet_list_open", "ordered_list_open"})
_DEFINITION = re.compile(
    r"[ \t]*\[(?=[^\]]*[^\]\s])(?:[^\[\]\\]|\\.){1,999}\]:\s*(?:<(?:[^<>\n\\]|\\.)*+>|[^\s<]\S*+)"
    r"(?:\s+(?:\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\))[ \t]*(?:[\r\n]+|$)"
    r"|[ \t]*(?:[\r\n]+|$))",
    re.DOTALL,
)
"""Where a link leads that is used elsewhere: no text, though the parser, which does not look for
them since it takes long over many, reads one above a rule as a heading."""
_CLOSING = re.compile(r"[ \t]+#+[ \t]*$")
_ATTRIBUTES = re.compile(r"[ \t]*\{(?::?[ \t]*[#.][^{}]*|-)\}[ \t]*$")
"""`{#anchor .class}` at the end of a heading, as pandoc, kramdown and Docusaurus have it."""
_NESTED = frozenset({"list_item_open", "paragraph_open", "fence", "heading_open"})


def title(text: str, found: Outline | None = None) -> str:
    """The `title` of the front matter, or else the heading that the text stands under, or "".

    That is the first heading, if it is of level 1 or no other stands as high.

    Args:
        text: the text.
        found: its outline, if that is known.
    """
    named = front_matter.title(text)
    return named or heading_title(outline(text) if found is None else found)


def heading_title(found: Outline) -> str:
    """The first heading, if it is of level 1 or no other stands as high, or ""."""
    first = next((section for section in found.sections if section.level), None)
    return first.heading if first and first.level == 1 else top_heading(found)


def outline(text: str) -> Outline:
    """Sections at headings; within them blocks, then list items, then lines of code and tables."""
    lines = [0, *(newline.end() for newline in _NEWLINE.finditer(text))]
    first = bisect_left(lines, front_matter.end_of(text))
    lines.append(len(text))
    found = OutlineBuilder(text, _plain)
    hidden: int | None = None  # how many headings stand before the comment that is open
    list_at = 0  # of the blocks, the list that was noted last and stands in no other
    for token, start, end, goes_on in _blocks(text, lines, first):
        span = lines[start], lines[end]
        if goes_on:
            found.extend(list_at, span[1])
            continue
        if token.level == 0:
            list_at = len(found.blocks)
            found.tops.append(span[0])
        elif token.type in _NESTED:
            found.items.append(span[0])
        if token.type == "heading_open" and token.level == 0:
            source = _heading_source(text[slice(*span)], token.markup)
            found.heading(*span, int(token.tag[1:]), source)
        elif token.type == "html_block" and token.level == 0:
            hidden = _html_headings(found, hidden, *span)
            found.lines(*span)
        elif token.type in ("fence", "code_block"):
            language = language_named(token.info)
            found.code(*span, language, in_list=token.level > 0)
        elif token.type in _LISTS:
            found.list(*span, [], in_list=token.level > 0)
        elif token.type == "paragraph_open":
            _paragraph(found, token, lines[start : end + 1])
    return found.outline()


def _paragraph(found: OutlineBuilder, token: Token, lines: list[int]) -> None:
    """Note a paragraph, which the parser takes a table for, too.

    Args:
        found: what is known of the text so far.
        token: of the paragraph.
        lines: where its lines start, and its end.
    """
    text = found.text
    start, end = lines[0], lines[-1]
    for first in range(min(2, len(lines) - 2)):
        header = text[lines[first] : lines[first + 1]].strip().lstrip("> ")
        rule = _RULE.match(text, lines[first + 1], lines[first + 2])
        if rule is None or "|" not in header + rule[0]:
            continue
        cells = _cells(header)
        if len(cells) == len(_cells(rule[0].strip().lstrip("> "))):
            caption = _plain(text[start : lines[first]]) if first else ""
            words = [_plain(cell) for cell in cells]
            below = lines[first + 2 : -1]
            found.table(start, end, words, below, caption=caption, in_list=token.level > 0)
            return
    marks = _MARKERS.match(text, start, end)
    found.introduce(marks.end() if marks else start, end)


def _html_headings(found: OutlineBuilder, hidden: int | None, start: int, end: int) -> int | None:
    """Note the headings that stand in a block of HTML, as many a README begins with.

    Args:
        found: what is known of the text so far.
        hidden: how many headings there were before the comment that is open; None if none is.
        start: the first character of the block.
        end: one past its last.

    Returns:
        The same for what follows. A comment may go on in another block of HTML; its headings are
        taken back where it ends, since of one that never does the rest of the text is to be read.
    """
    text, at = found.text, start
    while at < end:
        if hidden is not None:
            closing = text.find("-->", at, end)
            if closing < 0:
                return hidden
            if at > start or text.find("<!--", at, closing) < 0:
                del found.headings[hidden:]
            hidden, at = None, closing + 3
        piece = _HTML.search(text, at, end)
        if piece is None:
            return None
        at = piece.end()
        if piece["comment"]:
            hidden = len(found.headings)
        elif piece["raw"]:
            closed = re.compile(rf"</{piece['raw']}", re.IGNORECASE).search(text, at, end)
            at = closed.end() if closed else end
        else:
            words = _COMMENT.sub("", piece[4][:HEADING_CHARACTERS])
            words = _TAG.sub(lambda tag: f" {tag[1] or ''} ", words)
            found.heading(piece.start(), at, int(piece[3]), unescape(words))
    return hidden


def _heading_source(source: str, markup: str) -> str:
    """A heading's inline Markdown: without its `#`s or the line below it; "" if it is none."""
    source = source.strip()
    at, end = len(markup), len(source)
    if not markup.startswith("#"):
        at, end = 0, max(map(source.rfind, "\r\n"))
        # What could be a rule ends what is above it; other lines may be where a link leads.
        last = end if source.endswith("---") else len(source)
        while at < end and (defined := _DEFINITION.match(source, at, last)):
            at = defined.end()
    source = source[at : min(at + HEADING_CHARACTERS, end)].strip()
    source = _ATTRIBUTES.sub("", source)
    return _CLOSING.sub("", source) if markup.startswith("#") else source


def _cells(row: str) -> list[str]:
    """The cells of a table's row, which may have bars around it."""
    return _BAR.split(row.removeprefix("|").removesuffix("|"))


def _blocks(text: str, lines: list[int], line: int) -> Iterator[tuple[Token, int, int, bool]]:
    """Every block with its first line and the line after its last, in the order of the text.

    The text is parsed piece by piece. The last block of a piece may go on in the next one, so it is
    parsed again from its start. If it fills a whole piece, a list is parsed again from its last
    item only, and anything else in a piece of twice the size.

    Args:
        text: the whole text.
        lines: where each line starts, and the end of the text.
        line: the line to begin at.

    Yields:
        The token, its lines, and whether it stands for more of the outer list that came before.
    """
    size = _PIECE_CHARS
    end = len(lines) - 1
    goes_on = False
    while line < end:
        stop = min(max(bisect_left(lines, lines[line] + size), line + 1), end)
        tokens = _parser().parse(text[lines[line] : lines[stop]])
        upto = len(tokens)
        following = stop
        if stop < end:
            tops = [at for at, token in enumerate(tokens) if token.level == 0 and token.map]
            if tops:
                upto = tops[-1]
                following = line + (tokens[upto].map or [0])[0]
            if following == line:
                upto = _last_item(tokens)
                following = line + ((tokens[upto].map if upto else None) or [0])[0]
            if following == line:
                size *= 2
                continue
        in_list = goes_on
        goes_on = upto < len(tokens) and tokens[upto].type == "list_item_open"
        for token in tokens[:upto]:
            if token.map:
                last = following if goes_on and token.level == 0 else line + token.map[1]
                yield token, line + token.map[0], min(last, end), in_list
            in_list = False
        line = following
        size = _PIECE_CHARS


def _last_item(tokens: list[Token]) -> int:
    """The place of the last item of the list that these tokens begin with; 0 if there is none."""
    if tokens[0].type not in _LISTS:
        return 0
    outer = (at for at, token in enumerate(tokens) if token.level == 1)
    return max((at for at in outer if tokens[at].type == "list_item_open"), default=0)


@cache
def _parser() -> MarkdownIt:
    """A parser of blocks alone, which is what line numbers need."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").disable("reference")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@cache
def _inline_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")


def _plain(inline: str) -> str:
    """Inline Markdown without its markup."""
    parts: list[str] = []
    for token in _inline_parser().parseInline(inline)[0].children or ():
        if token.type in ("text", "code_inline", "image"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return " ".join("".join(parts).split())


FORMATS = (
    text_format(
        "markdown",
        4,
        outline,
        title=title,
        metadata=front_matter.fields,
        suffixes=(".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"),
    ),
)
