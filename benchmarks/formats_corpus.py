"""Files of many formats whose content is known: pages of docs/, written by other programs.

What a page holds is known from its source, as pandoc parses it. pandoc writes it in all formats
that it can, LibreOffice writes some of those in others; tables become workbooks.
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


def truth_of(page: Path) -> Truth:
    """What a page of Markdown holds."""
    done = subprocess.run(
        ["pandoc", "-f", "gfm", "-t", "json", str(page)], check=True, capture_output=True
    )
    found = Truth()
    for node in json.loads(done.stdout)["blocks"]:
        _block(node, found)
    return found


def _block(node: Any, found: Truth) -> None:
    kind, content = node["t"], node.get("c")
    if kind == "Header":
        words = "".join(_inlines(content[2]))
        found.headings.append((content[0], words))
        found.words += words_of(words)
    elif kind in ("Para", "Plain"):
        found.words += words_of("".join(_inlines(content)))
    elif kind == "CodeBlock":
        found.words += words_of(content[1])
    elif kind == "OrderedList":
        for number, item in enumerate(content[1], start=content[0][0]):
            found.words.append(str(number))
            for one in item:
                _block(one, found)
    elif kind == "BulletList":
        for item in content:
            for one in item:
                _block(one, found)
    elif kind in ("BlockQuote", "Div"):
        for one in content if kind == "BlockQuote" else content[1]:
            _block(one, found)
    elif kind == "Table":
        _table(content, found)
    elif kind not in ("RawBlock", "HorizontalRule"):
        raise ValueError(f"pandoc's {kind} is not known here")


def _table(content: Any, found: Truth) -> None:
    rows = [*content[3][1], *(row for body in content[4] for row in [*body[2], *body[3]])]
    table = []
    for row in rows:
        cells = []
        for cell in row[1]:
            inner = Truth()
            for one in cell[4]:
                _block(one, inner)
            found.words += inner.words
            cells.append("".join("".join(_inlines(one["c"])) for one in cell[4]))
        table.append(cells)
    found.tables.append(table)


def _inlines(nodes: Any) -> Iterator[str]:
    for node in nodes:
        kind, content = node["t"], node.get("c")
        if kind == "Str":
            yield content
        elif kind in ("Space", "SoftBreak", "LineBreak"):
            yield " "
        elif kind in ("Code", "Math"):
            yield content[1]
        elif kind in ("Link", "Span", "Quoted"):
            yield from _inlines(content[1])
        elif kind in ("Emph", "Strong", "Strikeout", "Superscript", "Subscript", "Underline"):
            yield from _inlines(content)
        elif kind == "Image":
            return
        elif kind != "RawInline":
            raise ValueError(f"pandoc's {kind} is not known here")


def without_pictures(page: Path, folder: Path) -> Path:
    """The page without its pictures, whose descriptions some programs show and some do not."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", page.read_text(encoding="utf-8"))
    made = folder / page.name
    made.write_text(text, encoding="utf-8")
    return made


def written(folder: Path, peers: str, most: int) -> dict[str, list[tuple[Path, Truth]]]:
    """Files of each format and program, with what they hold.

    Args:
        folder: where they are written.
        peers: the interpreter that writes workbooks.
        most: so many pages of docs/, the longest.
    """
    sources = folder / "sources"
    sources.mkdir()
    longest = sorted((ROOT / "docs").glob("*.md"), key=lambda page: -page.stat().st_size)
    pages = [without_pictures(page, sources) for page in longest[:most]]
    truths = {page.stem: truth_of(page) for page in pages}
    slides = {
        stem: Truth(truth.words, [(1, w) for level, w in truth.headings if level <= SLIDE_LEVEL])
        for stem, truth in truths.items()
    }
    sheets = {}
    first = folder / "pandoc"
    first.mkdir()
    commands = []
    for page in pages:
        for suffix, writer in PANDOC.items():
            options = ["--slide-level", str(SLIDE_LEVEL)] if suffix == "pptx" else []
            title = ["--metadata", f"title={page.stem}"] if suffix == "epub" else []
            whole = ["-s"] if suffix in ("fb2", "tei.xml", "jats.xml", "docbook.xml") else []
            target = first / f"{page.stem}.{suffix}"
            to = ["-t", writer, *whole, *options, *title, "-o", str(target)]
            commands.append(["pandoc", "-f", "gfm", str(page), *to])
        if tables := truths[page.stem].tables:
            source = folder / f"{page.stem}.json"
            source.write_text(json.dumps(tables))
            _run(peers, str(PEERS), "workbook", str(source), str(first / f"{page.stem}.xlsx"))
            sheets[page.stem] = _of_sheets(tables)
    with ThreadPool() as pool:
        pool.map(lambda command: _run(*command), commands)
    for made_from, target in LIBREOFFICE:
        files = map(str, sorted(first.glob(f"*.{made_from}")))
        made = folder / "libreoffice" / (f"{made_from}-pdf" if target.startswith("pdf") else "")
        profile = f"-env:UserInstallation=file://{folder}/profile"
        to = ["--convert-to", target, "--outdir", str(made)]
        _run("soffice", profile, "--headless", *to, *files)
    kinds = {"xlsx": sheets, "ods": sheets, "xls": sheets, "pptx": slides, "odp": slides}
    found: dict[str, list[tuple[Path, Truth]]] = {}
    for path in sorted(path for path in (*first.iterdir(), *(folder / "libreoffice").rglob("*"))):
        if path.is_dir():
            continue
        stem, _, suffix = path.name.partition(".")
        program = "openpyxl" if suffix == "xlsx" else path.relative_to(folder).parts[0]
        of_kind = slides if path.parent.name == "pptx-pdf" else kinds.get(suffix, truths)
        what = f"{suffix} of slides" if of_kind is slides and suffix == "pdf" else suffix
        found.setdefault(f"{what} by {program}", []).append((path, of_kind[stem]))
    return found


def samples() -> dict[str, list[tuple[Path, Truth]]]:
    """Files of the tests: what is hard in office files, and what other programs wrote."""
    found: dict[str, list[tuple[Path, Truth]]] = {}
    for stem, names in HARD.items():
        truth = typed(OFFICE / "sources" / f"{stem}.txt")
        found.update({name: [(OFFICE / "files" / name, truth)] for name in names})
    for path in sorted(FILES.iterdir()):
        if path.suffix != ".md" or path.name.startswith("guide-"):
            found[path.name] = [(path, truth_of_sample(path))]
    return found


def _of_sheets(tables: list[list[list[str]]]) -> Truth:
    words = []
    for number, table in enumerate(tables, start=1):
        for cells in [[f"Table {number}"], *table]:
            words += [word for cell in cells for word in words_of(cell)]
    return Truth(words, [(1, f"Table {number}") for number in range(1, len(tables) + 1)])


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
