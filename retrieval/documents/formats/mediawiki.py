"""MediaWiki's markup: headings, tables, lists, code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape

from retrieval.documents.formats.columns import names_columns
from retrieval.documents.formats.format import Format, Parsed, Source, decoded, top_heading
from retrieval.documents.formats.languages import language_named
from retrieval.documents.formats.scanner import Scanner
from retrieval.documents.outline import LEAD_CHARACTERS, Outline

_HEADING = re.compile(r"(={1,6})[ \t]*(\S.*?)[ \t]*\1[ \t]*(?:<!--.*)?$")
_TITLE = re.compile(r"\{\{\s*DISPLAYTITLE\s*:([^{}|]{1,300})", re.IGNORECASE)
_CATEGORY = re.compile(r"\[\[\s*Category\s*:\s*([^\]|]{1,200})", re.IGNORECASE)
_ITEM = re.compile(r"[*#:;]+")
_TABLE = re.compile(r"[ \t:]*\{\|")
_VERBATIM = re.compile(r"<(pre|source|syntaxhighlight|nowiki)\b([^>]{0,300})>", re.IGNORECASE)
_LANGUAGE = re.compile(r"lang\s*=\s*[\"']?([\w+#-]+)", re.IGNORECASE)
_COMMENT_START = "<!--"
_ATTRIBUTES = re.compile(r"^[^\[\]{}|]{0,300}=[^\[\]{}|]{0,300}\|(?!\|)")
"""What may stand between a cell's bar and its words."""
_CELLS = re.compile(r"\|\||!!")
_LINK = re.compile(
    r"\[\[(?:[^\[\]|]{0,300}\|)?([^\[\]|]{0,500})\]\]|\[\w+://[^\s\]]+[ \t]*([^\]]{0,500})\]"
)
_FIRST_ROWS = 30
_UNSAID = re.compile(
    r"<!--.*?-->|<ref[^>]{0,300}/>|<ref\b[^>]{0,300}>.*?</ref>|\{\{[^{}]{0,500}\}\}|<[^<>]{1,300}>"
    r"|'{2,5}|__[A-Z]+__",
    re.IGNORECASE,
)


def outline(text: str) -> Outline:
    """Sections at headings; within them blocks, then list items, then table rows."""
    document = _Wiki(text)
    document.read()
    return document.found.outline()


def plain(inline: str) -> str:
    """A piece of text without its markup."""
    inline = _UNSAID.sub("", inline)
    inline = _LINK.sub(lambda link: link[1] or link[2] or "", inline)
    return " ".join(unescape(inline).split())


class _Wiki(Scanner):
    """A page that is read line by line."""

    def __init__(self, text: str) -> None:
        super().__init__(text, plain)

    def read(self) -> None:
        """Read all lines."""
        while self.at < len(self):
            line = self.line(self.at)
            if not line.strip():
                self.at += 1
            else:
                self._block(line)

    def _block(self, line: str) -> None:
        """Note what the next line begins."""
        verbatim = _VERBATIM.search(line)
        if heading := _HEADING.match(line):
            start, end = self.start(self.at), self.end(self.at)
            self.found.heading(start, end, len(heading[1]), heading[2])
            self.at += 1
        elif line.lstrip().startswith(_COMMENT_START):
            last = self.upto(r".*-->", self.at)
            self.at = last + 1 if last < len(self) else self.at + 1
        elif verbatim and self._code(verbatim):
            return
        elif _TABLE.match(line):
            self._table()
        elif _ITEM.match(line):
            self.list(_ITEM, lazy=False, spaced=False)
        elif line.startswith(" "):
            first = self.at
            while self.line(self.at).startswith(" ") and self.line(self.at).strip():
                self.at += 1
            self.found.code(self.start(first), self.end(self.at - 1), "")
        else:
            self.paragraph(self._ends_paragraph)

    def _ends_paragraph(self, number: int) -> bool:
        line = self.line(number)
        return bool(
            _HEADING.match(line)
            or _TABLE.match(line)
            or _ITEM.match(line)
            or _VERBATIM.match(line.lstrip())
        )

    def _code(self, opening: re.Match[str]) -> bool:
        """Note a block that is taken as it stands, if it has an end."""
        name = opening[1].lower()
        last = self.upto(rf"(?i:.*</{name}\s*>)", self.at)
        if last == len(self) or (name == "nowiki" and last == self.at):
            return False
        said = _LANGUAGE.search(opening[2])
        language = language_named(said[1]) if said else ""
        if last > self.at or name != "nowiki":
            self.found.code(self.start(self.at), self.end(last), language)
        self.at = last + 1
        return True

    def _table(self) -> None:
        first, depth, caption = self.at, 0, ""
        rows: list[_Row] = []
        begun: int | None = None  # where a row begins that has no cells so far
        while self.at < len(self):
            line, at = self.line(self.at).strip().lstrip(":"), self.start(self.at)
            if _HEADING.match(line):  # the table was never closed
                break
            self.at += 1
            if line.startswith("{|"):
                depth += 1
            elif line.startswith("|}"):
                depth -= 1
                if depth == 0:
                    break
            elif depth > 1 or line[:1] not in ("|", "!"):
                continue
            elif line.startswith("|+"):
                caption = plain(_ATTRIBUTES.sub("", line[2:], count=1))[:LEAD_CHARACTERS]
            elif line.startswith("|-"):
                begun = at
            else:
                if begun is not None or not rows:
                    rows.append(_Row(at if begun is None else begun))
                    begun = None
                rows[-1].add(line, with_words=len(rows) <= _FIRST_ROWS)
        heads = 0
        while heads < len(rows) - 1 and rows[heads].heads == rows[heads].cells:
            heads += 1
        if not heads and len(rows) > 1:
            below = [row.words for row in rows[1:_FIRST_ROWS]]
            heads = int(names_columns(rows[0].words, below))
        header = [word for row in rows[:heads] for word in row.words]
        start, end = self.start(first), self.end(self.at - 1)
        starts = [row.start for row in rows[heads:]]
        self.found.table(start, end, header, starts, caption=caption)


@dataclass(slots=True)
class _Row:
    """A row of a table: where it starts, its cells, how many of them are headers, their words."""

    start: int
    cells: int = 0
    heads: int = 0
    words: list[str] = field(default_factory=list)

    def add(self, line: str, *, with_words: bool) -> None:
        """Take in the cells of a line."""
        cells = _CELLS.split(line[1:])
        self.cells += len(cells)
        self.heads += len(cells) * (line[0] == "!")
        if with_words:
            self.words += [plain(_ATTRIBUTES.sub("", cell, count=1)) for cell in cells]


def _parse(data: bytes, source: Source) -> Parsed:
    text, problems = decoded(data, source)
    found = outline(text)
    said = _TITLE.search(text)
    title = plain(said[1]) if said else top_heading(found)
    categories = dict.fromkeys(plain(name) for name in _CATEGORY.findall(text))
    metadata = {"categories": list(categories)} if categories else {}
    return Parsed(text, title, metadata, found, problems=problems)


FORMATS = (Format("mediawiki", 1, _parse, (".mediawiki", ".wiki"), outline=outline),)
