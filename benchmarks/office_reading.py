"""Office files: how many of their words and headings each reader finds.

    python -m benchmarks.office_reading --peers PEERS/bin/python [--output FILE.json]

The pages of docs/ are written as office files by pandoc, and once more by LibreOffice from those;
their tables become workbooks. What a page holds is known from its source, as pandoc parses it.
Files of the tests that hold what is hard (comments, boxes, tracked changes, hidden text, charts,
groups, merged cells, titles above tables) are measured apart, by their words as they were typed.
For each format: recall and precision of words (as a multiset, without case), the share of adjacent
pairs of words that stay adjacent (`order`), and headings found, with the right level or not.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats.format import Parsed

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "documents" / "office"
HARD = {
    "letter": ("letter-python-docx.docx", "letter-strict.docx"),
    "deck": ("deck-python-pptx.pptx", "deck-libreoffice.odp"),
    "stores": ("stores-openpyxl.xlsx",),
}
PEERS = Path(__file__).with_name("office_peers.py")
OURS = "retrieval"
SLIDE_LEVEL = 2

_WORD = re.compile(r"\w+")
_TARGET = re.compile(r"\]\([^)\s]*\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"(#{1,6}) +(.+)")

Heading = tuple[int, str]


@dataclass
class Truth:
    """What a page holds: its words in order, its headings, its tables."""

    words: list[str] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)


@dataclass
class Score:
    """Counts over several files."""

    hit: int = 0
    found: int = 0
    wanted: int = 0
    pairs: int = 0
    pairs_wanted: int = 0
    headings: int = 0
    levels: int = 0
    headings_wanted: int = 0
    failed: int = 0

    def add(self, text: str, headings: Sequence[Heading], truth: Truth) -> None:
        """Count a file."""
        words = words_of(text)
        wanted = Counter(truth.words)
        self.hit += (Counter(words) & wanted).total()
        self.found += len(words)
        self.wanted += len(truth.words)
        pairs = Counter(pairwise(truth.words))
        self.pairs += (Counter(pairwise(words)) & pairs).total()
        self.pairs_wanted += pairs.total()
        named = Counter(same(words) for _, words in truth.headings)
        self.headings += (Counter(same(words) for _, words in headings) & named).total()
        levels = Counter((level, same(words)) for level, words in truth.headings)
        self.levels += (Counter((at, same(words)) for at, words in headings) & levels).total()
        self.headings_wanted += len(truth.headings)

    def as_dict(self) -> dict[str, Any]:
        """Shares, and counts of headings."""
        return {
            "recall": round(self.hit / max(self.wanted, 1), 4),
            "precision": round(self.hit / max(self.found, 1), 4),
            "order": round(self.pairs / max(self.pairs_wanted, 1), 4),
            "headings": self.headings,
            "headings_with_level": self.levels,
            "headings_wanted": self.headings_wanted,
            "failed": self.failed,
        }


def words_of(text: str) -> list[str]:
    """The words of a text, without case."""
    return _WORD.findall(text.casefold())


def same(heading: str) -> str:
    """A heading as it is compared."""
    return " ".join(words_of(heading))


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


def typed(source: Path) -> Truth:
    """What a file of the tests holds: its lines, those with # headings."""
    found = Truth()
    for line in source.read_text(encoding="utf-8").splitlines():
        if heading := _HEADING.fullmatch(line):
            found.headings.append((len(heading[1]), heading[2]))
        found.words += words_of(line)
    return found


def without_pictures(page: Path, folder: Path) -> Path:
    """The page without its pictures, whose descriptions some programs show and some do not."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", page.read_text(encoding="utf-8"))
    made = folder / page.name
    made.write_text(text, encoding="utf-8")
    return made


def written(folder: Path, peers: str) -> dict[str, list[tuple[Path, Truth]]]:
    """Files of each format and program, with what they hold."""
    sources = folder / "sources"
    sources.mkdir()
    pages = [without_pictures(page, sources) for page in sorted((ROOT / "docs").glob("*.md"))]
    truths = {page.stem: truth_of(page) for page in pages}
    slides = {
        stem: Truth(truth.words, [(1, w) for level, w in truth.headings if level <= SLIDE_LEVEL])
        for stem, truth in truths.items()
    }
    sheets = {}
    first = folder / "pandoc"
    first.mkdir()
    for page in pages:
        for suffix in ("docx", "odt", "epub", "pptx"):
            options = ["--slide-level", str(SLIDE_LEVEL)] if suffix == "pptx" else []
            title = [] if suffix != "epub" else ["--metadata", f"title={page.stem}"]
            target = first / f"{page.stem}.{suffix}"
            _run("pandoc", "-f", "gfm", *options, *title, str(page), "-o", str(target))
        if tables := truths[page.stem].tables:
            source = folder / f"{page.stem}.json"
            source.write_text(json.dumps(tables))
            _run(peers, str(PEERS), "workbook", str(source), str(first / f"{page.stem}.xlsx"))
            sheets[page.stem] = Truth(
                [
                    word
                    for number, table in enumerate(tables, start=1)
                    for cells in [[f"Table {number}"], *table]
                    for cell in cells
                    for word in words_of(cell)
                ],
                [(1, f"Table {number}") for number in range(1, len(tables) + 1)],
            )
    for made_from, suffix in (
        ("odt", "docx:MS Word 2007 XML"), ("docx", "odt:writer8"), ("pptx", "odp:impress8"),
        ("xlsx", "ods:calc8"), ("xlsx", "xls:MS Excel 97"),
    ):  # fmt: skip
        files = map(str, sorted(first.glob(f"*.{made_from}")))
        target = str(folder / "libreoffice")
        profile = f"-env:UserInstallation=file://{folder}/profile"
        _run("soffice", profile, "--headless", "--convert-to", suffix, "--outdir", target, *files)
    kinds = {"xlsx": sheets, "ods": sheets, "xls": sheets, "pptx": slides, "odp": slides}
    found: dict[str, list[tuple[Path, Truth]]] = {}
    for path in sorted([*first.iterdir(), *(folder / "libreoffice").iterdir()]):
        suffix = path.suffix[1:]
        program = "openpyxl" if suffix == "xlsx" else path.parent.name
        truth = kinds.get(suffix, truths)[path.stem]
        found.setdefault(f"{suffix} by {program}", []).append((path, truth))
    for stem, names in HARD.items():
        truth = typed(TESTS / "sources" / f"{stem}.txt")
        found.update({name: [(TESTS / "files" / name, truth)] for name in names})
    return found


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def ours(path: Path) -> tuple[str, list[Heading]]:
    """What this project reads in a file."""
    made = format_of(path.name).parse(path.read_bytes(), Source(path.name))
    assert isinstance(made, Parsed)
    return made.text, [(s.level, s.heading) for s in made.outline.sections if s.level]


def theirs(text: str) -> tuple[str, list[Heading]]:
    """The words of a peer's Markdown or plain text, and its headings, if it marks them."""
    text = _COMMENT.sub("", _TARGET.sub("]", text)).replace("\\", "")
    lines = (_HEADING.fullmatch(line.strip()) for line in text.splitlines())
    return text, [(len(line[1]), line[2]) for line in lines if line]


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", required=True, help="the interpreter that has the peers")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        corpus = written(Path(name), given.peers)
        paths = "\n".join(str(path) for files in corpus.values() for path, _ in files)
        done = subprocess.run(
            [given.peers, str(PEERS), "read"],
            input=paths,
            capture_output=True,
            text=True,
            check=True,
        )
        answer = json.loads(done.stdout)
        scores: dict[str, dict[str, Score]] = {}
        for kind, files in corpus.items():
            of_kind = scores.setdefault(kind, {})
            for path, truth in files:
                of_kind.setdefault(OURS, Score()).add(*ours(path), truth)
                for system, text in answer["texts"][str(path)].items():
                    score = of_kind.setdefault(system, Score())
                    score.failed += text is None
                    score.add(*theirs(text or ""), truth)
    result = {
        **environment(["python-calamine"]),
        "peers": answer["versions"],
        "programs": {
            "pandoc": _first_line("pandoc", "--version"),
            "libreoffice": _first_line("soffice", "--version"),
        },
        "files": {kind: len(files) for kind, files in corpus.items()},
        "scores": {
            kind: {system: score.as_dict() for system, score in of_kind.items()}
            for kind, of_kind in scores.items()
        },
    }
    print("| files | reader | recall | precision | order | headings | with their level |")
    print("|---|---|---|---|---|---|---|")
    for kind, of_kind in result["scores"].items():
        for system, one in of_kind.items():
            print(
                f"| {kind} ({len(corpus[kind])}) | {system} | {one['recall']:.3f} | "
                f"{one['precision']:.3f} | {one['order']:.3f} | {one['headings']} of "
                f"{one['headings_wanted']} | {one['headings_with_level']} |"
            )
    if given.output:
        given.output.write_text(json.dumps(result, indent=2) + "\n")


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].strip()


if __name__ == "__main__":
    main()
