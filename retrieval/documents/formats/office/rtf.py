"""Rich Text Format 1.9: paragraphs, headings, lists, tables and notes, as they are shown.

What begins a group decides what is in it: text, a note, properties, or what nobody sees. Groups are
kept on a stack of our own, so that no depth of them matters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from retrieval.documents.formats.format import Format, Parsed, Source, top_heading
from retrieval.documents.formats.office.flow import Flow
from retrieval.errors import DocumentError

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,9})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+"
    rb"|([^\\{}\r\n]+)",
    re.DOTALL,
)
_SHOWN = {
    **{"tab": "\t", "line": "\n", "lbr": "\n", "emdash": "\u2014", "endash": "\u2013"},
    **{"lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d"},
    **{"bullet": "\u2022", "emspace": " ", "enspace": " ", "qmspace": " "},
}
_SYMBOLS = {b"~": " ", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}", b"\t": "\t"}
_UNSEEN_NAMES = (
    "atnid colortbl datafield do filetbl fldinst footer footerf footerl"
    " footerr generator header headerf headerl headerr listoverridetable listtable nonshppict"
    " object pict pn revtbl rsidtbl sp themedata xmlnstbl"
)
_UNSEEN = frozenset(_UNSEEN_NAMES.split())
"""Groups that hold no text."""
_READ = frozenset({"annotation", "atnauthor", "footnote", "shpinst", "shptxt"})
"""Groups that hold text though they may be passed over."""
_APART = {
    **{"footnote": "note", "listtext": "marker", "pntext": "marker"},
    **{"annotation": "comment", "atnauthor": "commentator"},
}
"""Groups whose text is kept apart from the paragraph that they stand in."""
_TABLES = {"fonttbl": "fonts", "info": "info", "stylesheet": "styles"}
_PROPERTIES = frozenset({"author", "keywords", "subject", "title"})
"""What the file says of itself, as metadata."""
_WITHOUT_TEXT = frozenset({"", *_TABLES.values()})
_CHARSETS = {
    **{77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5hkscs"},
    **{161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257"},
    **{204: "cp1251", 222: "cp874", 238: "cp1250"},
}
"""Character sets of fonts, by their number."""
_CODE_PAGES = {936: "gb18030", 10000: "mac_roman"}
"""Those that Python has under another name."""
_MOST_MARKER = 12
_HEADING = re.compile(r"heading ([1-9])\b", re.IGNORECASE)
"""The name of a style, which is the same in programs of all languages."""


@dataclass(frozen=True, slots=True)
class _Group:
    """What counts within a group, and in those within it.

    Attributes:
        kind: what it holds: `text`, `note`, `comment` and who made it, `marker`, `fonts`,
            `styles`, `info`, the name of a property, "" for nothing that is shown.
        is_hidden: whether its text is hidden or deleted.
        fallback: how many characters stand for one that is given by its number.
        font: the number of the font.
    """

    kind: str = "text"
    is_hidden: bool = False
    fallback: int = 1
    font: int = -1


@dataclass(slots=True)
class _Reader:
    """Reads a file token by token."""

    flow: Flow = field(default_factory=Flow)
    said: dict[str, str] = field(default_factory=dict)
    _group: _Group = field(default_factory=_Group)
    _stack: list[tuple[_Group, list[str]]] = field(default_factory=list)
    _begins: bool = False
    _may_pass: bool = False
    _out: list[str] = field(default_factory=list)
    _bytes: bytearray = field(default_factory=bytearray)
    _skip: int = 0
    _charset: str = "cp1252"
    _fonts: dict[int, str] = field(default_factory=dict)
    _style: int = 0
    _levels: dict[int, int] = field(default_factory=dict)
    _level: int | None = None
    _marker: str = ""
    _depth: int = 0
    _notes: list[str] = field(default_factory=list)
    _noted: int = 0
    _commentator: str = ""
    _row: list[str] | None = None
    _rows: list[list[str]] = field(default_factory=list)

    def read(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            token = _TOKEN.match(data, at)
            if token is None:  # a lone backslash at the end
                break
            at = token.end()
            word, number, byte, symbol, brace, plain = token.groups()
            if word == b"bin" and number:
                at += max(int(number), 0)
            elif byte is not None:
                self._put_byte(int(byte, 16))
            elif plain is not None:
                self._put_plain(plain)
            elif word is not None:
                self._end_bytes()
                self._command(word.decode(), None if number is None else int(number))
            elif brace == b"{":
                self._end_bytes()
                self._skip = 0
                self._stack.append((self._group, self._out))
                self._begins, self._may_pass = True, False
            elif brace == b"}":
                self._end_bytes()
                self._skip = 0
                self._close()
            elif symbol == b"*":
                self._may_pass = True
            elif symbol is not None:
                self._end_bytes()
                self._put("\n" if symbol in b"\r\n" else _SYMBOLS.get(symbol, ""))
        self._end_bytes()
        while self._stack:
            self._close()
        self._end_paragraph()
        self._end_table()

    def _close(self) -> None:
        if not self._stack:
            return
        kind, words = self._group.kind, self._out
        self._group, self._out = self._stack.pop()
        self._begins = False
        if words is self._out:
            return
        said = _joined(words)
        if kind == "note":
            self._notes.append(said)
        elif kind == "commentator":
            self._commentator = " ".join(said.split())
        elif kind == "comment":
            by = f" ({self._commentator})" if self._commentator else ""
            self._commentator = ""
            if words_said := " ".join(said.split()):
                self._notes.append(f"Comment{by}: {words_said}")
        elif kind == "marker":
            self._marker = " ".join(said.split())[:_MOST_MARKER]
        else:
            self.said.setdefault(kind, " ".join(said.split()))

    def _command(self, word: str, number: int | None) -> None:
        begins, self._begins = self._begins, False
        if begins and self._opened(word):
            return
        if self._group.kind == "fonts":
            if word == "f" and number is not None:
                self._group = replace(self._group, font=number)
            elif word == "fcharset" and number in _CHARSETS:
                self._fonts[self._group.font] = _CHARSETS[number]
        elif self._group.kind == "styles":
            if word == "s" and number is not None:
                self._style = number
            elif word == "outlinelevel" and number is not None and 0 <= number < 9:
                self._levels[self._style] = number + 1
        elif word == "u" and number is not None:
            self._put(chr(number % 0x10000))
            self._skip = self._group.fallback
        elif word == "uc":
            self._group = replace(self._group, fallback=min(max(number or 0, 0), 16))
        elif word == "f" and number is not None:
            self._group = replace(self._group, font=number)
        elif word in ("v", "deleted"):
            self._group = replace(self._group, is_hidden=number != 0)
        elif word == "plain":
            self._group = replace(self._group, is_hidden=False)
        elif word == "ansicpg" and number:
            self._charset = _CODE_PAGES.get(number, f"cp{number}")
        elif word == "mac":
            self._charset = "mac_roman"
        elif word == "chftn":
            is_note = self._group.kind == "note"
            self._noted += not is_note
            self._put(f"[{self._noted}]" + (" " if is_note else ""))
        elif word in _SHOWN:
            self._put(_SHOWN[word])
        elif self._group.kind == "text":
            self._layout(word, number)
        elif word in ("par", "sect"):
            self._put(" ")

    def _opened(self, word: str) -> bool:
        """Whether a word that a group begins with says what the group holds."""
        kind = ""
        if self._group.kind == "":
            return True
        if word in _APART or (self._group.kind == "info" and word in _PROPERTIES):
            kind = _APART.get(word, word)
            self._out = []
        elif self._group.kind == "info":
            pass
        elif word in _TABLES:
            kind = _TABLES[word]
        elif word not in _UNSEEN and (not self._may_pass or word in _READ):
            return False
        self._group = replace(self._group, kind=kind)
        return True

    def _layout(self, word: str, number: int | None) -> None:
        """Paragraphs and tables."""
        if word in ("par", "sect", "page"):
            if self._row is None:
                self._end_paragraph()
            else:
                self._put("\n")
        elif word == "pard":
            self._level, self._depth, self._marker = None, 0, ""
        elif word == "s" and number in self._levels:
            self._level = self._levels[number]
        elif word == "outlinelevel" and number is not None and 0 <= number < 9:
            self._level = number + 1
        elif word == "ilvl":
            self._depth = min(max(number or 0, 0), 8)
        elif word == "trowd" and self._row is None:
            self._end_paragraph(keep=True)
            self._row = []
        elif word in ("cell", "nestcell") and self._row is not None:
            self._row.append(" ".join(_joined(self._out).split()))
            self._out.clear()
        elif word == "row" and self._row is not None:
            self._rows.append(self._row)
            self._row = None

    def _end_paragraph(self, *, keep: bool = False) -> None:
        """Put the paragraph that has been read.

        Args:
            keep: whether a table before an empty paragraph continues after it.
        """
        words = _joined(self._out)
        self._out.clear()
        if words.strip() or not keep:
            self._end_table()
        if not words.strip():
            pass
        elif self._level is not None:
            self.flow.heading(f"{self._marker} {words}", self._level)
        elif self._marker:
            self.flow.item(
                words, self._depth, "-" if not self._marker[0].isalnum() else self._marker
            )
        else:
            self.flow.paragraph(words)
        self._marker = ""
        for note in self._notes:
            self.flow.note(note)
        self._notes.clear()

    def _end_table(self) -> None:
        if self._row:
            self._rows.append(self._row)
        if self._rows:
            self.flow.table(self._rows)
        self._row, self._rows = None, []

    def _put(self, text: str) -> None:
        if self._group.kind not in _WITHOUT_TEXT and not self._group.is_hidden:
            self._out.append(text)

    def _put_byte(self, byte: int) -> None:
        self._begins = False
        if self._skip:
            self._skip -= 1
        else:
            self._bytes.append(byte)

    def _put_plain(self, plain: bytes) -> None:
        self._begins = False
        passed = min(self._skip, len(plain))
        self._skip -= passed
        self._bytes += plain[passed:]

    def _end_bytes(self) -> None:
        if self._bytes:
            charset = self._fonts.get(self._group.font, self._charset)
            try:
                text = self._bytes.decode(charset, "replace")
            except LookupError:
                text = self._bytes.decode("cp1252", "replace")
            self._bytes.clear()
            if self._group.kind == "styles" and (named := _HEADING.match(text.strip())):
                self._levels.setdefault(self._style, int(named[1]))
            self._put(text)


def _joined(pieces: list[str]) -> str:
    """A text whose characters beyond 16 bits were given as two."""
    return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _parse(data: bytes, source: Source) -> Parsed:
    reader = _Reader()
    reader.read(data)
    text, outline = reader.flow.finish()
    if not text:
        raise DocumentError("holds no text; pictures are not read")
    said = {name: value for name, value in reader.said.items() if value}
    title = said.pop("title", "") or top_heading(outline)
    metadata: dict[str, Any] = said
    return Parsed(text, title, metadata, outline)


FORMATS = (
    Format(
        "rtf",
        2,
        _parse,
        (".rtf",),
        sniff=lambda head: head.startswith(b"{\\rtf"),
        binary=True,
        isolated=True,
    ),
)
