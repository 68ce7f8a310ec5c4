"""All formats: how many of their words and headings each reader finds, in one run.

    python -m benchmarks.formats --peers PEERS/bin/python [--pages N] [--manuals DIR]
        [--output FILE.json]

The files are those of formats_corpus.py, and with --manuals pairs of the same text as NAME.pdf and
as HTML, in NAME.html or in a folder of that name. For each kind of file: recall and precision of
words (as a multiset, without case), the share of adjacent pairs of words that stay adjacent
(`order`), headings found, with the right level or not, and rows of tables that are a line. Formats
that are text themselves are read as they stand here, so that lines are the file's: their markup
counts against precision.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.formats_corpus import PEERS, samples, written
from benchmarks.json_files import write_json
from tests.documents.corpus.truth import Heading, Score, Truth, parsed, words_of

OURS = "retrieval"
SHOWN = (OURS, "markitdown", "pandoc")

_TARGET = re.compile(r"\]\([^)\s]*\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"(#{1,6}) +(.+)")

Corpus = dict[str, list[tuple[Path, Truth]]]


def ours(path: Path) -> tuple[str, list[Heading]]:
    """The words that this project reads in a file, and its headings."""
    made = parsed(path)
    titles = [one.title for one in made if one.title not in one.text]
    found = [(s.level, s.heading) for one in made for s in one.outline.sections if s.level]
    return "\n".join([*titles, *(one.text for one in made)]), found


def theirs(text: str) -> tuple[str, list[Heading]]:
    """The words of a peer's Markdown or plain text, and its headings, if it marks them."""
    text = _COMMENT.sub("", _TARGET.sub("]", text)).replace("\\", "")
    lines = (_HEADING.fullmatch(line.strip()) for line in text.splitlines())
    return text, [(len(line[1]), line[2]) for line in lines if line]


def manuals(folder: Path) -> Corpus:
    """Manuals in PDF, and the words of the same as HTML."""
    found = []
    for path in sorted(folder.glob("*.pdf")):
        pages = path.with_suffix(".html")
        if pages.exists():
            every = sorted(pages.rglob("*.html")) if pages.is_dir() else [pages]
            found.append((path, Truth(words_of("\n".join(ours(page)[0] for page in every)))))
    return {"pdf of manuals by TeX and others": found}


def measured(corpus: Corpus, peers: str) -> tuple[dict[str, dict[str, Score]], dict[str, str]]:
    """Scores by kind and reader, and the peers' versions."""
    paths = "\n".join(str(path) for files in corpus.values() for path, _ in files)
    done = subprocess.run(
        [peers, str(PEERS), "read"], input=paths, capture_output=True, text=True, check=True
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
    return scores, answer["versions"]


def as_dict(score: Score) -> dict[str, Any]:
    """Shares, and counts of headings."""
    return {
        "recall": round(score.recall, 4),
        "precision": round(score.precision, 4),
        "order": round(score.order, 4),
        "headings": score.headings,
        "headings_with_level": score.levels,
        "headings_wanted": score.headings_wanted,
        "rows": score.rows,
        "rows_wanted": score.rows_wanted,
        "failed": score.failed,
    }


def table(scores: dict[str, dict[str, Any]], files: dict[str, int]) -> str:
    """Recall, precision and order of words by kind of file and reader, as Markdown."""
    lines = [f"| files | {' | '.join(SHOWN)} |", f"|---{'|---' * len(SHOWN)}|"]
    for kind, of_kind in scores.items():
        cells = []
        for reader in SHOWN:
            one = of_kind.get(reader)
            lost = one is None or one["failed"] == files[kind]
            shares = (one["recall"], one["precision"], one["order"]) if one else ()
            cells.append("-" if lost else " ".join(f"{share:.3f}" for share in shares))
        lines.append(f"| {kind} ({files[kind]}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", required=True, help="the interpreter that has the peers")
    parser.add_argument("--pages", type=int, default=100, help="at most so many, the longest")
    parser.add_argument("--manuals", type=Path)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    for program in (args.peers, "pandoc", "soffice"):
        if shutil.which(program) is None:
            parser.error(f"{program} is not there; it is needed, see formats_peers.py")
    with tempfile.TemporaryDirectory() as name:
        corpus = written(Path(name), args.peers, args.pages) | samples()
        if args.manuals:
            corpus |= manuals(args.manuals)
        scores, versions = measured(corpus, args.peers)
    files = {kind: len(of_kind) for kind, of_kind in corpus.items()}
    shares = {
        kind: {system: as_dict(score) for system, score in of_kind.items()}
        for kind, of_kind in scores.items()
    }
    print(table(shares, files))
    if args.output:
        result = {
            **environment(["python-calamine", "pypdfium2"]),
            "peers": versions,
            "programs": {
                "pandoc": _first_line("pandoc", "--version"),
                "libreoffice": _first_line("soffice", "--version"),
            },
            "pages": args.pages,
            "files": files,
            "scores": shares,
        }
        write_json(args.output, result)


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].strip()


if __name__ == "__main__":
    main()
