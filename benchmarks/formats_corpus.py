"""Files of many formats with known content: pages of docs/, written by other programs.

The content of a page is known from its source, as pandoc parses it. pandoc writes it in all formats
that it supports, LibreOffice converts some of those to others; tables become workbooks.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from tests.documents.corpus.truth import FILES, Truth, typed, words_of
from tests.documents.corpus.truth import truth_of as truth_of_sample

ROOT = Path(__file__).parents[1]
OFFICE = ROOT / "tests" / "documents" / "office"
HARD = {
    "letter": ("letter-python-docx.docx", "letter-strict.docx"),
    "deck": ("deck-python-pptx.pptx", "deck-libreoffice.odp"),
    "stores": ("stores-openpyxl.xlsx",),
}
PEERS = Path(__file__).with_name("formats_peers.py")
SLIDE_LEVEL = 2
PANDOC = {
    "docx": "docx", "odt": "odt", "epub": "epub", "pptx": "pptx", "html": "html5", "rst": "rst",
    "adoc": "asciidoc", "org": "org", "tex": "latex", "man": "man", "mediawiki": "mediawiki",
    "textile": "textile", "ipynb": "ipynb", "docbook.xml": "docbook5", "jats.xml": "jats",
    "tei.xml": "tei", "fb2": "fb2",
}  # fmt: skip
LIBREOFFICE = (
    ("odt", "docx:MS Word 2007 XML"), ("docx", "odt:writer8"), ("pptx", "odp:impress8"),
    ("xlsx", "ods:calc8"), ("xlsx", "xls:MS Excel 97"), ("odt", "html:HTML (StarWriter)"),
    ("odt", "pdf:writer_pdf_Export"), ("pptx", "pdf:impress_pdf_Export"),
)  # fmt: skip


def truth_of_page(page: Path) -> Truth:
    """The content of a page of Markdown."""
    completed = subprocess.run(
        ["pandoc", "-f", "gfm", "-t", "json", str(page)], check=True, capture_output=True
    )
    truth = Truth()
    for node in json.loads(completed.stdout)["blocks"]:
        _add_block(node, truth)
    return truth


def _add_block(node: Any, truth: Truth) -> None:
    """Add the words, headings and tables of a pandoc block to a truth."""
    kind, content = node["t"], node.get("c")
    if kind == "Header":
        words = "".join(_inline_texts(content[2]))
        truth.headings.append((content[0], words))
        truth.words += words_of(words)
    elif kind in ("Para", "Plain"):
        truth.words += words_of("".join(_inline_texts(content)))
    elif kind == "CodeBlock":
        truth.words += words_of(content[1])
    elif kind == "OrderedList":
        for number, item in enumerate(content[1], start=content[0][0]):
            truth.words.append(str(number))
            for child in item:
                _add_block(child, truth)
    elif kind == "BulletList":
        for item in content:
            for child in item:
                _add_block(child, truth)
    elif kind in ("BlockQuote", "Div"):
        for child in content if kind == "BlockQuote" else content[1]:
            _add_block(child, truth)
    elif kind == "Table":
        _add_table(content, truth)
    elif kind not in ("RawBlock", "HorizontalRule"):
        raise ValueError(f"pandoc's {kind} is not known here")


def _add_table(content: Any, truth: Truth) -> None:
    """Add the words and rows of a pandoc table to a truth."""
    rows = [*content[3][1], *(row for body in content[4] for row in [*body[2], *body[3]])]
    table = []
    for row in rows:
        cells = []
        for cell in row[1]:
            inner = Truth()
            for child in cell[4]:
                _add_block(child, inner)
            truth.words += inner.words
            cells.append("".join("".join(_inline_texts(child["c"])) for child in cell[4]))
        table.append(cells)
    truth.tables.append(table)


def _inline_texts(nodes: Any) -> Iterator[str]:
    """The texts of pandoc inline elements."""
    for node in nodes:
        kind, content = node["t"], node.get("c")
        if kind == "Str":
            yield content
        elif kind in ("Space", "SoftBreak", "LineBreak"):
            yield " "
        elif kind in ("Code", "Math"):
            yield content[1]
        elif kind in ("Link", "Span", "Quoted"):
            yield from _inline_texts(content[1])
        elif kind in ("Emph", "Strong", "Strikeout", "Superscript", "Subscript", "Underline"):
            yield from _inline_texts(content)
        elif kind == "Image":
            return
        elif kind != "RawInline":
            raise ValueError(f"pandoc's {kind} is not known here")


def copy_without_pictures(page: Path, folder: Path) -> Path:
    """A copy of the page without pictures, whose descriptions only some programs show."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", page.read_text(encoding="utf-8"))
    copy = folder / page.name
    copy.write_text(text, encoding="utf-8")
    return copy


def write_corpus(folder: Path, peers: str, most: int) -> dict[str, list[tuple[Path, Truth]]]:
    """Write files of each format by each program, and return them with their content.

    Args:
        folder: where to write.
        peers: the interpreter that writes workbooks.
        most: how many pages of docs/, the longest first.
    """
    sources = folder / "sources"
    sources.mkdir()
    longest = sorted((ROOT / "docs").glob("*.md"), key=lambda page: -page.stat().st_size)
    pages = [copy_without_pictures(page, sources) for page in longest[:most]]
    truths = {page.stem: truth_of_page(page) for page in pages}
    slides = {
        stem: Truth(truth.words, [(1, w) for level, w in truth.headings if level <= SLIDE_LEVEL])
        for stem, truth in truths.items()
    }
    sheets = {}
    pandoc_folder = folder / "pandoc"
    pandoc_folder.mkdir()
    commands = []
    for page in pages:
        for suffix, writer in PANDOC.items():
            options = ["--slide-level", str(SLIDE_LEVEL)] if suffix == "pptx" else []
            title = ["--metadata", f"title={page.stem}"] if suffix == "epub" else []
            standalone = ["-s"] if suffix in ("fb2", "tei.xml", "jats.xml", "docbook.xml") else []
            target = pandoc_folder / f"{page.stem}.{suffix}"
            conversion = ["-t", writer, *standalone, *options, *title, "-o", str(target)]
            commands.append(["pandoc", "-f", "gfm", str(page), *conversion])
        if tables := truths[page.stem].tables:
            source = folder / f"{page.stem}.json"
            source.write_text(json.dumps(tables))
            _run(
                peers, str(PEERS), "workbook", str(source), str(pandoc_folder / f"{page.stem}.xlsx")
            )
            sheets[page.stem] = _truth_of_workbook(tables)
    with ThreadPool() as pool:
        pool.map(lambda command: _run(*command), commands)
    for source_suffix, target in LIBREOFFICE:
        files = map(str, sorted(pandoc_folder.glob(f"*.{source_suffix}")))
        target_folder = (
            folder / "libreoffice" / (f"{source_suffix}-pdf" if target.startswith("pdf") else "")
        )
        profile = f"-env:UserInstallation=file://{folder}/profile"
        conversion = ["--convert-to", target, "--outdir", str(target_folder)]
        _run("soffice", profile, "--headless", *conversion, *files)
    kinds = {"xlsx": sheets, "ods": sheets, "xls": sheets, "pptx": slides, "odp": slides}
    corpus: dict[str, list[tuple[Path, Truth]]] = {}
    for path in sorted(
        path for path in (*pandoc_folder.iterdir(), *(folder / "libreoffice").rglob("*"))
    ):
        if path.is_dir():
            continue
        stem, _, suffix = path.name.partition(".")
        program = "openpyxl" if suffix == "xlsx" else path.relative_to(folder).parts[0]
        truths_of_kind = slides if path.parent.name == "pptx-pdf" else kinds.get(suffix, truths)
        kind = f"{suffix} of slides" if truths_of_kind is slides and suffix == "pdf" else suffix
        corpus.setdefault(f"{kind} by {program}", []).append((path, truths_of_kind[stem]))
    return corpus


def sample_files() -> dict[str, list[tuple[Path, Truth]]]:
    """Files of the tests: hard office files, and those of other programs."""
    corpus: dict[str, list[tuple[Path, Truth]]] = {}
    for stem, names in HARD.items():
        truth = typed(OFFICE / "sources" / f"{stem}.txt")
        corpus.update({name: [(OFFICE / "files" / name, truth)] for name in names})
    for path in sorted(FILES.iterdir()):
        if path.suffix != ".md" or path.name.startswith("guide-"):
            corpus[path.name] = [(path, truth_of_sample(path))]
    return corpus


def _truth_of_workbook(tables: list[list[list[str]]]) -> Truth:
    """The content of a workbook with a sheet for each table."""
    words = []
    for number, table in enumerate(tables, start=1):
        for cells in [[f"Table {number}"], *table]:
            words += [word for cell in cells for word in words_of(cell)]
    return Truth(words, [(1, f"Table {number}") for number in range(1, len(tables) + 1)])


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
