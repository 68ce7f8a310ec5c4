"""Manual pages in roff: their text without its requests, on the lines of the source."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace

from retrieval.documents.formats.builder import OutlineBuilder, first_words, last_words, lines_of
from retrieval.documents.formats.columns import names_columns
from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.outline import LEAD_CHARACTERS, Block, Outline

_FIRST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+"
    rb"(?:'\\\"|[.'][ \t]*(?:\\[\"#]|(?:TH|Dd|Dt|SH|Sh|de|ds|ie|if|ig|nr|so|tr)\b))"
)
_NAMES_PAGE = re.compile(rb"^\.[ \t]*(?:TH|Dd|Dt|SH|Sh)\s", re.MULTILINE)
_REQUEST = re.compile(r"[.'][ \t]*(\\\"|[A-Za-z%][A-Za-z0-9_]{0,30}|\.|)[ \t]*(.*)$", re.DOTALL)
_REMARK = re.compile(r"(?<!\\)((?:\\\\)*+)\\[\"#].*$", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:[\"#].*$|[f*mMFkngY](?:\[[^\]]{0,80}\]|\(..|.)|\[([^\]]{0,80})\]|\((..)"
    r"|s[-+]?(?:\[[^\]]{0,80}\]|\(\d\d|\d{1,2})|[hvwlLoXZ]'[^']{0,200}'|(.)|$)",
    re.DOTALL,
)
_SPECIAL = {
    "aq": "'", "bu": "•", "co": "©", "cq": "’", "dq": '"', "em": "—", "en": "–", "ha": "^",
    "hy": "-", "lq": "“", "oq": "‘", "rq": "”", "rs": "\\", "ti": "~", "la": "⟨", "ra": "⟩",
    "-": "-", "e": "\\", " ": " ", "~": " ", "0": " ", "'": "'", "`": "`", "\\": "\\",
    ".": ".", "t": " ", "a:": "ä", "o:": "ö", "u:": "ü", "A:": "Ä", "O:": "Ö", "U:": "Ü",
    "ss": "ß", "e'": "é", "'e": "é", "`e": "è", "mu": "×", ">=": "≥", "<=": "≤", "->": "→",
    "<-": "←", "rg": "®", "tm": "™", "sc": "§", "de": "°", "+-": "±", "!=": "≠", "br": "|",
    "ba": "|", "at": "@", "Do": "$", "sh": "#", "lB": "[", "rB": "]", "lC": "{", "rC": "}",
    "oA": "Å", "oa": "å", "/o": "ø", "ae": "æ", ",c": "ç", "~n": "ñ", "Eu": "€", "ga": "`",
}  # fmt: skip
_STRINGS = {"R": "®", "S": "", "Tm": "™", "lq": "“", "rq": "”"}
"""What the macros of manual pages define."""
_HIDDEN_NAMES = (
    "AT Bd Bk Bl DT Dd IX EE EX Ed Ek El HP LP Lp ME MT Os P PD PP Pp RE RS Re Rs SY Sm TE TP "
    "TQ TS UC UE UR YS ad af bp br c2 cc ce cf ch cp cs de ds ec el eo ev fam fc fi fl fp "
    "ft fz hc hcode hla hlm hpf hw hy ie if in it lc lf lg ll ls lt mc mk mso na ne nf nh "
    "nm nn nop nr ns nx os pc pl pm pn po ps rd rm rn rr rs rt so sp ss sv sy ta tc ti tl "
    "tm tr uf vs warn wh while"
)
_HIDDEN = frozenset(_HIDDEN_NAMES.split())
"""Requests whose arguments are not text."""
_SECTIONS = {"SH": 1, "Sh": 1, "SS": 2, "Ss": 2}
_PARAGRAPHS = frozenset({"HP", "LP", "Lp", "P", "PP", "Pp"})
_ITEMS = frozenset({"IP", "It", "TP"})
_CODE = {"nf": "fi", "EX": "EE", "Bd": "Ed", "Vb": "Ve"}
_BLOCKS = _PARAGRAPHS | _ITEMS | {*_CODE, "TS", "TH", "Dt"}
_ALTERNATING = frozenset({"BI", "BR", "IB", "IR", "RB", "RI"})
_FONTS = frozenset({"B", "I", "R", "SB", "SM"})
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?[a-z]?")
_LETTER = re.compile(r"\w")
_ENCLOSING = {
    "Aq": "<>", "Bq": "[]", "Brq": "{}", "Dq": "“”", "Op": "[]", "Pq": "()", "Ql": "‘’",
    "Qq": '""', "Sq": "‘’",
}  # fmt: skip
_MDOC_MARKS: dict[str, Callable[[list[str]], list[str]]] = {
    "Fl": lambda words: [f"-{words[0]}", *words[1:]] if words else ["-"],
    "Nd": lambda words: ["-", *words],
    "Oc": lambda words: ["]", *words],
    "Oo": lambda words: ["[", *words],
    "Xr": lambda words: [f"{words[0]}({words[1]})", *words[2:]] if len(words) > 1 else words,
}
_MDOC_WORDS_NAMES = (
    "%A %B %D %I %J %N %O %P %Q %R %T %U %V Ac Ad An Ao Ap Ar At Bc Bo Brc Bro Bsx Bx Cd "
    "Cm D1 Dc Dl Do Dv Dx Em En Er Es Ev Fa Fc Fd Fn Fo Ft Fx Ic In Lb Li Lk Ms Mt Nm No "
    "Ns Nx Ox Pa Pc Pf Po Qc Qo Sc So St Sx Sy Ta Tn Ux Va Vt Xc Xo"
)
_MDOC_WORDS = frozenset(_MDOC_WORDS_NAMES.split())
_TIGHT = re.compile(r"(?<=[\[({<“‘]) | (?!\.\.)(?=[\])}>”’,.;:!?](?:[\s\])}>”’,.;:]|$))")
_ARGUMENT = re.compile(r'"((?:[^"]|"")*)(?:"|$)|(\S+)')
_TAB = re.compile(r"\btab[ \t]*\((.)\)")
_NAME_LINE = re.compile(r"(\S.{0,200}?)[ \t]+[-–—][ \t]+(\S.*)")
_LONG_ENTRY = 400
"""An item of more characters may be cut, and is then read with its term."""


class _Page:
    """A page that is read line by line."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0  # characters of the text so far
        self._name = ""
        self._titled = ""
        self._skipping = ""
        self._untitled = 0  # the level of a heading whose words are on a line to come
        self._code: tuple[str, int] | None = None
        self._table: int | None = None
        self._marks: list[tuple[str, int, int, int]] = []  # (what, start, end, level)

    def read(self) -> Parsed:
        """The page."""
        done = 0
        pieces: list[str] = []
        for start, end in lines_of(self._source):
            self._at += start - done
            shown = self._line(self._source[start:end])
            pieces += [self._source[done:start], shown]
            self._at += len(shown)
            done = end
        pieces.append(self._source[done:])
        text = "".join(pieces)
        self._end_code()
        found = self._outline(text)
        return Parsed(text, self._title(found, text), outline=found)

    def _line(self, line: str) -> str:
        """What is seen of a line."""
        request = _REQUEST.match(line) if line[:1] in (".", "'") else None
        if self._skipping:
            if line.strip() == self._skipping:
                self._skipping = ""
            return ""
        if request is None:
            shown = _plain(line)
            if self._table is not None and shown.strip():
                self._mark("row")
            return self._heading(shown) if self._untitled else shown
        name, rest = request[1], _REMARK.sub(r"\1", request[2])
        if name in ("am", "ami", "de", "de1", "dei", "ig"):
            words = rest.split()
            ended = words[:1] if name == "ig" else words[1:2]
            self._skipping = f".{ended[0]}" if ended else ".."
            return ""
        if self._untitled and (name in _SECTIONS or name in _BLOCKS):
            self._untitled = 0
        shown = self._request(name, rest)
        return self._heading(shown) if self._untitled else shown

    def _heading(self, shown: str) -> str:
        """Note that a line is the heading that was begun without words, if it has some."""
        words = shown.strip()
        if words:
            if len(words) > 2 and words[0] == words[-1] == '"':
                shown = words[1:-1]
            self._mark("heading", len(shown), self._untitled)
            self._untitled = 0
        return shown

    def _request(self, name: str, rest: str) -> str:
        if level := _SECTIONS.get(name):
            self._end_code()
            shown = " ".join(_words(rest))
            if shown:
                self._mark("heading", len(shown), level)
            else:
                self._untitled = level
            return shown
        if name in ("TH", "Dt"):
            words = _words(rest)
            if words and not self._titled:
                section = f"({words[1]})" if len(words) > 1 else ""
                self._titled = f"{words[0].lower()}{section}"
            return " ".join(words[:2])
        self._note_block(name, rest)
        if name in ("IP", "It", "Nm") or name in _MDOC_MARKS or name in _MDOC_WORDS:
            words = _words(rest)
            if name == "IP":
                return words[0] if words else ""
            if name == "Nm" and words and _LETTER.search(words[0]):
                self._name = self._name or words[0]
            return self._mdoc(words if name == "It" else [name, *words])
        if name in _ENCLOSING:
            return self._mdoc([name, *_words(rest)])
        if name in _HIDDEN or name in ("", '\\"', "."):
            return ""
        words = _words(rest)
        if name in _ALTERNATING:
            return "".join(words)
        # A macro of the page's own: a number tells it how far to indent.
        return "" if all(map(_NUMBER.fullmatch, words)) and name not in _FONTS else " ".join(words)

    def _note_block(self, name: str, rest: str) -> None:
        """Note what begins or ends with a request."""
        if name in _CODE and (name != "Bd" or "literal" in rest or "unfilled" in rest):
            self._code = self._code or (_CODE[name], self._at)
        elif self._code and name == self._code[0]:
            self._end_code()
        elif name == "TS":
            self._table = self._at
        elif name == "TE" and self._table is not None:
            self._marks.append(("table", self._table, self._at, 0))
            self._table = None
        elif name in _PARAGRAPHS:
            self._mark("paragraph")
        elif name in _ITEMS:
            self._mark("item")

    def _mark(self, what: str, length: int = 0, level: int = 0) -> None:
        self._marks.append((what, self._at, self._at + length, level))

    def _end_code(self) -> None:
        if self._code is not None:
            self._marks.append(("code", self._code[1], self._at, 0))
            self._code = None

    def _mdoc(self, words: list[str]) -> str:
        """Words of a line of mdoc: some of them are marks of those that follow."""
        for at in range(len(words) - 1, -1, -1):
            word = words[at]
            if word == "Nm" and not any(_LETTER.search(other) for other in words[at + 1 : at + 2]):
                words[at] = self._name
            elif around := _ENCLOSING.get(word):
                words[at:] = [around[0], *words[at + 1 :], around[1]]
            elif word in _MDOC_MARKS:
                words[at:] = _MDOC_MARKS[word](words[at + 1 :])
            elif word in _MDOC_WORDS:
                del words[at]
        return _TIGHT.sub("", " ".join(words))

    def _outline(self, text: str) -> Outline:
        builder = OutlineBuilder(text)
        marks = sorted(self._marks, key=lambda mark: mark[1])
        starts = first_words(text, [start for _, start, _, _ in marks])
        ends = last_words(text, [at for _, start, end, _ in marks for at in (start, end)])
        rows: list[int] = []
        entry: int | None = None
        for what, raw_start, raw_end, level in marks:
            start, end = starts[raw_start], ends[raw_end]
            if entry is not None and what in ("heading", "item", "paragraph"):
                _note_entry(builder, entry, ends[raw_start])
                entry = None
            if what == "row":
                rows.append(start)
            elif what == "item" and start < len(text):
                builder.items.append(start)
                entry = start
            elif what == "paragraph" and start < len(text):
                builder.tops.append(start)
            elif what == "heading" and start < end:
                builder.heading(start, end, level, text[start:end])
            elif what == "code" and start < end:
                builder.code(start, end, "", in_list=entry is not None)
        for what, raw_start, raw_end, _ in marks:
            if what == "table":
                own = rows[bisect_left(rows, raw_start) : bisect_left(rows, raw_end)]
                _note_table(builder, own, ends[raw_end])
        return builder.outline()

    def _title(self, found: Outline, text: str) -> str:
        """Name and section, and what the page says that the name is."""
        for section in found.sections:
            if section.heading.upper() in ("NAME", "NOM", "NOMBRE", "NOME", "BEZEICHNUNG"):
                line = " ".join(text[section.body : section.end].split())
                if named := _NAME_LINE.match(line[:500]):
                    return f"{self._titled or named[1]} - {named[2]}"
        return self._titled


def _note_entry(builder: OutlineBuilder, start: int, end: int) -> None:
    """Let a long item be read with its term, the first line of it."""
    if end - start > _LONG_ENTRY:
        to = builder.text.find("\n", start, end)
        term = " ".join(builder.text[start : end if to < 0 else to].split())[:LEAD_CHARACTERS]
        builder.blocks.append(Block("list", start, end, lead=term))


def _note_table(builder: OutlineBuilder, rows: list[int], end: int) -> None:
    """Note a table of tbl, whose first lines describe its layout and are not rows."""
    breaks = (builder.text.find("\n", at, end) for at in rows)
    lines = [builder.text[at : end if to < 0 else to] for at, to in zip(rows, breaks, strict=True)]
    first = next((n + 1 for n, line in enumerate(lines) if line.rstrip().endswith(".")), 0)
    apart = next((found[1] for line in lines[:first] if (found := _TAB.search(line))), "\t")
    rows = rows[first:]
    if rows:
        cells = [line.split(apart) for line in lines[first:]]
        names = names_columns(cells[0], cells[1:])
        header = [" ".join(cell.split()) for cell in cells[0]] if names else []
        builder.table(rows[0], end, header, rows[names:])


def _words(rest: str) -> list[str]:
    """The arguments of a request."""
    found = (match[1] if match[1] is not None else match[2] for match in _ARGUMENT.finditer(rest))
    return [plain for word in found if (plain := _plain(word.replace('""', '"')))]


def _plain(line: str) -> str:
    """A line without its escapes."""
    return _ESCAPE.sub(_shown, line) if "\\" in line else line


def _shown(escape: re.Match[str]) -> str:
    name = escape[1] or escape[2] or escape[3]
    if name is None:
        return _STRINGS.get(escape[0][2:].strip("([]"), "") if escape[0][:2] == "\\*" else ""
    if name.startswith("u") and len(name) > 4:
        try:
            return chr(int(name[1:].split("_")[0], 16))
        except (OverflowError, ValueError):
            return ""
    if name in _SPECIAL:
        return _SPECIAL[name]
    return name if escape[3] and name.isprintable() and name not in "&/,^|%:c{}pd!)zur" else ""


def _parse(data: bytes, source: Source) -> Parsed:
    text, problems = decoded(data, source)
    made = _Page(text).read()
    return replace(made, problems=problems)


FORMATS = (
    Format(
        "man",
        3,
        _parse,
        (".man", ".mdoc"),
        sniff=lambda head: _FIRST.match(head) is not None and _NAMES_PAGE.search(head) is not None,
    ),
)
