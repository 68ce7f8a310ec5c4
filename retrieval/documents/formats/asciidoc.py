"""AsciiDoc: title, attributes, sections, delimited blocks, tables and lists."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left

from retrieval.documents.formats.builder import HEADING_CHARACTERS
from retrieval.documents.formats.format import Format, Parsed, Source, decoded, top_heading
from retrieval.documents.formats.languages import language_named
from retrieval.documents.formats.scanner import Scanner
from retrieval.documents.outline import Outline

_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*?)(?:[ \t]+\1)?[ \t]*$")
_UNDERLINES = "=-~^+"
_ATTRIBUTE = re.compile(r":([\w-]+):(?:[ \t]+(.*))?$")
_BLOCK_ATTRIBUTES = re.compile(r"\[\[[^\]]+\]\][ \t]*$|\[(?![\[ \t])(.*)\][ \t]*$")
_BLOCK_TITLE = re.compile(r"\.([^\s.].*)$")
_DELIMITER = re.compile(
    r"(?:(?P<verbatim>-{4,200}|\.{4,200}|\+{4,200})|(?P<fence>`{3,200})(?P<info>[\w+#-]*)|(?P<comment>/{4,200})"
    r"|(?P<around>={4,200}|\*{4,200}|_{4,200}|--)|(?P<table>[|,:!]={3,200}))[ \t]*$"
)
_COMMENT = re.compile(r"//(?!/)")
_ONE_LINE = re.compile(r"(?:[a-z][\w-]*::[^\s\[]*+\[.*\]|'{3,}|<{3,}|---|\*\*\*)[ \t]*$")
"""A block of one line: a macro, a condition of the preprocessor, a rule, a page break."""
_ITEM = re.compile(
    r"[ \t]*(?:\*{1,6}|-|\.{1,6}|\d+\.|[a-zA-Z]\.|<(?:\d+|\.)>)[ \t]+\S"
    r"|[ \t]*[^\s:].*?:{2,4}(?:[ \t]|$)"
)
_SEPARATOR = re.compile(r"(?<!\\)[|!]")
_CELL_SPECIFIER = re.compile(
    r"(?:^|(?<=\s))(?:(\d+)?(\.\d+)?([+*]))?(?:[<^>]?(?:\.[<^>])?)[adehlmsv]?$"
)
_COLUMNS = re.compile(r"cols=(?:\"([^\"]*)\"|'([^']*)'|([^,\]]+))")
_HAS_HEADER = re.compile(r"%[\w%-]*\bheader\b|opt(?:ion)?s=[\"']?[\w,]*\bheader\b")
_NO_HEADER = re.compile(r"%[\w%-]*noheader\b|opt(?:ion)?s=[\"']?[\w,]*noheader\b")
_FORMAT = re.compile(r"format=[\"']?(csv|tsv|dsv)")
_SEPARATORS = {"csv": ",", "tsv": "\t", "dsv": ":", ",": ",", ":": ":"}
_AUTHOR = re.compile(r"[^\W\d_][^:]*?(?:<[^>]*>)?$")
_REVISION = re.compile(r"v?\d[\w.-]*[,:]|\d{4}-\d{2}-\d{2}|v\d")
_MACRO = re.compile(
    r"(?:(?:link|xref|image|icon|kbd|btn|mailto|anchor|footnote):{1,2}[^\s\[\]]*"
    r"|https?://[^\s\[\]]+)\[([^\]]*)\]"
)
_CROSS_REFERENCE = re.compile(r"\[\[[^\]]*\]\]|<<(?:[^,>]*,)?[ \t]*([^>]*)>>")
_QUOTED = re.compile(r"(?<!\w)(?:\[[^\]]*\])?([*_`#+]{1,2})(?=\S)(.+?)(?<=\S)\1(?!\w)")
_METADATA = ("author", "description", "keywords", "revdate")
_REFERENCE = re.compile(r"\{([\w-]+)\}")


def outline(text: str) -> Outline:
    """Sections at section titles; within them blocks, then list items, then table rows."""
    return _read(text).found.outline()


class _AsciiDoc(Scanner):
    """A document that is read: its attributes, and what was said before a block."""

    def __init__(self, text: str) -> None:
        super().__init__(text, self.plain)
        self.attributes: dict[str, str] = {}
        self._title = -1  # the line of the document's title
        self._below_title = 0
        self._attached: int | None = None  # the line where the attributes of a block begin
        self._style = ""
        self._caption: int | None = None  # the line of a block's title
        self._marks: dict[str, list[int]] = {}  # the lines that are each delimiter
        self._open: list[int] = []  # the lines that end the blocks around the next line

    def plain(self, inline: str) -> str:
        """A piece of text without its markup, attributes put in their places."""
        for _ in range(3):
            bare = _REFERENCE.sub(lambda r: self.attributes.get(r[1].lower(), r[0]), inline)
            bare = _MACRO.sub(r"\1", _CROSS_REFERENCE.sub(lambda m: m[1] or "", bare))
            bare = _QUOTED.sub(r"\2", bare)
            if bare == inline:
                break
            inline = bare
        return " ".join(inline.split())

    def read(self) -> None:
        """Read all lines."""
        self._header()
        while self.at < len(self):
            line = self.line(self.at)
            if self._open and self.at >= self._open[-1]:
                self.at = max(self.at, self._open.pop() + 1)
                self._forget()
            elif not line.strip() or _COMMENT.match(line):
                self.at += 1
            elif attribute := _ATTRIBUTE.match(line):
                self.attributes[attribute[1].lower()] = (attribute[2] or "").strip()
                self.at += 1
            elif _ONE_LINE.match(line):
                self.found.tops.append(self._opening(self.at))
                self.at += 1
            elif (attributes := _BLOCK_ATTRIBUTES.match(line)) or _BLOCK_TITLE.match(line):
                self._attach(attributes)
            else:
                self._block(line)
                self._forget()

    def _forget(self) -> None:
        """Leave behind what was said of the block that was the last one."""
        self._attached, self._style, self._caption = None, "", None

    def _header(self) -> None:
        """Read the attributes at the top, and the lines of author and revision below the title."""
        number = self.filled(0)
        while number < len(self) and (line := self.line(number)).strip():
            if attribute := _ATTRIBUTE.match(line):
                self.attributes[attribute[1].lower()] = (attribute[2] or "").strip()
            elif (title := _HEADING.match(line)) and len(title[1]) == 1:
                self._title = number
                author = self.line(number + 1).strip()
                if len(author) < 200 and _AUTHOR.match(author):
                    names = (part.split("<")[0].strip() for part in author.split(";"))
                    self.attributes["author"] = "; ".join(names)
                    number += 1
                    number += _REVISION.match(self.line(number + 1)) is not None
                self._below_title = number + 1
            elif not _COMMENT.match(line):
                break
            number += 1
            if not self.line(number).strip() and self._title < 0:
                number = self.filled(number)

    def _attach(self, attributes: re.Match[str] | None) -> None:
        if self._attached is None:
            self._attached = self.at
        if attributes is None:
            self._caption = self.at
        elif attributes[1]:
            self._style = f"{self._style},{attributes[1]}" if self._style else attributes[1]
        self.at += 1

    def _block(self, line: str) -> None:
        """Note what the next line begins."""
        # There are no sections within a block, so that its last line is no title, and its end no
        # line below one.
        if not self._open and (heading := _HEADING.match(line)):
            self._heading(len(heading[1]), heading[2], self.at + 1)
        elif delimiter := _DELIMITER.match(line):
            self._delimited(delimiter, self.at)
        elif not self._open and (level := self._underlined(line)):
            self._heading(level, line, self.at + 2)
        elif _ITEM.match(line):
            self.list(_ITEM, ends=self._begins_block, inner=self._within_item)
        elif line[0].isspace() or self._is_code():
            first = self.at
            self.at = self._blank_after(first)
            self._code(first, self.at, self._language())
        else:
            self.paragraph(self._begins_block)

    def _heading(self, level: int, inline: str, following: int) -> None:
        self.found.heading(self._opening(self.at), self.end(following - 1), level, inline)
        self.at = self._below_title if self.at == self._title else following

    def _underlined(self, line: str) -> int:
        """The level of a title whose underline is the line after it; 0 if it is none."""
        underline = self.line(self.at + 1).rstrip()
        if len(underline) < 3 or underline != underline[0] * len(underline):
            return 0
        level = _UNDERLINES.find(underline[0]) + 1
        title = line.rstrip()
        wide = sum(unicodedata.east_asian_width(character) in "FW" for character in title)
        fits = any(abs(len(underline) - long) <= 1 for long in (len(title), len(title) + wide))
        return level if fits and any(map(str.isalnum, line)) else 0

    def _delimited(self, delimiter: re.Match[str], first: int, *, in_list: bool = False) -> None:
        """Note a delimited block; of one that holds other blocks only its first line is passed."""
        self.at = first + 1
        mark = delimiter["fence"] or delimiter[0].rstrip()
        last = self._closing(mark, first + 1)
        if last >= (self._open[-1] if self._open else len(self)):
            return  # it is not closed: what follows is read as if it had not begun
        if delimiter["around"] and not self._is_code():
            self._open.append(last)
            return
        self.at = min(last + 1, len(self))
        if delimiter["table"]:
            self._table(first, last, delimiter["table"][0])
        elif not delimiter["comment"]:
            language = language_named(delimiter["info"] or "") or self._language()
            self._code(first, self.at, language, in_list=in_list)

    def _closing(self, mark: str, first: int) -> int:
        """The number of the first line from `first` on that is this mark; past the last if none."""
        if not self._marks:
            for number in range(len(self)):
                if _DELIMITER.match(line := self.line(number)):
                    self._marks.setdefault(line.rstrip(), []).append(number)
        numbers = self._marks.get(mark, [])
        at = bisect_left(numbers, first)
        return numbers[at] if at < len(numbers) else len(self)

    def _code(self, first: int, following: int, language: str, *, in_list: bool = False) -> None:
        caption = self._captioned()
        start, end = self._opening(first), self.end(following - 1)
        self.found.code(start, end, language, caption=caption, in_list=in_list)

    def _begins_block(self, number: int) -> bool:
        line = self.line(number)
        return bool(_DELIMITER.match(line) or _BLOCK_ATTRIBUTES.match(line))

    def _within_item(self, number: int) -> int:
        """A delimited block that a line with a plus joins to a list's item."""
        if self.line(number - 1).strip() != "+":
            return number
        first = number
        while attributes := _BLOCK_ATTRIBUTES.match(self.line(first)):
            self._style = attributes[1] or ""
            first += 1
        delimiter = _DELIMITER.match(self.line(first))
        if delimiter is None or (delimiter["around"] and not self._is_code()):
            self._style = ""
            return number  # what holds other blocks ends the list
        at, self._attached = self.at, number
        self._delimited(delimiter, first, in_list=True)
        self.at, following = at, self.at
        self._style, self._attached = "", None
        return following

    def _blank_after(self, number: int) -> int:
        end = self._open[-1] if self._open else len(self)
        while number < end and self.line(number).strip():
            number += 1
        return number

    def _is_code(self) -> bool:
        style = self._style.split(",")[0].split("%")[0].split("#")[0].strip()
        return style in ("source", "listing", "literal") or self._style.startswith(",")

    def _language(self) -> str:
        if not self._is_code():
            return ""
        named = self._style.split(",")[1:2] or [self.attributes.get("source-language", "")]
        return language_named(named[0])

    def _opening(self, first: int) -> int:
        """Where a block starts: at its attributes, if it has some."""
        return self.start(first if self._attached is None else self._attached)

    def _captioned(self) -> str:
        return self.plain(self.line(self._caption)[1:]) if self._caption is not None else ""

    def _table(self, first: int, last: int, separator: str) -> None:
        """Note a table between the lines that delimit it."""
        form = _FORMAT.search(self._style)
        table = _Table(self, first + 1, last, self._style)
        plain = _SEPARATORS.get(form[1] if form else separator)
        header, rows = table.separated(plain) if plain else table.cells(separator)
        end = self.end(min(last, len(self) - 1))
        stands = self.start(self._caption) if self._caption is not None else None
        caption = self._captioned()
        start = self._opening(first)
        self.found.table(start, end, header, rows, caption=caption, caption_start=stands)


class _Table:
    """The lines of a table."""

    def __init__(self, document: _AsciiDoc, first: int, last: int, style: str) -> None:
        self._document = document
        self._first = first
        self._last = last
        self._style = style
        self._columns = _columns(style)
        implied = (
            document.line(first).strip() != ""
            and first + 1 < last
            and not document.line(first + 1).strip()
        )
        self._has_header = not _NO_HEADER.search(style) and (
            implied or _HAS_HEADER.search(style) is not None
        )

    def separated(self, separator: str) -> tuple[list[str], list[int]]:
        """Words of the header, and where rows start, of a table with a row a line."""
        document = self._document
        filled = [n for n in range(self._first, self._last) if document.line(n).strip()]
        header = []
        if self._has_header and filled:
            cells = document.line(filled.pop(0)).split(separator)
            header = [document.plain(cell.strip().strip('"')) for cell in cells]
        return header, [document.start(number) for number in filled]

    def cells(self, separator: str) -> tuple[list[str], list[int]]:
        """The same of a table whose cells begin with a separator.

        Where a cell reaches over several rows, every line that begins with a cell counts as a row.
        """
        document = self._document
        starts: list[int] = []  # of each column of each row
        words: list[str] = []
        lines = set()  # starts of cells that begin a line
        spans_rows = False
        columns = self._columns
        for number in range(self._first, self._last):
            line, begin, at = document.line(number), document.start(number), 0
            for bar in _SEPARATOR.finditer(line):
                if bar[0] != separator:
                    continue
                cell = _CELL_SPECIFIER.search(line[at : bar.start()])
                opened = at + cell.start() if cell else bar.start()
                _extend(words, line[at:opened])
                if not line[:opened].strip():
                    lines.add(begin)
                    opened = 0
                wide = min(int(cell[1] or "1"), 1000) if cell and cell[3] else 1
                spans_rows |= bool(cell and cell[2])
                starts += [begin + opened] * wide
                words += [""] * wide
                at = bar.end()
            _extend(words, line[at:])
            columns = columns or len(starts)
        rows = sorted(lines) if spans_rows else starts[:: columns or 1]
        if not self._has_header:
            return [], rows
        header = [cell.replace(f"\\{separator}", separator) for cell in words[:columns]]
        return [document.plain(cell) for cell in header], rows[1:]


def _extend(words: list[str], more: str) -> None:
    """Let the last of some cells go on, if it is not longer yet than what is read of a header."""
    if words and len(words[-1]) < HEADING_CHARACTERS:
        words[-1] += f" {more[:HEADING_CHARACTERS]}"


def _columns(style: str) -> int:
    """How many columns a table says that it has; 0 if it does not."""
    found = _COLUMNS.search(style)
    if found is None:
        return 0
    count = 0
    for column in re.split(r"[,;]", found[1] or found[2] or found[3] or ""):
        times = re.match(r"\s*(\d+)\*", column)
        count += min(int(times[1][:4]), 1000) if times else 1
    return count


def _read(text: str) -> _AsciiDoc:
    document = _AsciiDoc(text)
    document.read()
    return document


def _parse(data: bytes, source: Source) -> Parsed:
    text, problems = decoded(data, source)
    document = _read(text)
    found = document.found.outline()
    said = document.attributes
    title = document.plain(said.get("doctitle", "")) or top_heading(found)
    metadata = {name: said[name] for name in _METADATA if said.get(name)}
    return Parsed(text, title, metadata, found, problems=problems)


FORMATS = (Format("asciidoc", 3, _parse, (".adoc", ".asciidoc", ".asc"), outline=outline),)
