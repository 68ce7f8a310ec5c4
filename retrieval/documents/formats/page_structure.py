"""How a page of marked-up elements is built: its headings, tables, lists and code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from retrieval.documents.formats.builder import OutlineBuilder
from retrieval.documents.formats.columns import names_columns
from retrieval.documents.formats.languages import language_named
from retrieval.documents.formats.page_text import Element, PageText
from retrieval.documents.outline import LEAD_CHARACTERS, Block, Outline, lead_in

_LISTS = frozenset({"dir", "dl", "menu", "ol", "ul"})
_SECTIONS = frozenset({"article", "section"})
_CODE_BOXES = frozenset({"div", "figure"})
_CODE_MARKS = frozenset({"brush", "code", "hljs", "sourceCode", "prettyprint"})
_CODE_CLASS = re.compile(
    r"(?:^|\s)(?:lang(?:uage)?-|highlight-(?:source-|text-)?|brush:\s*)([\w+#-]+)", re.IGNORECASE
)
_LONGEST_HEADING = 300
"""Most characters of a heading; a longer one is a heading element that was never closed."""
_LONG_ENTRY = 400
"""A definition of more characters may be cut, and is then read with its term."""

Span = tuple[int, int]


@dataclass(slots=True)
class _Heading:
    start: int
    end: int
    level: int
    is_h1: bool


@dataclass(slots=True)
class _Section:
    """A section or article that is open: the level its first heading names, and the one it has."""

    named: int = 0
    level: int = 0


@dataclass(slots=True)
class _Row:
    start: int
    is_head: bool
    cells: list[Span] = field(default_factory=list)
    heads: int = 0


@dataclass(slots=True)
class _Table:
    start: int
    before: Span | None
    breaks: int
    blocks: int
    headings: int
    rows: list[_Row] = field(default_factory=list)
    caption: Span | None = None
    is_layout: bool = False
    in_head: bool = False


@dataclass(slots=True)
class _List:
    """A list that is open: the text before it, headings before it, the last term in it."""

    start: int
    before: Span | None
    headings: int
    term: Span | None = None


@dataclass(slots=True)
class _Made:
    """A block as it was told of: offsets are those of the page while it is read.

    Attributes:
        kind: of the block.
        span: its start and end.
        lead: where the words stand that introduce it: a caption or a term; or a paragraph, of
            which only a last sentence with a colon counts.
        is_caption: whether `lead` counts whole.
        rows: of a table.
        language: of code.
    """

    kind: Literal["list", "table", "code"]
    span: Span
    lead: Span | None = None
    is_caption: bool = False
    rows: list[_Row] = field(default_factory=list)
    language: str = ""


class PageStructure:
    """Listens to a page, and knows in the end how it is built."""

    page: PageText

    def __init__(self) -> None:
        self._headings: list[_Heading] = []
        self._blocks: list[_Made] = []
        self._breaks: list[tuple[int, bool]] = []  # (offset, whether in a list)
        self._lists: list[_List] = []
        self._tables: list[_Table] = []
        self._sections = [_Section()]
        self._languages: list[str] = []
        self._code: list[str] = []
        self._stretch = (0, 0)  # where the last stretch of text started, and words before it
        self._before: Span | None = None

    def opened(self, element: Element, at: int) -> None:
        """An element begins."""
        name = element.name
        self._boundary(at)
        self._breaks.append((at, bool(self._lists)))
        if name in _LISTS:
            self._lists.append(_List(at, self._before, len(self._headings)))
        elif name == "table":
            self._open_table(at)
        elif name in ("tr", "thead") and self._tables:
            table = self._tables[-1]
            if name == "thead":
                table.in_head = True
            else:
                table.rows.append(_Row(at, table.in_head))
        elif name in _SECTIONS:
            self._sections.append(_Section())
        elif name == "pre":
            self._code.append(_language(element.attributes) or self._around())
        elif name in _CODE_BOXES:
            self._languages.append(_language(element.attributes) or self._around())

    def _around(self) -> str:
        """The language of code in the innermost box that is open, or ""."""
        return self._languages[-1] if self._languages else ""

    def inline(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins that makes no block."""
        if name == "code" and self._code and attributes:
            self._code[-1] = _language(attributes) or self._code[-1]

    def closed(self, element: Element, at: int) -> None:
        """An element ends."""
        name, span = element.name, (element.start, at)
        self._boundary(at)
        if level := _heading_level(element):
            self._close_heading(span, level, name == "h1")
        elif name in _LISTS:
            ended = self._lists.pop()
            if len(self._headings) == ended.headings:
                self._blocks.append(_Made("list", span, ended.before))
        elif name == "dt" and self._lists:
            self._lists[-1].term = span
        elif name == "dd" and self._lists and (term := self._lists[-1].term):
            if at - term[0] > _LONG_ENTRY:
                self._blocks.append(_Made("list", (term[0], at), term, is_caption=True))
        elif name == "pre":
            if self._tables:
                self._tables[-1].is_layout = True
            language = self._code.pop()
            if not self._code:  # what stands in other code is part of that
                self._blocks.append(_Made("code", span, language=language))
        elif name in _CODE_BOXES:
            self._languages.pop()
        elif name in _SECTIONS:
            self._sections.pop()
        elif self._tables:
            self._close_table_part(name, span)

    def _boundary(self, at: int) -> None:
        start, words = self._stretch
        if self.page.words > words:
            self._before = start, at
        self._stretch = at, self.page.words

    def _open_table(self, at: int) -> None:
        if self._tables:
            self._tables[-1].is_layout = True
        counts = len(self._breaks), len(self._blocks), len(self._headings)
        self._tables.append(_Table(at, self._before, *counts))

    def _close_table_part(self, name: str, span: Span) -> None:
        table = self._tables[-1]
        if name == "thead":
            table.in_head = False
        elif name == "caption":
            table.caption = span
        elif name in ("td", "th") and table.rows:
            table.rows[-1].cells.append(span)
            table.rows[-1].heads += name == "th"
        elif name == "table":
            self._close_table(self._tables.pop(), span[1])

    def _close_table(self, table: _Table, end: int) -> None:
        rows = [row for row in table.rows if row.cells]
        columns = max((len(row.cells) for row in rows), default=0)
        if table.is_layout or columns < 2 or len(self._headings) > table.headings:
            return  # it only puts things beside each other
        del self._breaks[table.breaks :]
        del self._blocks[table.blocks :]
        lead = table.caption or table.before
        is_caption = table.caption is not None
        self._blocks.append(_Made("table", (table.start, end), lead, is_caption, rows=rows))

    def _close_heading(self, span: Span, level: int, is_h1: bool) -> None:
        """Note a heading; one of a section within another's is below it, whatever it is called."""
        section = self._sections[-1]
        above = next((s for s in reversed(self._sections) if s.named), _Section())
        at = level + above.level - above.named
        if above is not section and above.named >= level:
            at = above.level + 1
        if not section.named and (level == 1 or len(self._sections) > 1):
            section.named, section.level = level, at
        self._headings.append(_Heading(*span, max(at, 1), is_h1))
        self._before = None

    def settled(self, page: PageText) -> tuple[Outline, str]:
        """The structure in offsets of the page's text, and the words of its first `h1`."""
        spans = [(heading.start, heading.end) for heading in self._headings]
        starts = [at for at, _ in self._breaks]
        for made in self._blocks:
            spans += [made.span, *([made.lead] if made.lead else [])]
            for row in made.rows:
                starts.append(row.start)
                spans += row.cells
        starts += [start for start, _ in spans]
        forward = page.settled(starts, forward=True)
        backward = page.settled([end for _, end in spans], forward=False)
        settled = _Settled(page.text, forward, backward)
        first = settled.headings(self._headings)
        for made in self._blocks:
            settled.block(made)
        settled.breaks(self._breaks)
        return settled.builder.outline(), first


class _Settled:
    """Offsets of a page that has been read, and what stands there."""

    def __init__(self, text: str, forward: Mapping[int, int], backward: Mapping[int, int]) -> None:
        self.builder = OutlineBuilder(text)
        self._text = text
        self._forward = forward
        self._backward = backward
        self._said: dict[Span, str] = {}

    def headings(self, headings: list[_Heading]) -> str:
        """Note headings; the words of the first `h1`, or ""."""
        first = ""
        for heading in headings:
            start, end = self._span((heading.start, heading.end))
            if start < end <= start + _LONGEST_HEADING:
                words = " ".join(self._text[start:end].split())
                self.builder.heading(start, end, heading.level, words)
                first = first or (words if heading.is_h1 else "")
        return first

    def block(self, made: _Made) -> None:
        """Note a block."""
        start, end = self._span(made.span)
        if start >= end:
            return
        lead, lead_start = "", None
        if made.lead:
            # Many may have the same, as lists in each other have.
            if made.lead not in self._said:
                self._said[made.lead] = self._words(made.lead)
            lead = self._said[made.lead]
            lead = lead[:LEAD_CHARACTERS] if made.is_caption else lead_in(lead)
            lead_start = self._forward[made.lead[0]] if lead else None
            if lead_start is not None and lead_start > start:
                lead_start = None  # a caption that something in the table stands before
        if made.kind == "table":
            header, rows = self._header(made.rows)
            starts = [self._forward[row.start] for row in rows]
            self.builder.table(start, end, header, starts, caption=lead, caption_start=lead_start)
            return
        if made.kind == "code":
            self.builder.lines(start, end)
        self.builder.blocks.append(
            Block(made.kind, start, end, lead, made.language, lead_start=lead_start)
        )

    def _header(self, rows: list[_Row]) -> tuple[list[str], list[_Row]]:
        """Words of a table's header, column by column, and the rows below it."""
        heads = 0
        while heads < len(rows) and rows[heads].is_head:
            heads += 1
        while heads < len(rows) and rows[heads].heads == len(rows[heads].cells):
            heads += 1
        if not heads:
            first, *others = ([self._words(cell) for cell in row.cells] for row in rows[:100])
            heads = int(bool(others) and names_columns(first, others))
        return [self._words(cell) for row in rows[:heads] for cell in row.cells], rows[heads:]

    def breaks(self, breaks: list[tuple[int, bool]]) -> None:
        """Note cut points."""
        for offset, in_list in breaks:
            at = self._forward[offset]
            if at < len(self._text):
                (self.builder.items if in_list else self.builder.tops).append(at)

    def _span(self, span: Span) -> Span:
        return self._forward[span[0]], self._backward[span[1]]

    def _words(self, span: Span) -> str:
        start, end = self._span(span)
        return " ".join(self._text[start:end].split())


def _heading_level(element: Element) -> int:
    """The level of a heading element, 0 for any other."""
    if element.attributes.get("role", "").lower() == "heading":
        level = element.attributes.get("aria-level", "2")
        return int(level) if level.isdecimal() and 0 < int(level[:3]) <= 9 else 2
    name = element.name
    return int(name[1]) if len(name) == 2 and name[0] == "h" and name[1] in "123456" else 0


def _language(attributes: Mapping[str, str]) -> str:
    """The language that an element of code names, by the ways of the usual highlighters."""
    for name in ("data-lang", "data-language", "lang"):
        if found := language_named(attributes.get(name, "")):
            return found
    classes = attributes.get("class", "")
    if named := _CODE_CLASS.search(classes):
        return language_named(named[1])
    if _CODE_MARKS & {*classes.split()}:
        return next(filter(None, map(language_named, classes.split())), "")
    return ""
