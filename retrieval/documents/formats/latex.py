"""LaTeX: title, sections, floats with their captions, tables, lists and code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from retrieval.documents.formats.builder import OutlineBuilder
from retrieval.documents.formats.columns import names_columns
from retrieval.documents.formats.format import Format, Parsed, Source, decoded, top_heading
from retrieval.documents.formats.languages import language_named
from retrieval.documents.formats.latex_words import plain
from retrieval.documents.outline import LEAD_CHARACTERS, Outline, Part

_LEVELS = {
    "part": 1, "addpart": 1, "chapter": 2, "addchap": 2, "section": 3, "addsec": 3,
    "subsection": 4, "subsubsection": 5, "frametitle": 6, "paragraph": 6, "subparagraph": 7,
}  # fmt: skip
_NAMES = {
    "verbatim": "BVerbatim LVerbatim SaveVerbatim Verbatim Verbatim* alltt comment filecontents "
    "filecontents* lstlisting minted verbatim verbatim* verbatimtab",
    "float": "SCtable figure figure* listing longtable sidewaystable sidewaystable* table table* "
    "threeparttable wraptable xltabular",
    "table": "NiceTabular array longtable longtabu longtblr mpsupertabular supertabular tabbing "
    "tabu tabular tabular* tabularx tabulary tblr xltabular xtabular",
    "list": "asparaenum asparaitem compactdesc compactenum compactitem description enumerate "
    "inparaenum itemize labeling thebibliography",
}
_VERBATIM, _FLOATS, _TABLES, _LISTS = (frozenset(names.split()) for names in _NAMES.values())
_TOKEN = re.compile(
    r"\\\\|\\[%{}&]|%[^\n]*|\\(?:begin|end)[ \t]*\{(?P<environment>[^{}\n]{1,60})\}"
    r"|\\verb\*?(?P<mark>[^\s\w*])|\\(?P<command>[A-Za-z]+)\*?"
)
_RULE = re.compile(r"\s*\\(?:hline|midrule|cline|cmidrule|endhead|endfirsthead|specialrule)\b")
_NO_ROW = re.compile(r"\\(?:caption|label)\b")
_ROW_END = re.compile(r"\\\\|\\tabularnewline\b")
_CELL_END = re.compile(r"(?<!\\)&")
_BETWEEN_ROWS = re.compile(
    r"\*?(?:\[[^\]\n]*\])?(?:\s++|%[^\n]*+\n"
    r"|\\(?:hline|toprule|midrule|bottomrule|endhead|endfirsthead|endfoot|endlastfoot|tabularnewline"
    r"|addlinespace|rowcolor\{[^}]*\}|(?:cline|cmidrule|specialrule)(?:\([^)]*\))?(?:\{[^}]*\})++)"
    r"(?:\[[^\]\n]*\])?)*+"
)
_OPTION = re.compile(r"\s*\[(?:[^\[\]{}]|\{[^{}]*\})*+\]")
_FRAME_OPTIONS = re.compile(r"(?:<[^>\n]{0,100}>|\[[^\]\n]{0,300}\])*+")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_LANGUAGE = re.compile(r"language\s*=\s*\{?(?:\[[^\]]*\])?\s*([\w+#-]+)", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<!\\)(?:\\\\)*+#\d")
_CONDITION = re.compile(r"\\(?:(?P<name>if[A-Za-z@]*|fi|else)(?![A-Za-z@])|.)|%[^\n]*", re.DOTALL)
_NO_CONDITION = re.compile(
    r"iff|if(?:blank|bool|boolexpr|cs\w+|def|defempty|dimcomp|inlist|instr|language|num(?:comp|equal|greater"
    r"|less|odd)|packageloaded|str\w+|thenelse|toggle|undef|val)$"
)
"""Commands that no `\\fi` ends."""
_NAMING = re.compile(r"\\let\s*\\[A-Za-z@]+\s*=?\s*$")
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_GROUP_CHARACTERS = 4000
"""Longest group that can be a heading or a caption."""
_DEEPEST_GROUP = 20
_FIRST_ROWS = 30


def outline(text: str) -> Outline:
    """Sections at sectioning commands; within them environments, then items, then table rows."""
    return _read(text).outline()


@dataclass(slots=True)
class _Environment:
    """An environment that is open."""

    name: str
    start: int
    body: int
    before: int  # where the text that may introduce it starts
    rows: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    caption: str = ""
    tables: list[tuple[int, int, Sequence[str], Sequence[int]]] = field(default_factory=list)


class _Latex:
    """A document that is read from its first character to its last."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found = OutlineBuilder(text, plain)
        self._open: list[_Environment] = []
        self._never_ending: set[str] = set()
        self._language = ""
        self._last = 0  # where the last environment began or ended
        self._body = text.find(r"\begin{document}")
        self.title = ""
        self.authors = ""

    def read(self) -> None:
        """Read the whole text."""
        at = 0
        while token := _TOKEN.search(self._text, at):
            at = token.end()
            if token["environment"]:
                at = self._environment(token)
                if at < 0:
                    return
            elif token["mark"]:
                closing = self._text.find(token["mark"], at)
                line = self._text.find("\n", at)
                at = closing + 1 if closing >= 0 and not 0 <= line < closing else at
            elif token["command"]:
                if not (beyond := self._hidden(token["command"], token.start(), at)):
                    self._command(token["command"], token.start(), at)
                at = beyond or at
            elif token[0] == r"\\" and self._open and self._open[-1].name in _TABLES:
                self._open[-1].rows.append(at)

    def outline(self) -> Outline:
        """What was found; the outermost level is 1, and the preamble a part of its own."""
        headings = self._found.headings
        least = min((heading.level for heading in headings), default=1) - 1
        headings[:] = [replace(heading, level=heading.level - least) for heading in headings]
        found = self._found.outline()
        starts = {part.start for part in found.parts}
        if self._body > 0 and self._body not in starts:
            parts = sorted([*found.parts, Part(self._body, 1)], key=lambda part: part.start)
            return replace(found, parts=parts)
        return found

    def _environment(self, token: re.Match[str]) -> int:
        """Note the start or the end of one; where to go on, or -1 at the document's end."""
        name, at = token["environment"], token.end()
        if token[0].startswith(r"\end"):
            if name == "document":
                return -1
            self._end(name, token.start(), at)
            return at
        if name in _VERBATIM and (end := self._verbatim(name, token.start(), at)):
            return end
        if name == "frame":
            self._frame(token.start(), at)
        elif name == "abstract":
            self._found.heading(token.start(), at, _LEVELS["section"], "Abstract")
        opened = _Environment(name, token.start(), at, self._last)
        self._open.append(opened)
        self._last = at
        return at

    def _end(self, name: str, start: int, at: int) -> None:
        depth = next((n for n in range(1, min(len(self._open), 20) + 1)
                      if self._open[-n].name == name), 0)  # fmt: skip
        if not depth:
            return
        ended = self._open[-depth]
        del self._open[-depth:]
        self._last = at
        if name in _TABLES:
            header, rows = self._table(ended, start)
            around = next((e for e in reversed(self._open) if e.name in _FLOATS), None)
            if around is not None:
                around.tables.append((ended.start, at, header, rows))
                return
            self._introduce(ended)
            self._found.table(ended.start, at, header, rows, caption=ended.caption)
        elif name in _FLOATS:
            self._float(ended, at)
        elif name in _LISTS:
            if any(environment.name in _LISTS for environment in self._open):
                self._found.items += ended.items
            elif ended.items:
                self._introduce(ended)
                self._found.list(ended.start, at, ended.items)
        elif not self._open:
            self._found.tops.append(ended.start)

    def _float(self, ended: _Environment, end: int) -> None:
        """Note a float: a table in it is one block with it, and read with its caption."""
        around = next((e for e in reversed(self._open) if e.name in _FLOATS), None)
        if around is not None:
            around.tables += ended.tables
            around.caption = around.caption or ended.caption
            return
        if len(ended.tables) == 1:
            _, _, header, rows = ended.tables[0]
            self._found.table(ended.start, end, header, rows, caption=ended.caption)
            return
        for start, stop, header, rows in ended.tables:
            self._found.table(start, stop, header, rows, caption=ended.caption)
        self._found.tops.append(ended.start)

    def _introduce(self, environment: _Environment) -> None:
        """Let the paragraph before an environment introduce it."""
        since = max(environment.before, environment.start - 2000)
        before = self._text[since : environment.start]
        cut = max((end.end() for end in _PARAGRAPH_END.finditer(before.rstrip())), default=0)
        if before[cut:].strip():
            self._found.introduce(since + cut, environment.start)

    def _table(self, table: _Environment, end: int) -> tuple[Sequence[str], Sequence[int]]:
        """Words of a table's header, and where the rows below it start."""
        text = self._text
        first = self._after_arguments(table.body, table.name)
        starts = [first, *table.rows]
        ruled = [_RULE.match(text, at, end) is not None for at in starts]
        begins = []
        for at in starts:
            gap = _BETWEEN_ROWS.match(text, at, end)
            begins.append(gap.end() if gap else at)
        bounds = list(pairwise([*begins, end]))
        rows = [
            at
            for at, following in bounds
            if text[at : min(following, at + 500)].strip() and not _NO_ROW.match(text, at)
        ]
        bounds = list(pairwise([*rows, end]))
        cells = [self._cells(*bound) for bound in bounds[:_FIRST_ROWS]]
        if len(rows) < 2:
            return [], rows
        heads = int(names_columns(cells[0], cells[1:]) or _is_bold(text[rows[0] : rows[1]]))
        rules = [n for n, at in enumerate(ruled) if at and n]
        if not heads and len(rules) == 1 and rules[0] < 3 and rules[0] < len(rows):
            heads = rules[0]
        header = [cell for row in cells[:heads] for cell in row]
        return header, rows[heads:]

    def _cells(self, start: int, end: int) -> list[str]:
        source = self._text[start : min(end, start + _GROUP_CHARACTERS)]
        source = _ROW_END.split(source, maxsplit=1)[0]
        return [plain(cell) for cell in _CELL_END.split(source)]

    def _after_arguments(self, at: int, name: str) -> int:
        """Where the first row of a table starts, behind the environment's arguments."""
        wanted = 2 if name in ("tabular*", "tabularx", "tabulary", "xltabular") else 1
        if name in ("array", "tabbing"):
            wanted = int(name == "array")
        for _ in range(wanted):
            at = self._after_option(at)
            group = self._group(at)
            if group is None:
                break
            at = group[1] + 1
        return at

    def _verbatim(self, name: str, start: int, at: int) -> int:
        """Note an environment that is taken as it stands; its end, or 0 if it has none."""
        closing = rf"\end{{{name}}}"
        end = -1 if name in self._never_ending else self._text.find(closing, at)
        if end < 0:
            self._never_ending.add(name)
            return 0
        end += len(closing)
        head = self._text[at : at + 500].split("\n", 1)[0]
        language = ""
        if name == "minted":
            named = re.match(r"(?:\[[^\]]*\])?\s*\{([^}]*)\}", head)
            language = language_named(named[1]) if named else ""
        elif name == "lstlisting":
            said = _LANGUAGE.search(head)
            language = language_named(said[1]) if said else self._language
        caption = re.search(r"caption\s*=\s*(?:\{([^}]*)\}|([^,\]]*))", head)
        lead = plain(caption[1] or caption[2] or "")[:LEAD_CHARACTERS] if caption else ""
        if name != "comment":
            self._found.code(start, end, language, caption=lead, in_list=bool(self._open[1:]))
        self._last = end
        return end

    def _frame(self, start: int, at: int) -> None:
        """Note the title of a slide, where it stands behind `\\begin{frame}`."""
        options = _FRAME_OPTIONS.match(self._text, at)
        title = self._group(options.end() if options else at, same_line=True)
        if title is not None:
            self._heading(start, title, "frametitle")

    def _command(self, name: str, start: int, at: int) -> None:
        if name in _LEVELS:
            group = self._group(self._after_option(at))
            if group is not None and start >= self._body:
                self._heading(start, group, name)
        elif name == "item":
            around = next((e for e in reversed(self._open) if e.name in _LISTS), None)
            if around is not None:
                around.items.append(start)
        elif name == "bibitem" and self._open:
            self._open[-1].items.append(start)
        elif name in ("tabularnewline", "cr") and self._open and self._open[-1].name in _TABLES:
            self._open[-1].rows.append(at)
        elif name in ("caption", "captionof", "title", "author", "lstset"):
            if name == "captionof":
                at = (self._group(at) or (at, at - 1))[1] + 1
            group = self._group(self._after_option(at))
            if group is not None:
                self._named(name, self._text[slice(*group)])

    def _hidden(self, name: str, start: int, at: int) -> int:
        """Where a condition that never holds ends; 0 if none begins here, or none is ended."""
        text = self._text
        if name == "if":  # a zero and anything else differ
            never = text.startswith("0", at) and not text.startswith("0", at + 1)
        else:
            never = name == "iffalse"
        if not never or text.startswith("}", at) or _NAMING.search(text, max(start - 80, 0), start):
            return 0  # or it is only named, as what a macro stands for
        depth = 1
        for found in _CONDITION.finditer(text, at) if "if" not in self._never_ending else ():
            said = found["name"]
            if said == "fi":
                depth -= 1
            elif said and said != "else" and not _NO_CONDITION.match(said):
                depth += 1
            if not depth or (said == "else" and depth == 1):
                return found.end()
        self._never_ending.add("if")  # some macro looked like a condition: the next end is taken
        end = -1 if "fi" in self._never_ending else text.find(r"\fi", at)
        if end < 0:
            self._never_ending.add("fi")
            return 0
        return end + len(r"\fi")

    def _named(self, name: str, source: str) -> None:
        if _PARAMETER.search(source):
            return  # of a macro's definition
        if name.startswith("caption"):
            around = next((e for e in reversed(self._open) if e.name in _FLOATS), None)
            if around is not None and not around.caption:
                around.caption = plain(source)[:LEAD_CHARACTERS]
        elif name == "title":
            self.title = self.title or plain(source)
        elif name == "author":
            source = re.sub(r"\s*\\(?:and|And|AND)\b", ";", source)
            self.authors = self.authors or plain(source)[:LEAD_CHARACTERS]
        elif said := _LANGUAGE.search(source):
            self._language = language_named(said[1])

    def _heading(self, start: int, group: tuple[int, int], name: str) -> None:
        source = self._text[slice(*group)]
        if not _PARAMETER.search(source):
            self._found.heading(start, group[1] + 1, _LEVELS[name], source)
            self._last = group[1] + 1

    def _after_option(self, at: int) -> int:
        option = _OPTION.match(self._text, at, at + 1000)
        return option.end() if option else at

    def _group(self, at: int, *, same_line: bool = False) -> tuple[int, int] | None:
        """Where the contents of the group in braces lie that comes next, or None."""
        text, most = self._text, min(len(self._text), at + _GROUP_CHARACTERS)
        while at < most and (text[at] in " \t" or (text[at].isspace() and not same_line)):
            at += 1
        if at >= most or text[at] != "{":
            return None
        depth = 0
        for brace in _BRACE.finditer(text, at, most):
            depth += {"{": 1, "}": -1}.get(brace[0], 0)
            if not depth:
                return at + 1, brace.start()
            if depth > _DEEPEST_GROUP:
                break
        return None


def _is_bold(row: str) -> bool:
    """Whether every cell of a row is set in bold."""
    cells = [cell for cell in _CELL_END.split(row) if plain(cell)]
    return bool(cells) and all(re.search(r"\\(?:textbf|bfseries|thead|bf)\b", c) for c in cells)


def _read(text: str) -> _Latex:
    document = _Latex(text)
    document.read()
    return document


def _parse(data: bytes, source: Source) -> Parsed:
    text, problems = decoded(data, source)
    document = _read(text)
    found = document.outline()
    metadata = {"author": document.authors} if document.authors else {}
    return Parsed(text, document.title or top_heading(found), metadata, found, problems=problems)


FORMATS = (Format("latex", 3, _parse, (".tex", ".ltx", ".latex"), outline=outline),)
