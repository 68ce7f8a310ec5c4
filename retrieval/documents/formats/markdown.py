"""Markdown: its title, front matter and structure, by the blocks that a CommonMark parser sees."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from retrieval.documents.formats.format import text_format
from retrieval.documents.formats.languages import language_named
from retrieval.documents.outline import (
    Block,
    Heading,
    Outline,
    lead_in,
    parts_of,
    sections_of,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_HEAD_CHARS = 64 * 1024
"""A title stands within this much of the text, or there is none."""
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
_TABLE = re.compile(r"[ \t]*\||[^\n|]*\|[^\n]*\n[ \t]*:?-+:?[ \t]*\|")
"""How a table begins. The parser takes it for a paragraph: its own tables are a token a cell."""
_VERBATIM = frozenset({"fence", "code_block", "html_block"})
_LISTS = frozenset({"bullet_list_open", "ordered_list_open"})
_CLOSING = re.compile(r"[ \t]+#+[ \t]*$")
_FIELD = re.compile(r"([\w-]+)[ \t]*[:=](.*)$")
_LIST_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)$")
_NESTED = frozenset({"list_item_open", "paragraph_open", "fence", "heading_open"})


def title(text: str) -> str:
    """The `title` of the front matter, or else the first heading, or ""."""
    head = text[:_HEAD_CHARS]
    front = _FRONT_MATTER.match(head)
    field = _TITLE_FIELD.search(front["fields"]) if front else None
    if field and (named := _unquoted(field[1])):
        return named
    tokens = _parser().parse(head[front.end() :] if front else head)
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and (named := _plain(content.content)):
            return named
    return ""


def outline(text: str) -> Outline:
    """Sections at headings; within them blocks, then list items, then lines of code and tables."""
    lines = [0, *(newline.end() for newline in _NEWLINE.finditer(text))]
    front = _FRONT_MATTER.match(text)
    first = bisect_left(lines, front.end()) if front else 0
    lines.append(len(text))
    headings: list[Heading] = []
    tops: list[int] = []
    items: set[int] = set()
    rows: set[int] = set()
    blocks: list[Block] = []
    before: tuple[int, int] | None = None  # the paragraph that a table or a list follows
    for token, start, end in _blocks(text, lines, first):
        span = lines[start], lines[end]
        if token.level == 0:
            tops.append(lines[start])
            if token.type == "heading_open":
                words = _plain(_heading_source(text[span[0] : span[1]]))
                headings.append(Heading(*span, int(token.tag[1:]), words))
        elif token.type in _NESTED:
            items.add(lines[start])
        table = _table(text, *span) if token.type == "paragraph_open" else None
        if token.type in _VERBATIM or table is not None:
            for row in range(start + 1, end):
                after_blank = not text[lines[row - 1] : lines[row]].strip()
                (items if after_blank else rows).add(lines[row])
        if table is not None:
            caption, table_start = table
            # A row begins below the header and the line under it.
            rows -= set(lines[start : bisect_left(lines, table_start) + 3])
            header = _cells(text[table_start:].split("\n", 1)[0])
            lead = "\n".join(part for part in (caption or _lead(text, before), header) if part)
            blocks.append(Block("table", *span, lead=lead))
        elif token.type in ("fence", "code_block"):
            blocks.append(Block("code", *span, language=language_named(token.info)))
        elif token.type in _LISTS and token.level == 0:
            blocks.append(Block("list", *span, lead=_lead(text, before)))
        if token.level == 0:
            before = span if token.type == "paragraph_open" and table is None else None
    sections = sections_of(text, headings)
    return Outline(
        sections, blocks, (), parts_of(text, sections), (tops, sorted(items), sorted(rows))
    )


def front_matter(text: str) -> dict[str, str | list[str]]:
    """The plain fields of the front matter, their names in lower case, `title` left out.

    Texts and flat lists of texts are read; anything deeper is not, so that no YAML parser is
    needed and nothing in a file can be more than text.
    """
    front = _FRONT_MATTER.match(text[:_HEAD_CHARS])
    fields: dict[str, str | list[str]] = {}
    name = ""
    for line in front["fields"].split("\n") if front else ():
        item = _LIST_ITEM.match(line)
        if item and name and isinstance(values := fields.setdefault(name, []), list):
            values.append(_unquoted(item[1]))
        elif field := _FIELD.match(line):
            name, value = field[1].lower(), field[2].strip()
            if value.startswith("[") and value.endswith("]"):
                fields[name] = [_unquoted(part) for part in value[1:-1].split(",") if part.strip()]
            elif value and (plain := _unquoted(value)):
                fields[name] = plain
    return {key: value for key, value in fields.items() if value and key != "title"}


def _heading_source(source: str) -> str:
    """A heading's inline Markdown: without its `#`s or the line below it."""
    line = source.strip()
    if line.startswith("#"):
        return _CLOSING.sub("", line.lstrip("#").strip())
    return line.rsplit("\n", 1)[0].strip()


def _table(text: str, start: int, end: int) -> tuple[str, int] | None:
    """Of a paragraph that is a table: its caption, if it begins with one, and where it starts."""
    if _TABLE.match(text, start):
        return "", start
    following = text.find("\n", start, end) + 1
    if following and _TABLE.match(text, following) and "|" not in text[start:following]:
        return text[start:following].strip(), following
    return None


def _cells(row: str) -> str:
    """A table's row as words: its cells between bars, without markup."""
    cells = (_plain(cell.strip()) for cell in row.strip().strip("|").split("|"))
    return " | ".join(cell for cell in cells if cell)


def _lead(text: str, before: tuple[int, int] | None) -> str:
    """The last sentence of the paragraph before a block, if it says that the block follows."""
    if before is None:
        return ""
    paragraph = " ".join(text[slice(*before)].split())
    return lead_in(_plain(paragraph))


def _blocks(text: str, lines: list[int], line: int) -> Iterator[tuple[Token, int, int]]:
    """Every block with its first line and the line after its last, in the order of the text.

    The text is parsed piece by piece. The last block of a piece may go on in the next one, so it is
    parsed again from its start, in a piece of twice the size if it fills a whole one.

    Args:
        text: the whole text.
        lines: where each line starts, and the end of the text.
        line: the line to begin at.
    """
    size = _PIECE_CHARS
    end = len(lines) - 1
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
                size *= 2
                continue
        for token in tokens[:upto]:
            if token.map:
                yield token, line + token.map[0], min(line + token.map[1], end)
        line = following
        size = _PIECE_CHARS


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
    """A heading's text without its markup."""
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
        1,
        outline,
        title=lambda text, _: title(text),
        metadata=front_matter,
        suffixes=(".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"),
    ),
)
