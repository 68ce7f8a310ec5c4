"""How many of a manual's words PDF readers find, judged by the same manual as HTML.

    python benchmarks/pdf_words.py DIR RESULT.json

DIR holds pairs: NAME.pdf, and the same text as HTML, in NAME.html or in a folder NAME.html/. For
each installed reader (ours, pypdf, poppler's pdftotext): recall and precision of words (runs of
letters and digits, lowercased, as a multiset), the share of the HTML's adjacent pairs of words that
stay adjacent, and CPU seconds. Then, how many headings of the files' own tables of contents are
found by size and weight alone.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from timing import cpu_seconds

from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats import pdf as ours
from retrieval.documents.formats.format import Parsed

WORD = re.compile(r"[^\W_]+")
SECTION_NUMBER = re.compile(r"^(?:(?i:appendix|chapter)\s+)?(?:[A-Z]|\d+)(?:\.\d+)*[.:]?\s+")
"""At the start of a heading; tables of contents may leave it out."""


def words(text: str) -> list[str]:
    """The words of a text."""
    return WORD.findall(text.lower())


def parse(name: str, data: bytes) -> Parsed:
    """The first document of a file."""
    documents = format_of(name, data[:8192]).parse(data, Source(name))
    return documents if isinstance(documents, Parsed) else next(iter(documents))


def html_text(path: Path) -> str:
    """The text of a page, or of all pages of a folder."""
    pages = sorted(path.rglob("*.html")) if path.is_dir() else [path]
    return "\n".join(parse(page.name, page.read_bytes()).text for page in pages)


def read_ours(path: Path) -> str:
    """The text that this package reads."""
    return parse(path.name, path.read_bytes()).text


def read_pypdf(path: Path) -> str:
    """The text that pypdf reads."""
    import pypdf  # type: ignore[import-not-found]

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def read_pdftotext(path: Path) -> str:
    """The text that poppler's pdftotext reads."""
    completed = subprocess.run(["pdftotext", path, "-"], capture_output=True, check=True)
    return completed.stdout.decode("utf-8", "replace")


READERS: dict[str, Callable[[Path], str]] = {
    "ours": read_ours,
    "pdftotext": read_pdftotext,
    "pypdf": read_pypdf,
}


def cpu_seconds_with_children() -> float:
    """CPU seconds of this process and of the children that it waited for."""
    return cpu_seconds() + cpu_seconds(resource.RUSAGE_CHILDREN)


def covered_share(found: Counter[object], wanted: Counter[object]) -> float:
    """The share of one multiset that another one covers."""
    return sum((found & wanted).values()) / max(1, sum(wanted.values()))


def compare_words(words_found: list[str], words_expected: list[str]) -> tuple[float, float, float]:
    """Recall and precision of words, and recall of adjacent pairs."""
    found_counts, expected_counts = Counter[object](words_found), Counter[object](words_expected)
    pairs, true_pairs = (
        Counter[object](pairwise(words_found)),
        Counter[object](pairwise(words_expected)),
    )
    return (
        covered_share(found_counts, expected_counts),
        covered_share(expected_counts, found_counts),
        covered_share(pairs, true_pairs),
    )


def count_headings(path: Path) -> tuple[int, int, int]:
    """Headings in the table of contents, headings by size and weight, and those in both."""
    by_contents = parse(path.name, path.read_bytes())
    original = ours.are_useful
    ours.are_useful = lambda entries: False
    try:
        by_type = parse(path.name, path.read_bytes())
    finally:
        ours.are_useful = original
    headings = [
        Counter[object](
            "".join(words(SECTION_NUMBER.sub("", section.heading, count=1)))
            for section in document.outline.sections
            if section.level
        )
        for document in (by_contents, by_type)
    ]
    both = sum((headings[0] & headings[1]).values())
    return sum(headings[0].values()), sum(headings[1].values()), both


def main() -> None:
    """Measure every reader, print the table, and write the result."""
    files = sorted(
        path for path in Path(sys.argv[1]).glob("*.pdf") if path.with_suffix(".html").exists()
    )
    rows_by_file: dict[str, dict[str, list[float]]] = {}
    totals: dict[str, list[tuple[float, ...]]] = {}
    for path in files:
        wanted = words(html_text(path.with_suffix(".html")))
        for name, reader in READERS.items():
            started = cpu_seconds_with_children()
            try:
                text = reader(path)
            except (ImportError, FileNotFoundError):  # the reader is not installed
                continue
            cpu_s = cpu_seconds_with_children() - started
            row = (*compare_words(words(text), wanted), cpu_s)
            totals.setdefault(name, []).append(row)
            rows_by_file.setdefault(path.stem, {})[name] = [round(value, 4) for value in row]
            print(f"{path.stem:24} {name:10} " + " ".join(f"{value:6.3f}" for value in row))
    print(f"\n{'mean':24} {'reader':10} recall  prec. order  seconds in all")
    for name, rows in totals.items():
        mean_values = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        print(
            f"{'':24} {name:10} " + " ".join(f"{value:6.3f}" for value in mean_values[:3]), end=""
        )
        print(f" {sum(row[3] for row in rows):6.1f}")
    counts = [count_headings(path) for path in files]
    for path, (contents, by_type, both) in zip(files, counts, strict=True):
        print(f"{path.stem:24} headings {contents:5} by type {by_type:5} both {both:5}")
    contents, by_type, both = (sum(column) for column in zip(*counts, strict=True))
    print(f"headings by type: recall {both / contents:.3f}, precision {both / by_type:.3f}")
    result = {
        "measures": ["recall", "precision", "order", "seconds"],
        "files": rows_by_file,
        "headings": {path.stem: count for path, count in zip(files, counts, strict=True)},
    }
    Path(sys.argv[2]).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
