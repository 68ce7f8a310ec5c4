"""Textile: headings, tables, lists, code."""

from __future__ import annotations

import re

from retrieval.documents.formats.columns import names_columns
from retrieval.documents.formats.format import text_format
from retrieval.documents.formats.languages import language_named
from retrieval.documents.formats.scanner import Scanner
from retrieval.documents.outline import Outline

_STYLE = r"(?:\([^()\n]{0,100}\)|\{[^{}\n]{0,200}\}|\[[^\[\]\n]{0,20}\]|[<>=~^-])*"
_HEADING = re.compile(rf"h([1-6]){_STYLE}\.[ \t]+(\S.*)$")
_CODE = re.compile(rf"(bc|pre)({_STYLE})(\.\.?)(?:[ \t]|$)")
_BLOCK = re.compile(
    rf"(?:p|bq|fn\d+|notextile|table|###){_STYLE}\.\.?(?:[ \t:]|$)|h[1-6]{_STYLE}\."
)
_ITEM = re.compile(r"[ \t]*(?:[*#]+[ \t]+\S|-[ \t].*:=)")
_ROW = re.compile(rf"(?:{_STYLE}\.[ \t]+)?\|.*\|[ \t]*$")
_TABLE = re.compile(rf"table{_STYLE}\.(?:[ \t]+(.*))?$")
_HEAD_CELL = re.compile(rf"_{_STYLE}\.[ \t]*|_[^|.]{{0,40}}\.[ \t]*")
_CELL_STYLE = re.compile(rf"(?:[/\\]\d+)*{_STYLE}(?:[/\\]\d+)*\.[ \t]+")
_PRE = re.compile(r"<pre\b([^>]{0,300})>(?:[ \t]*<code\b([^>]{0,300})>)?", re.IGNORECASE)
_CLASS = re.compile(r"class=[\"'](?:language-|lang-)?([\w+#-]+)")
_FIRST_ROWS = 30
_MARKUP = re.compile(
    r"\"([^\"\n]{1,300})\":\S+|!\S{1,300}?(?:\(([^()\n]{0,300})\))?!(?::\S+)?"
    r"|(?<!\w)(\*{1,2}|_{1,2}|@|\+|-|\?\?|%)(?:\([^()\n]{0,50}\))?(\S(?:.{0,300}?\S)?)\3(?!\w)"
)


def outline(text: str) -> Outline:
    """Sections at headings; within them blocks, then list items, then table rows."""
    document = _Textile(text)
    document.read()
    return document.found.outline()


def plain(inline: str) -> str:
    """A piece of text without its markup."""
    return " ".join(_MARKUP.sub(lambda m: m[1] or m[2] or m[4] or "", inline).split())


class _Textile(Scanner):
    """A text that is read line by line."""

    def __init__(self, text: str) -> None:
        super().__init__(text, plain)

    def read(self) -> None:
        """Read all lines."""
        while self.at < len(self):
            line = self.line(self.at)
            if not line.strip():
                self.at += 1
            elif heading := _HEADING.match(line):
                start, end = self.start(self.at), self.end(self.at)
                self.found.heading(start, end, int(heading[1]), heading[2])
                self.at += 1
            elif code := _CODE.match(line):
                self._code(code)
            elif (opening := _PRE.match(line)) and self._pre(opening):
                continue
            elif _TABLE.match(line) or _ROW.match(line):
                self._table()
            elif _ITEM.match(line):
                self.list(_ITEM, spaced=False, ends=self._begins_block)
            else:
                self.paragraph(self._begins_block)

    def _begins_block(self, number: int) -> bool:
        line = self.line(number)
        return bool(_BLOCK.match(line) or _CODE.match(line) or _ROW.match(line) or _PRE.match(line))

    def _code(self, code: re.Match[str]) -> None:
        """Note a block of code: to a blank line, or with two dots to the next block's mark."""
        first = self.at
        last = first
        self.at += 1
        while self.at < len(self):
            line = self.line(self.at)
            if code[3] == ".." and (_BLOCK.match(line) or _CODE.match(line)):
                break
            if not line.strip() and code[3] == ".":
                break
            last = self.at if line.strip() else last
            self.at += 1
        named = re.search(r"[(\[]([\w+#-]+)[)\]]", code[2])
        language = language_named(named[1]) if named else ""
        self.found.code(self.start(first), self.end(last), language)

    def _pre(self, opening: re.Match[str]) -> bool:
        last = self.upto(r"(?i:.*</pre\s*>)", self.at)
        if last == len(self):
            return False
        said = _CLASS.search(f"{opening[1]} {opening[2] or ''}")
        language = language_named(said[1]) if said else ""
        self.found.code(self.start(self.at), self.end(last), language)
        self.at = last + 1
        return True

    def _table(self) -> None:
        first = self.at
        titled = _TABLE.match(self.line(first))
        self.at += titled is not None
        rows = self.at
        while _ROW.match(self.line(self.at)):
            self.at += 1
        numbers = list(range(rows, self.at))
        cells = [self._cells(number) for number in numbers[:_FIRST_ROWS]]
        heads = 0
        while heads < len(cells) - 1 and all(is_head for is_head, _ in cells[heads]):
            heads += 1
        words = [[word for _, word in row] for row in cells]
        if not heads and len(words) > 1:
            heads = int(names_columns(words[0], words[1:]))
        header = [word for row in words[:heads] for word in row]
        starts = [self.start(number) for number in numbers[heads:]]
        caption = plain(titled[1] or "") if titled else ""
        if numbers or titled:
            self.found.table(
                self.start(first), self.end(self.at - 1), header, starts, caption=caption
            )

    def _cells(self, number: int) -> list[tuple[bool, str]]:
        """Whether each cell of a row is a header, and its words."""
        line = self.line(number)
        found = []
        for cell in line[line.index("|") :].strip().strip("|").split("|"):
            head = _HEAD_CELL.match(cell)
            rest = cell[head.end() :] if head else _CELL_STYLE.sub("", cell, count=1)
            found.append((head is not None, plain(rest)))
        return found


FORMATS = (text_format("textile", 1, outline, suffixes=(".textile",)),)
