"""Markdown: its title, front matter and structure, by the blocks that a CommonMark parser sees."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Any

from retrieval.documents.formats.builder import HEADING_CHARACTERS, OutlineBuilder
from retrieval.documents.formats.format import text_format, top_heading
from retrieval.documents.formats.languages import language_named
from retrieval.documents.outline import Outline

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_HEAD_CHARS = 64 * 1024
"""Front matter ends within this much of the text, or there is none."""
_PIECE_CHARS = 512 * 1024
"""What is parsed at a time: the parser's tokens take far more memory than the text."""

_NEWLINE = re.compile(r"\r\n?|\n")
_FRONT_MATTER = re.compile(
    r"(---|\+\+\+)[ \t]*\r?\n(?=[\w\"'][^\n]*[:=])(?P<fields>.*?)^(\1|\.\.\.)[ \t]*(\r?\n|\r?\Z)",
    re.DOTALL | re.MULTILINE,
)
_TITLE_FIELD = re.compile(r"^title[ \t]*[:=](.*)$", re.MULTILINE | re.IGNORECASE)
_FOLDED = frozenset({">", ">-", "|", "|-"})
"""What stands for a value on the lines below, which is not worth a YAML parser."""
_RULE = re.compile(
    r"[ \t>]*+\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+(?:\r?\n?|\r)$",
    re.MULTILINE,
)
"""What stands below the header of a table. The parser takes tables for paragraphs: its own are a
token a cell."""
_MARKERS = re.compile(r"(?:[ \t>]|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))*+")
"""What may stand before a paragraph in a quote or an item."""
_BAR = re.compile(r"(?<!\\)\|")
_HTML_HEADING = re.compile(
    r"<h([1-6])(?:\s[^>]{0,500})?>(.{0,500}?)</h\1\s*>", re.IGNORECASE | re.DOTALL
)
_TAG = re.compile(r"<(?:img\s[^>]*?alt=[\"']([^\"']*)[\"'])?[^>]*>", re.IGNORECASE)
_LISTS = frozenset({"bullet_list_open", "ordered_list_open"})
_CLOSING = re.compile(r"[ \t]+#+[ \t]*$")
_ATTRIBUTES = re.compile(r"[ \t]*\{(?::?[ \t]*[#.][^{}]*|-)\}[ \t]*$")
"""`{#anchor .class}` at the end of a heading, as pandoc, kramdown and Docusaurus have it."""
_FIELD = re.compile(r"([\w-]+)[ \t]*[:=](.*)$")
_LIST_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)$")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})")
_REAL = re.compile(r"[-+]?\d{1,17}\.\d{1,17}")
_NESTED = frozenset({"list_item_open", "paragraph_open", "fence", "heading_open"})


def title(text: str, found: Outline | None = None) -> str:
    """The `title` of the front matter, or else the heading that the text stands under, or "".

    That is the first heading, if it is of level 1 or no other stands as high.

    Args:
        text: the text.
        found: its outline, if that is known.
    """
    front = _FRONT_MATTER.match(text[:_HEAD_CHARS])
    field = _TITLE_FIELD.search(front["fields"]) if front else None
    if field and (named := _unquoted(field[1])):
        return named
    return heading_title(outline(text) if found is None else found)


def front_matter_block(text: str) -> str:
    """The fields that a text begins with, between their two lines of dashes; or ""."""
    front = _FRONT_MATTER.match(text[:_HEAD_CHARS])
    return front[0] if front else ""


def heading_title(found: Outline) -> str:
    """The first heading, if it is of level 1 or no other stands as high, or ""."""
    first = next((section for section in found.sections if section.level), None)
    return first.heading if first and first.level == 1 else top_heading(found)


def outline(text: str) -> Outline:
    """Sections at headings; within them blocks, then list items, then lines of code and tables."""
    lines = [0, *(newline.end() for newline in _NEWLINE.finditer(text))]
    front = _FRONT_MATTER.match(text)
    first = bisect_left(lines, front.end()) if front else 0
    lines.append(len(text))
    found = OutlineBuilder(text, _plain)
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
            source = _heading_source(text[slice(*span)])
            found.heading(*span, int(token.tag[1:]), source)
        elif token.type == "html_block" and token.level == 0:
            _html_headings(found, *span)
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


def _html_headings(found: OutlineBuilder, start: int, end: int) -> None:
    """Note the headings that stand in a block of HTML, as many a README begins with."""
    for heading in _HTML_HEADING.finditer(found.text, start, end):
        words = _TAG.sub(lambda tag: f" {tag[1] or ''} ", heading[2][:HEADING_CHARACTERS])
        found.heading(heading.start(), heading.end(), int(heading[1]), unescape(words))


def front_matter(text: str) -> dict[str, Any]:
    """The plain fields of the front matter, their names in lower case, `title` left out.

    Texts, numbers, truth values and flat lists of them are read; anything deeper is not, so that
    no YAML parser is needed and nothing in a file can be more than that.
    """
    front = _FRONT_MATTER.match(text[:_HEAD_CHARS])
    fields: dict[str, Any] = {}
    name = ""
    for line in front["fields"].split("\n") if front else ():
        item = _LIST_ITEM.match(line)
        if item and name and isinstance(values := fields.setdefault(name, []), list):
            values.append(_value(item[1]))
        elif line.startswith("["):  # a table of TOML
            break
        elif field := _FIELD.match(line):
            name, value = field[1].lower(), field[2].strip()
            if value.startswith("[") and value.endswith("]"):
                fields[name] = [_value(part) for part in value[1:-1].split(",") if part.strip()]
            elif value and _unquoted(value):
                fields[name] = _value(value)
    return {key: value for key, value in fields.items() if value not in ("", []) and key != "title"}


def _value(written: str) -> str | int | float | bool:
    """A value as it is written in front matter."""
    plain = _unquoted(written)
    if plain != written.split(" #")[0].strip():  # it stands in quotes
        return plain
    if plain.lower() in ("false", "true"):
        return plain.lower() == "true"
    if _WHOLE.fullmatch(plain):
        return int(plain)
    return float(plain) if _REAL.fullmatch(plain) else plain


def _heading_source(source: str) -> str:
    """A heading's inline Markdown: without its `#`s or the line below it."""
    line = source.strip()
    if line.startswith("#"):
        return _CLOSING.sub("", _ATTRIBUTES.sub("", line.lstrip("#").strip()))
    return _ATTRIBUTES.sub("", line.rsplit("\n", 1)[0].strip())


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


def _unquoted(value: str) -> str:
    value = value.strip()
    if value in _FOLDED:
        return ""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].strip()
    return value.split(" #")[0].strip()


FORMATS = (
    text_format(
        "markdown",
        3,
        outline,
        title=title,
        metadata=front_matter,
        suffixes=(".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"),
    ),
)
