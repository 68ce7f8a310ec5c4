"""Jupyter notebooks: cells in order, each of its kind and language; outputs short, no pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from retrieval.documents.formats import code, markdown
from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.formats.languages import language_named
from retrieval.documents.formats.terminal import shown
from retrieval.documents.outline import (
    MAX_LEVEL,
    Block,
    Heading,
    Mark,
    Outline,
    Part,
    sections_of,
    shifted,
)
from retrieval.errors import DocumentError

_OUTPUT_LINES = 10
_OUTPUT_CHARACTERS = 1000
"""More of a cell's output is left out."""
_EMBEDDED = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.-]+)*;base64,[A-Za-z0-9+/=\s]{16,}")
_ATTACHED = re.compile(r"!\[([^\]]*)\]\(attachment:[^)]*\)")
_OBJECT = re.compile(r"\s*<[^<>\n]*>\s*")
"""What stands for an object without words of its own, such as `<Figure size 640x480>`."""
_MAGIC = re.compile(r"(?m:^([ \t]*)[%!?][^\n]*)")
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
_MAGIC_LANGUAGES = {
    "bash": "bash", "html": "", "javascript": "javascript", "js": "javascript", "latex": "",
    "markdown": "", "perl": "perl", "python": "python", "python3": "python", "r": "r",
    "ruby": "ruby", "script": "bash", "sh": "bash", "sql": "sql", "svg": "", "writefile": "",
}  # fmt: skip
_SURROGATE = re.compile("[\ud800-\udfff]")
_CODE_LEVEL = MAX_LEVEL
"""A cell without a heading is a part below any heading."""


class _Notebook:
    """A text that is put together cell by cell."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._pieces: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._blocks: list[Block] = []
        self._marks: list[Mark] = []
        self._parts: list[Part] = []
        self._breaks: list[list[int]] = [[], [], []]

    @property
    def text(self) -> str:
        """The cells, blank lines between them."""
        return "".join(self._pieces)

    def add(self, number: int, cell: dict[str, Any]) -> None:
        """Take in a cell; one without text is passed over."""
        source = _text(cell.get("source", cell.get("input", "")))
        kind = cell.get("cell_type")
        if kind == "markdown":
            source = _ATTACHED.sub(r"\1", source)
        source = _EMBEDDED.sub("", source).strip("\n")
        output = _output(cell) if kind == "code" else ""
        if not source.strip() and not output:
            return
        if self._pieces:
            self._put("\n\n")
        start = self._length
        self._marks.append(Mark(start, "cell", number))
        self._breaks[0].append(start)
        self._put(source)
        if kind == "code":
            self._code(start, source, self._language_of(cell, source))
            if output:
                self._put(f"\n\n{output}" if source.strip() else output)
        elif kind in ("heading", "markdown"):
            if kind == "heading":  # of the third format: a level beside the words
                level = cell.get("level")
                level = level if isinstance(level, int) and 0 < level < MAX_LEVEL else 1
                words = " ".join(source.split())
                self._headings.append(Heading(start, self._length, level, words))
                self._parts.append(Part(start, level))
            else:
                self._markdown(start, source)
        else:
            self._parts.append(Part(start, _CODE_LEVEL))

    def outline(self) -> Outline:
        """The structure of all cells."""
        text = self.text
        headings = [heading for heading in self._headings if heading.words]
        parts = self._parts or [Part(0, 0)]
        blocks = sorted(self._blocks, key=lambda block: (block.start, -block.end))
        breaks = [sorted(set(at)) for at in self._breaks]
        return Outline(sections_of(text, headings), blocks, self._marks, parts, breaks)

    def _put(self, piece: str) -> None:
        self._pieces.append(piece)
        self._length += len(piece)

    def _language_of(self, cell: dict[str, Any], source: str) -> str:
        """The language of a cell of code: its own, its magic's, or the notebook's."""
        metadata = _fields(cell.get("metadata"))
        own = _fields(metadata.get("vscode")).get("languageId") or metadata.get("language")
        if isinstance(own, str) and (named := language_named(own)):
            return named
        magic = _CELL_MAGIC.match(source)
        return _MAGIC_LANGUAGES.get(magic[1].lower(), self._language) if magic else self._language

    def _code(self, start: int, source: str, language: str) -> None:
        self._parts.append(Part(start, _CODE_LEVEL))
        if not source:  # a cell with outputs alone
            return
        self._blocks.append(Block("code", start, self._length, language=language))
        # A notebook command (`%magic`) is not code; a name of the same length is put in its place.
        plain = _MAGIC.sub(lambda magic: f"{magic[1]}_".ljust(len(magic[0])), source)
        found = code.outline(plain, language)
        self._blocks += [shifted(block, start) for block in found.blocks]
        self._shift(found, start, first=1)

    def _markdown(self, start: int, source: str) -> None:
        found = markdown.outline(source)
        headings = [section for section in found.sections if section.level]
        for section in headings:
            words = section.heading
            span = start + section.start, start + section.body
            self._headings.append(Heading(*span, section.level, words))
        self._blocks += [shifted(block, start) for block in found.blocks]
        self._shift(found, start, first=0)
        parts = [Part(start + part.start, part.level or _CODE_LEVEL) for part in found.parts]
        self._parts += parts

    def _shift(self, found: Outline, start: int, *, first: int) -> None:
        for at, offsets in enumerate(found.breaks[: 3 - first]):
            self._breaks[first + at] += [start + offset for offset in offsets]


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """A text that may be a list of lines; surrogates that stand alone become U+FFFD."""
    if isinstance(value, list):
        value = "".join(line for line in value if isinstance(line, str))
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else ""


def _output(cell: dict[str, Any]) -> str:
    """The first lines of what a cell wrote; none of it if there are only pictures and objects."""
    said = "\n".join(_outputs(cell))
    lines = said.split("\n")
    kept = "\n".join(lines[:_OUTPUT_LINES])[:_OUTPUT_CHARACTERS].rstrip()
    return f"{kept}\n…" if len(kept) < len(said.rstrip()) and kept else kept


def _outputs(cell: dict[str, Any]) -> Iterator[str]:
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        output = _fields(output)
        if output.get("output_type") in ("error", "pyerr"):
            said = f"{output.get('ename', '')}: {output.get('evalue', '')}"
        else:
            data = _fields(output.get("data"))
            said = _text(output.get("text") or data.get("text/plain") or data.get("text/markdown"))
        said = _EMBEDDED.sub("", shown(said, 4 * _OUTPUT_CHARACTERS)).strip("\n")
        if said.strip() and not _OBJECT.fullmatch(said):
            yield said


def _cells(notebook: dict[str, Any]) -> list[Any]:
    """The cells of a notebook; those of the third format stand in worksheets."""
    if isinstance(cells := notebook.get("cells"), list):
        return cells
    sheets = notebook.get("worksheets")
    if not isinstance(sheets, list):
        raise DocumentError("holds no cells; a Jupyter notebook was expected")
    found: list[Any] = []
    for sheet in sheets:
        cells = _fields(sheet).get("cells")
        found += cells if isinstance(cells, list) else []
    return found


def _loaded(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise DocumentError(f"is not a readable notebook: not JSON ({where})") from None
    except RecursionError:
        raise DocumentError("is not a readable notebook: nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"is not a readable notebook: {error}") from None
    if not isinstance(value, dict):
        raise DocumentError("holds no cells; a Jupyter notebook was expected")
    return value


def _parse(data: bytes, source: Source) -> Parsed:
    raw, problems = decoded(data, source)
    notebook = _loaded(raw)
    said = _fields(notebook.get("metadata"))
    named = (
        _fields(said.get("language_info")).get("name")
        or _fields(said.get("kernelspec")).get("language")
        or _fields(said.get("kernelspec")).get("name")
        or "python"
    )
    language = language_named(named) if isinstance(named, str) else ""
    made = _Notebook(language)
    for number, cell in enumerate(_cells(notebook), start=1):
        made.add(number, _fields(cell))
    outline = made.outline()
    title = _text(said.get("title")) or markdown.heading_title(outline)
    metadata: dict[str, Any] = {}
    authors = said.get("authors")
    if isinstance(authors, list):
        names = [_text(_fields(author).get("name")) for author in authors]
        metadata = {"authors": [name for name in names if name]} if any(names) else {}
    return Parsed(made.text, " ".join(title.split()), metadata, outline, problems=problems)


FORMATS = (Format("notebook", 2, _parse, (".ipynb",)),)
