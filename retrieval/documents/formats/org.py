"""Org: title, headings, blocks, tables and lists, as Emacs writes them."""

from __future__ import annotations

import re

from retrieval.documents.formats.format import Format, Parsed, Source, decoded, top_heading
from retrieval.documents.formats.languages import language_named
from retrieval.documents.formats.scanner import Scanner
from retrieval.documents.outline import LEAD_CHARACTERS, Outline

_HEADING = re.compile(r"(\*+)[ \t]+(\S.*)$")
_PRIORITY = re.compile(r"\[#\w{1,2}\][ \t]*|COMMENT[ \t]+")
_TAGS = re.compile(r"[ \t]+:[\w@#%:]+:[ \t]*$")
_KEYWORD = re.compile(r"[ \t]*#\+([\w-]+)(?:\[[^\]]*\])?:[ \t]*(.*)$")
_BEGIN = re.compile(r"[ \t]*#\+begin_(\w+)[ \t]*(.*)$", re.IGNORECASE)
_END = re.compile(r"[ \t]*#\+end_(\w+)[ \t]*$", re.IGNORECASE)
_DRAWER = re.compile(r"[ \t]*:([\w-]+):[ \t]*$")
_DRAWER_END = r"(?i:[ \t]*:end:[ \t]*$)|\*+[ \t]"
_COMMENT = re.compile(r"[ \t]*#(?:[ \t]|$)")
_FIXED = re.compile(r"[ \t]*:(?:[ \t]|$)")
_ROW = re.compile(r"[ \t]*\|")
_RULE = re.compile(r"[ \t]*\|-[-+|]*[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:[-+]|\d+[.)]|[a-zA-Z][.)])(?:[ \t]|$)|[ \t]+\*(?:[ \t]|$)")
_TODO_KEYWORDS = frozenset({"seq_todo", "todo", "typ_todo"})
_METADATA = {"author": "author", "date": "date", "description": "description",
             "filetags": "tags", "keywords": "keywords"}  # fmt: skip
_CODE = frozenset({"example", "export", "src"})
_LINK = re.compile(r"\[\[([^\]]*)\](?:\[([^\]]*)\])?\]|\[fn:[^\]]*\]|<<+([^<>]*)>>+")
_EMPHASIS = re.compile(r"(?<![\w\\])([*/_=~+])(?=\S)([^\n]*?\S)\1(?!\w)")


def outline(text: str) -> Outline:
    """Sections at headings; within them blocks, then list items, then lines of code and tables."""
    return _read(text).found.outline()


def plain(inline: str) -> str:
    """A piece of text without its markup."""
    inline = _LINK.sub(lambda link: link[2] or link[1] or link[3] or "", inline)
    return " ".join(_EMPHASIS.sub(r"\2", inline).split())


class _Org(Scanner):
    """A document that is read, and what it says of itself."""

    def __init__(self, text: str) -> None:
        super().__init__(text, plain)
        self.said: dict[str, str] = {}
        self._todo = {"DONE", "TODO"}
        self._caption = ""
        self._attached: int | None = None

    def read(self) -> None:
        """Read all lines."""
        while self.at < len(self):
            line = self.line(self.at)
            if not line.strip() or (_COMMENT.match(line) and not _KEYWORD.match(line)):
                self.at += 1
            elif keyword := _KEYWORD.match(line):
                self._keyword(keyword[1].lower(), keyword[2].strip())
                self.at += 1
            else:
                self._block(line)
                self._caption, self._attached = "", None

    def _keyword(self, name: str, value: str) -> None:
        if name in _TODO_KEYWORDS:
            self._todo |= {word.split("(")[0] for word in value.split()}
        elif name == "caption":
            self._caption = f"{self._caption} {plain(value)}".strip()[:LEAD_CHARACTERS]
        elif name == "title" or name in _METADATA:
            self.said[name] = f"{self.said.get(name, '')} {value}".strip()
        if name in ("caption", "header", "name") or name.startswith("attr_"):
            self._attached = self.at if self._attached is None else self._attached

    def _block(self, line: str) -> None:
        """Note what the next line begins."""
        if heading := _HEADING.match(line):
            self._heading(len(heading[1]), heading[2])
        elif (beyond := self._verbatim(self.at)) > self.at:
            self.at = beyond
        elif _DRAWER.match(line) and (end := self.upto(_DRAWER_END, self.at + 1)) < len(self):
            self.at = end if _HEADING.match(self.line(end)) else end + 1
        elif _BEGIN.match(line) or _END.match(line):
            self.at += 1
        elif _ROW.match(line):
            self._table()
        elif _ITEM.match(line):
            self.list(_ITEM, lazy=False, ends=self._ends_list, inner=self._within_item)
        else:
            self.paragraph(self._begins_block)

    def _heading(self, level: int, words: str) -> None:
        word, _, rest = words.partition(" ")
        if word in self._todo:
            words = rest.strip()
        words = _TAGS.sub("", _PRIORITY.sub("", words, count=1) if words[:1] in "[C" else words)
        self.found.heading(self.start(self.at), self.end(self.at), level, words)
        self.at += 1

    def _begins_block(self, number: int) -> bool:
        line = self.line(number)
        return bool(
            _HEADING.match(line)
            or _BEGIN.match(line)
            or _KEYWORD.match(line)
            or _ROW.match(line)
            or (_ITEM.match(line) and not line[0].isalpha())
        )

    def _ends_list(self, number: int) -> bool:
        return not self.line(number)[:1].isspace() and self._begins_block(number)

    def _within_item(self, number: int) -> int:
        return self._verbatim(number, in_list=True)

    def _verbatim(self, first: int, *, in_list: bool = False) -> int:
        """The line after a block of code or of a comment that begins at a line, or the line."""
        line = self.line(first)
        begin = _BEGIN.match(line)
        language = ""
        if begin is not None and begin[1].lower() in (*_CODE, "comment"):
            last = self._closing(begin[1].lower(), first + 1)
            if last == len(self):
                return first
            if begin[1].lower() == "comment":
                return last + 1
            language = language_named(begin[2]) if begin[1].lower() != "example" else ""
        elif _FIXED.match(line):
            last = first
            while _FIXED.match(self.line(last + 1)):
                last += 1
        else:
            return first
        start = self.start(first if self._attached is None or in_list else self._attached)
        end, caption = self.end(last), self._caption
        self.found.code(start, end, language, caption=caption, in_list=in_list)
        return last + 1

    def _closing(self, name: str, first: int) -> int:
        """The line that ends a block of this name; past the last one if a heading comes before."""
        last = self.upto(rf"(?i:[ \t]*#\+end_{name}[ \t]*$)|\*+[ \t]", first)
        return len(self) if _HEADING.match(self.line(last)) else last

    def _table(self) -> None:
        first = self.at
        while _ROW.match(self.line(self.at)):
            self.at += 1
        rules: list[int] = []
        rows: list[int] = []
        for number in range(first, self.at):
            (rules if _RULE.match(self.line(number)) else rows).append(number)
        below = next((rule for rule in rules if rows and rule > rows[0]), None)
        header: list[str] = []
        if below is not None and any(row > below for row in rows):
            for row in rows[: sum(row < below for row in rows)][:3]:
                header += [plain(cell) for cell in self.line(row).strip().strip("|").split("|")]
            rows = [row for row in rows if row > below]
        start = self.start(first if self._attached is None else self._attached)
        starts = [self.start(row) for row in rows]
        end = self.end(self.at - 1)
        self.found.table(start, end, header, starts, caption=self._caption)


def _read(text: str) -> _Org:
    document = _Org(text)
    document.read()
    return document


def _parse(data: bytes, source: Source) -> Parsed:
    text, problems = decoded(data, source)
    document = _read(text)
    found = document.found.outline()
    said = {key: document.said[name] for name, key in _METADATA.items() if document.said.get(name)}
    title = plain(document.said.get("title", "")) or top_heading(found)
    metadata = {**said, **({"tags": said["tags"].strip(":").split(":")} if "tags" in said else {})}
    return Parsed(text, title, metadata, found, problems=problems)


FORMATS = (Format("org", 2, _parse, (".org",), outline=outline),)
