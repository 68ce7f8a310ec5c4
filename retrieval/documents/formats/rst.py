"""reStructuredText: sections by the lines that underline a title, tables, lists, directives."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import accumulate

from retrieval.documents.formats.builder import HEADING_CHARACTERS, lines_of
from retrieval.documents.formats.format import text_format
from retrieval.documents.formats.languages import language_named
from retrieval.documents.formats.rst_tables import DASHES, grid_header, simple_header
from retrieval.documents.formats.scanner import Scanner
from retrieval.documents.outline import LEAD_CHARACTERS, Outline

_ADORNMENT = re.compile(r"^([!-/:-@\[-`{-~])\1*[ \t]*\r?$", re.MULTILINE)
_DIRECTIVE = re.compile(r"[ \t]*\.\.[ \t]+([\w:.+-]+)::(?:[ \t]+(.*))?$")
_TARGET = re.compile(r"\.\.[ \t]+(?:_[^:]+:|index::.*)[ \t]*$")
_EXPLICIT = re.compile(r"[ \t]*\.\.(?:[ \t]|$)")
_ALONE = re.compile(
    r"(?:\.\.|__|[-+*•‣⁃]|\|)(?:[ \t]|$)|:(?![ :])(?:[^:\\]|\\.)+:(?:[ \t]|$)|\+[-=][-=+]*\+[ \t]*$"
    r"|(?:--?|/)\w[\w-]*(?:[ =]\S+)?(?:, (?:--?|/)\w[\w-]*(?:[ =]\S+)?){0,9}  "
)
"""What begins a comment, a target, an item, a line, a field, an option or a grid, which a line
that is not indented ends, without a blank line between them."""
_OPTION = re.compile(r"[ \t]+:([\w-]+):[ \t]*(.*)$")
_FIELD = re.compile(r"^:(author|authors|date):[ \t]+(.+)$", re.IGNORECASE | re.MULTILINE)
_HEAD_CHARACTERS = 4096
_ITEM = re.compile(
    r"[ \t]*(?:[-*+•‣⁃]|(?:\d{1,9}|[a-zA-Z#]|[ivxlcIVXLC]+)[.)]|\(\w{1,9}\))(?:[ \t]+\S|[ \t]*$)"
)
_GRID = re.compile(r"[ \t]*\+[-=]+(?:\+[-=]+)*\+[ \t]*$")
_GRID_LINE = re.compile(r"[ \t]*[|+]")
_SIMPLE = re.compile(r"[ \t]*=+(?:[ \t]+=+)+[ \t]*$")
_ROW_ITEM = re.compile(r"[ \t]*\*[ \t]+-(?:[ \t]|$)")
_CELL_ITEM = re.compile(r"[ \t]*(?:\*[ \t]+)?-(?:[ \t]+(.*))?$")
_DOCTEST = re.compile(r"[ \t]*>>>[ \t]")
_CODE = frozenset(
    {"code", "code-block", "highlight", "ipython", "literalinclude", "parsed-literal", "prompt",
     "sourcecode"}
)  # fmt: skip
_PYTHON = frozenset({"doctest", "ipython", "plot", "pyversion", "testcode", "testsetup"})
_LITERAL = re.compile(r"``(.+?)``")
_MARKUP = re.compile(
    r"(?::[\w:+.-]+:)?`~?([^`<]*?)(?:\s*<[^`]*>)?`_{0,2}|\*{1,2}(\S(?:.*?\S)?)\*{1,2}"
    r"|\|(\S[^|]*)\|_{0,2}|\\(.)"
)


def outline(text: str) -> Outline:
    """Sections at titles; a style of underline is deeper than those that came before it."""
    document = _Rst(text)
    document.read()
    return document.found.outline()


def fields(text: str) -> dict[str, str]:
    """What the fields below a document's title say of its author and its date."""
    found = _FIELD.findall(text[:_HEAD_CHARACTERS])
    return {name.lower(): plain(value) for name, value in reversed(found) if plain(value)}


def plain(inline: str) -> str:
    """A piece of text without its markup; a double colon at its end is one."""
    inline = _LITERAL.sub(r"\1", inline)
    inline = _MARKUP.sub(lambda m: next((group for group in m.groups() if group), ""), inline)
    inline = " ".join(inline.split())
    return inline[:-1] if inline.endswith("::") else inline


class _Rst(Scanner):
    """A document that is read line by line."""

    def __init__(self, text: str) -> None:
        super().__init__(text, plain)
        self._titles = {start: (end, style, words) for start, end, style, words in _titles(text)}
        self._levels: dict[tuple[str, bool], int] = {}
        self._language = ""
        self._caption = ""
        self._target: int | None = None  # the line of what a reference to the next title leads to

    def read(self) -> None:
        """Read all lines."""
        while self.at < len(self):
            line = self.line(self.at)
            if not line.strip():
                self.at += 1
            elif _TARGET.match(line):
                self._target = self.at if self._target is None else self._target
                self.at += 1
            else:
                self._block(line)
                self._target = None

    def _block(self, line: str) -> None:
        """Note what the next line begins."""
        if title := self._titles.get(self.start(self.at)):
            self._title(*title)
        elif directive := _DIRECTIVE.match(line):
            self._directive(directive[1].lower(), (directive[2] or "").strip())
        elif _EXPLICIT.match(line):
            self.at = self._indented_after(self.at)
        elif _GRID.match(line):
            self._grid_table()
        elif _SIMPLE.match(line):
            self._simple_table()
        elif _DOCTEST.match(line):
            first = self.at
            while self.line(self.at).strip():
                self.at += 1
            self.found.code(self.start(first), self.end(self.at - 1), "python")
        elif _ITEM.match(line) and self._is_item():
            self.list(_ITEM, lazy=False, ends=self._ends_list, inner=self._within_item)
        else:
            self._text()

    def _title(self, end: int, style: tuple[str, bool], words: str) -> None:
        level = self._levels.setdefault(style, len(self._levels) + 1)
        first = self.at if self._target is None else self._target
        self.found.heading(self.start(first), end, level, words)
        while self.at < len(self) and self.start(self.at) < end:
            self.at += 1

    def _text(self) -> None:
        """Note a paragraph, and the literal block that it announces by a double colon."""
        self.paragraph(lambda number: self.start(number) in self._titles)
        following = self.filled(self.at)
        before = self.line(self.at - 1)
        if not before.rstrip().endswith("::") or following >= len(self):
            return
        if _indentation(self.line(following)) > _indentation(before):
            last = self._indented_after(following - 1, deeper_than=_indentation(before))
            self.found.code(self.start(following), self.end(last - 1), self._language)
            self.at = last

    def _is_item(self) -> bool:
        """Whether the line below an apparent item continues it or begins another."""
        following = self.line(self.at + 1)
        return (
            not following.strip()
            or following[0].isspace()
            or _ITEM.match(following) is not None
            or not self.line(self.at).lstrip()[0].isalpha()
        )

    def _ends_list(self, number: int) -> bool:
        return not self.line(number)[:1].isspace()

    def _within_item(self, number: int) -> int:
        directive = _DIRECTIVE.match(self.line(number))
        name = directive[1].lower() if directive else ""
        if directive is None or not (name in _CODE or name in _PYTHON):
            return number
        last = self._indented_after(number)
        language = "python" if name in _PYTHON else language_named(directive[2] or "")
        self.found.code(self.start(number), self.end(last - 1), language, in_list=True)
        return last

    def _indented_after(self, number: int, *, deeper_than: int | None = None) -> int:
        """The end of the more indented lines below a line, without blank lines at their end."""
        base = _indentation(self.line(number)) if deeper_than is None else deeper_than
        last = number
        number += 1
        while number < len(self):
            line = self.line(number)
            if line.strip():
                if _indentation(line) <= base:
                    break
                last = number
            number += 1
        return last + 1

    def _directive(self, name: str, argument: str) -> None:
        first, last = self.at, self._indented_after(self.at)
        start, end = self.start(first), self.end(last - 1)
        if name == "highlight":
            self._language = language_named(argument)
            self.at = last
        elif name in _CODE or name in _PYTHON:
            options = dict(self._options(first + 1, last))
            language = "python" if name in _PYTHON else language_named(argument) or self._language
            caption = plain(options.get("caption", ""))[:LEAD_CHARACTERS]
            self.found.code(start, end, language, caption=caption)
            self.at = last
        elif name in ("csv-table", "list-table"):
            self._listed_table(name, plain(argument)[:LEAD_CHARACTERS], last)
            self.at = last
        else:
            if name == "table":
                self._caption = plain(argument)[:LEAD_CHARACTERS]
            self.at += 1

    def _options(self, first: int, last: int) -> Iterator[tuple[str, str]]:
        for number in range(first, last):
            option = _OPTION.match(self.line(number))
            if option is None:
                return
            yield option[1], option[2]

    def _listed_table(self, name: str, caption: str, last: int) -> None:
        """Note a table that is written as a list of lists, or as CSV."""
        options = dict(self._options(self.at + 1, last))
        body = range(self.at + 1 + len(options), last)
        rows = [n for n in body if self.line(n).strip()]
        said = options.get("header-rows", "0").strip()
        heads = min(int(said[:3]), len(rows)) if said.isdecimal() else 0
        header: list[str] = []
        if name == "list-table":
            cells = rows
            rows = [n for n in cells if _ROW_ITEM.match(self.line(n))]
            upto = rows[heads] if heads < len(rows) else last
            for number in cells if heads else ():
                if number >= upto:
                    break
                if cell := _CELL_ITEM.match(self.line(number)):
                    header.append(plain(cell[1] or ""))
                elif header:
                    header[-1] = f"{header[-1]} {plain(self.line(number))}".strip()
        else:
            lines = [options["header"]] if "header" in options else []
            lines += [self.line(n).strip() for n in rows[:heads]]
            for line in lines:
                cells_of = next(csv.reader([line[:HEADING_CHARACTERS]], skipinitialspace=True), [])
                header += [plain(cell) for cell in cells_of]
            quotes = [0, *accumulate(self.line(n).count('"') for n in rows)]
            rows = [n for n, before in zip(rows, quotes, strict=False) if before % 2 == 0]
        starts = [self.start(number) for number in rows[heads:]]
        start, end = self.start(self.at), self.end(last - 1)
        self.found.table(start, end, header, starts, caption=caption)

    def _grid_table(self) -> None:
        first = self.at
        while _GRID_LINE.match(self.line(self.at)):
            self.at += 1
        numbers = range(first, self.at)
        borders = [number for number in numbers if _GRID.match(self.line(number))]
        below = next((n for n in borders[1:] if "=" in self.line(n)), None)
        header = grid_header(map(self.line, range(first, below + 1))) if below else []
        rows = [self.start(n + 1) for n in borders if n >= (below or first) and n + 1 < self.at]
        self._table(first, header, rows)

    def _simple_table(self) -> None:
        first = self.at
        border = self.line(first)
        columns = [match.span() for match in re.finditer("=+", border)]
        columns[-1] = (columns[-1][0], LEAD_CHARACTERS * 10)
        borders = [first]
        number = first + 1
        while number < len(self):
            line = self.line(number)
            if _SIMPLE.match(line):
                borders.append(number)
                if len(borders) == 3 or not self.line(number + 1).strip():
                    break
            elif line.strip() and _indentation(line) < _indentation(border):
                number -= 1
                break
            number += 1
        self.at = min(number + 1, len(self))
        begin = borders[1] + 1 if len(borders) > 2 else first + 1
        header = simple_header([*map(self.line, range(first + 1, begin - 1))], columns)
        rows = [
            self.start(number)
            for number in range(begin, self.at)
            if self.line(number)[slice(*columns[0])].strip()
            and number not in borders
            and not DASHES.match(self.line(number))
        ]
        self._table(first, header, rows)

    def _table(self, first: int, header: list[str], rows: list[int]) -> None:
        start, end = self.start(first), self.end(self.at - 1)
        words = [plain(cell) for cell in header]
        self.found.table(start, end, words, rows, caption=self._caption)
        self._caption = ""


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _titles(text: str) -> Iterator[tuple[int, int, tuple[str, bool], str]]:
    """(start, end, (character, whether a line stands above too), title) of every section title."""
    done = 0
    paragraphs = _in_paragraphs(text)
    for underline in _ADORNMENT.finditer(text):
        start, title = _line_before(text, underline.start())
        if start < done or not title.strip() or _ADORNMENT.match(title):
            continue
        width = len(underline[0].strip())
        if width < min(4, len(title.strip())):
            continue
        above, over = _line_before(text, start)
        overlined = above >= done and over.strip() == underline[0].strip()
        if overlined:
            start, (above, over) = above, _line_before(text, above)
        elif title[0].isspace() or _ALONE.match(title):
            continue
        if above >= done and above in paragraphs:
            continue  # the last line of a paragraph, not a title
        done = underline.end()
        yield start, done, (underline[1], overlined), title.strip()


def _in_paragraphs(text: str) -> set[int]:
    """Where the lines start that another one, which is not indented, goes on with."""
    found = set()
    within = False
    for start, end in lines_of(text):
        line = text[start:end]
        if not line.strip() or line[0].isspace() or _ADORNMENT.match(line):
            within = _SIMPLE.match(line) is not None
        else:
            within = within or not _ALONE.match(line)
        if within:
            found.add(start)
    return found


def _line_before(text: str, start: int) -> tuple[int, str]:
    """Start and content of the line that ends right before `start`; (-1, "") if there is none."""
    if start == 0:
        return -1, ""
    end = start - 1
    begin = text.rfind("\n", 0, end) + 1
    return begin, text[begin:end]


FORMATS = (text_format("rst", 4, outline, metadata=fields, suffixes=(".rst", ".rest")),)
