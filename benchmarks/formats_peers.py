"""Texts that other readers extract from files; formats.py runs this in their environment.

    PEERS/bin/python benchmarks/formats_peers.py read < PATHS > texts.json
    PEERS/bin/python benchmarks/formats_peers.py workbook TABLES.json FILE.xlsx

Needs markitdown[docx,pptx,xlsx,xls,pdf,outlook], docx2txt, python-pptx, openpyxl, odfdo and pandoc.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path


def markitdown(path: Path) -> str:
    """Markdown by MarkItDown."""
    from markitdown import MarkItDown

    return MarkItDown().convert(str(path)).text_content


def docx2txt(path: Path) -> str:
    """Plain text of a Word document."""
    import docx2txt as library

    return library.process(str(path))


def python_pptx(path: Path) -> str:
    """Text frames, tables and notes of a presentation."""
    from pptx import Presentation

    lines: list[str] = []
    for slide in Presentation(str(path)).slides:
        for shape in slide.shapes:
            if shape.has_text_frame:
                lines.append(shape.text_frame.text)
            if shape.has_table:
                lines += [" ".join(cell.text for cell in row.cells) for row in shape.table.rows]
        if slide.has_notes_slide:
            lines.append(slide.notes_slide.notes_text_frame.text)
    return "\n".join(lines)


def openpyxl(path: Path) -> str:
    """Names of sheets and values of cells."""
    import openpyxl as library

    lines: list[str] = []
    for sheet in library.load_workbook(path, read_only=True, data_only=True):
        lines.append(sheet.title)
        for row in sheet.iter_rows(values_only=True):
            lines.append(" ".join(str(cell) for cell in row if cell is not None))
    return "\n".join(lines)


def pandoc(path: Path) -> str:
    """Markdown by pandoc."""
    reader = next(
        (PANDOC_READERS[suffix] for suffix in PANDOC_READERS if path.name.endswith(suffix)), None
    )
    completed = subprocess.run(
        ["pandoc", *(["-f", reader] if reader else []), "-t", "gfm", "--wrap=none", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return completed.stdout


def odfdo(path: Path) -> str:
    """Formatted text of an OpenDocument file."""
    from odfdo import Document

    return Document(str(path)).get_formatted_text()


PANDOC_READERS = {
    **{f".{name}": name for name in ("csv", "docx", "epub", "fb2", "html", "ipynb", "man")},
    **{f".{name}": name for name in ("mediawiki", "odt", "org", "rst", "textile")},
    ".bib": "biblatex",
    ".docbook.xml": "docbook",
    ".docbook4.xml": "docbook",
    ".jats.xml": "jats",
    ".jats-publishing.xml": "jats",
    ".md": "gfm",
    ".tex": "latex",
}
"""Pandoc's input formats by suffix; version 2.17 reads no other formats of the corpus."""

READERS_BY_SUFFIX = {
    ".docx": (docx2txt,),
    ".pptx": (python_pptx,),
    ".odt": (odfdo,),
    ".odp": (odfdo,),
    ".xlsx": (openpyxl,),
}
PLAIN_SUFFIXES = frozenset(
    [
        *(".adoc", ".bib", ".eml", ".jsonl", ".man", ".mbox", ".md", ".mediawiki", ".org", ".po"),
        *(".psv", ".ris", ".rst", ".sql", ".srt", ".tex", ".textile", ".tsv", ".txt", ".vtt"),
    ]
)
"""Files that markitdown returns unchanged."""


def readers_of(path: Path) -> list[Callable[[Path], str]]:
    """The readers that claim to read such a file."""
    readers: list[Callable[[Path], str]] = []
    if path.suffix not in PLAIN_SUFFIXES:
        readers.append(markitdown)
    if any(path.name.endswith(suffix) for suffix in PANDOC_READERS):
        readers.append(pandoc)
    return [*readers, *READERS_BY_SUFFIX.get(path.suffix, ())]


PACKAGES = ("markitdown", "docx2txt", "python-pptx", "openpyxl", "odfdo")


def write_workbook(tables: list[list[list[str]]], target: Path) -> None:
    """Write tables as sheets of a workbook."""
    import openpyxl as library

    workbook = library.Workbook()
    workbook.remove(workbook.active)
    for number, table in enumerate(tables, start=1):
        sheet = workbook.create_sheet(f"Table {number}")
        for row in table:
            sheet.append(row)
    workbook.save(target)


def read_all(paths: list[Path]) -> dict[str, dict[str, str | None]]:
    """Each file's text by reader; None where a reader fails."""
    texts: dict[str, dict[str, str | None]] = {}
    for path in paths:
        by_reader: dict[str, str | None] = {}
        for reader in readers_of(path):
            try:
                by_reader[reader.__name__] = reader(path)
            except Exception as error:
                print(f"{path.name}: {reader.__name__}: {error}", file=sys.stderr)
                by_reader[reader.__name__] = None
        texts[str(path)] = by_reader
    return texts


if __name__ == "__main__":
    if sys.argv[1] == "read":
        paths = [Path(line) for line in sys.stdin.read().splitlines()]
        versions = {name: version(name) for name in PACKAGES}
        json.dump({"versions": versions, "texts": read_all(paths)}, sys.stdout)
    else:
        write_workbook(json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3]))
