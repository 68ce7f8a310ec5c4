"""What other readers make of files: run by formats.py with an environment of theirs.

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
    """As Markdown."""
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
    """As Markdown, by pandoc."""
    reader = next((PANDOC[suffix] for suffix in PANDOC if path.name.endswith(suffix)), None)
    done = subprocess.run(
        ["pandoc", *(["-f", reader] if reader else []), "-t", "gfm", "--wrap=none", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


def odfdo(path: Path) -> str:
    """Formatted text of an OpenDocument file."""
    from odfdo import Document

    return Document(str(path)).get_formatted_text()


PANDOC = {
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
"""The formats that it reads, by how a file's name ends; version 2.17 reads no others of these."""

MORE = {
    ".docx": (docx2txt,),
    ".pptx": (python_pptx,),
    ".odt": (odfdo,),
    ".odp": (odfdo,),
    ".xlsx": (openpyxl,),
}
PLAIN = frozenset(
    [
        *(".adoc", ".bib", ".eml", ".jsonl", ".man", ".mbox", ".md", ".mediawiki", ".org", ".po"),
        *(".psv", ".ris", ".rst", ".sql", ".srt", ".tex", ".textile", ".tsv", ".txt", ".vtt"),
    ]
)
"""What markitdown gives as it stands."""


def readers(path: Path) -> list[Callable[[Path], str]]:
    """Those that say they read such a file."""
    found: list[Callable[[Path], str]] = []
    if path.suffix not in PLAIN:
        found.append(markitdown)
    if any(path.name.endswith(suffix) for suffix in PANDOC):
        found.append(pandoc)
    return [*found, *MORE.get(path.suffix, ())]


PACKAGES = ("markitdown", "docx2txt", "python-pptx", "openpyxl", "odfdo")


def workbook(tables: list[list[list[str]]], target: Path) -> None:
    """Write tables, each as a sheet."""
    import openpyxl as library

    made = library.Workbook()
    made.remove(made.active)
    for number, table in enumerate(tables, start=1):
        sheet = made.create_sheet(f"Table {number}")
        for row in table:
            sheet.append(row)
    made.save(target)


def read(paths: list[Path]) -> dict[str, dict[str, str | None]]:
    """What each reader says of each file; None where it fails."""
    found: dict[str, dict[str, str | None]] = {}
    for path in paths:
        said: dict[str, str | None] = {}
        for reader in readers(path):
            try:
                said[reader.__name__] = reader(path)
            except Exception as error:
                print(f"{path.name}: {reader.__name__}: {error}", file=sys.stderr)
                said[reader.__name__] = None
        found[str(path)] = said
    return found


if __name__ == "__main__":
    if sys.argv[1] == "read":
        paths = [Path(line) for line in sys.stdin.read().splitlines()]
        versions = {name: version(name) for name in PACKAGES}
        json.dump({"versions": versions, "texts": read(paths)}, sys.stdout)
    else:
        workbook(json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3]))
