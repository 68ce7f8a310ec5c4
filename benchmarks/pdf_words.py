"""What PDF readers find of a manual's words, against the same manual as HTML.

    python benchmarks/pdf_words.py DIR RESULT.json

DIR holds pairs: NAME.pdf, and the same text as HTML, in NAME.html or in a folder NAME.html/. For
each reader that is there (ours, pypdf, poppler's pdftotext) it prints recall and precision of
words (runs of letters and digits, in lower case, counted as often as they stand), the share of the
HTML's pairs of neighbouring words that are neighbours, and a processor's seconds. Then, how many
headings of the files' own tables of contents are found by size and weight alone.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats import pdf as ours
from retrieval.documents.formats.format import Parsed

WORD = re.compile(r"[^\W_]+")
NUMBER = re.compile(r"^(?:(?i:appendix|chapter)\s+)?(?:[A-Z]|\d+)(?:\.\d+)*[.:]?\s+")
"""Of a heading, which the table of contents may leave out."""


def words(text: str) -> list[str]:
    """A text's words."""
    return WORD.findall(text.lower())


def parsed(name: str, data: bytes) -> Parsed:
    """The first document of a file."""
    made = format_of(name, data[:8192]).parse(data, Source(name))
    return made if isinstance(made, Parsed) else next(iter(made))


def of_html(path: Path) -> str:
    """The text of a page, or of all pages of a folder."""
    pages = sorted(path.rglob("*.html")) if path.is_dir() else [path]
    return "\n".join(parsed(page.name, page.read_bytes()).text for page in pages)


def of_ours(path: Path) -> str:
    """By this package."""
    return parsed(path.name, path.read_bytes()).text


def of_pypdf(path: Path) -> str:
    """By pypdf."""
    import pypdf  # type: ignore[import-not-found]

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def of_poppler(path: Path) -> str:
    """By poppler's pdftotext."""
    done = subprocess.run(["pdftotext", path, "-"], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace")


READERS: dict[str, Callable[[Path], str]] = {
    "ours": of_ours,
    "pdftotext": of_poppler,
    "pypdf": of_pypdf,
}


def seconds() -> float:
    """A processor's, of this process and of those that it started."""
    return time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def share(found: Counter[object], of: Counter[object]) -> float:
    """Of one bag of things, how much is in another."""
    return sum((found & of).values()) / max(1, sum(of.values()))


def measures(got: list[str], wanted: list[str]) -> tuple[float, float, float]:
    """Recall and precision of words, and recall of pairs of neighbours."""
    found, truth = Counter[object](got), Counter[object](wanted)
    pairs, true_pairs = Counter[object](pairwise(got)), Counter[object](pairwise(wanted))
    return share(found, truth), share(truth, found), share(pairs, true_pairs)


def headings(path: Path) -> tuple[int, int, int]:
    """Headings of the table of contents, those by size and weight, and those that are both."""
    by_contents = parsed(path.name, path.read_bytes())
    useful = ours.are_useful
    ours.are_useful = lambda entries: False
    by_type = parsed(path.name, path.read_bytes())
    ours.are_useful = useful
    lists = [
        Counter[object](
            "".join(words(NUMBER.sub("", one.heading, count=1)))
            for one in made.outline.sections
            if one.level
        )
        for made in (by_contents, by_type)
    ]
    both = sum((lists[0] & lists[1]).values())
    return sum(lists[0].values()), sum(lists[1].values()), both


def main() -> None:
    """Print the table, and write the result."""
    files = sorted(
        path for path in Path(sys.argv[1]).glob("*.pdf") if path.with_suffix(".html").exists()
    )
    rows_by_file: dict[str, dict[str, list[float]]] = {}
    totals: dict[str, list[tuple[float, ...]]] = {}
    for path in files:
        wanted = words(of_html(path.with_suffix(".html")))
        for name, reader in READERS.items():
            before = seconds()
            try:
                text = reader(path)
            except ImportError:
                continue
            took = seconds() - before
            row = (*measures(words(text), wanted), took)
            totals.setdefault(name, []).append(row)
            rows_by_file.setdefault(path.stem, {})[name] = [round(value, 4) for value in row]
            print(f"{path.stem:24} {name:10} " + " ".join(f"{value:6.3f}" for value in row))
    print(f"\n{'mean':24} {'reader':10} recall  prec. order  seconds in all")
    for name, rows in totals.items():
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        print(f"{'':24} {name:10} " + " ".join(f"{value:6.3f}" for value in means[:3]), end="")
        print(f" {sum(row[3] for row in rows):6.1f}")
    counts = [headings(path) for path in files]
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
