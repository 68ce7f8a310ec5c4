"""All formats: how many of a file's words and headings each reader finds.

    python -m benchmarks.formats --peers PEERS/bin/python [--pages N] [--manuals DIR]
        [--output FILE.json]

The files are those of formats_corpus.py, and with --manuals pairs of the same text as NAME.pdf and
as HTML, in NAME.html or in a folder of that name. For each kind of file: recall and precision of
words (as a multiset, ignoring case), the share of adjacent pairs of words that stay adjacent
(`order`), headings found, with the right level or not, and table rows that are one line. Formats
that are plain text are read as they are, so that line numbers are the file's: their markup counts
against precision.
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
from benchmarks.formats_corpus import PEERS, sample_files, write_corpus
from benchmarks.json_files import write_json
from tests.documents.corpus.truth import Heading, Score, Truth, parsed, words_of

OURS = "retrieval"
SHOWN = (OURS, "markitdown", "pandoc")

_TARGET = re.compile(r"\]\([^)\s]*\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"(#{1,6}) +(.+)")

Corpus = dict[str, list[tuple[Path, Truth]]]


def read_ours(path: Path) -> tuple[str, list[Heading]]:
    """The words that this project reads in a file, and its headings."""
    documents = parsed(path)
    titles = [document.title for document in documents if document.title not in document.text]
    headings = [
        (s.level, s.heading) for document in documents for s in document.outline.sections if s.level
    ]
    return "\n".join([*titles, *(document.text for document in documents)]), headings


def read_markdown(text: str) -> tuple[str, list[Heading]]:
    """The words of a peer's Markdown or plain text, and its headings where it marks them."""
    text = _COMMENT.sub("", _TARGET.sub("]", text)).replace("\\", "")
    lines = (_HEADING.fullmatch(line.strip()) for line in text.splitlines())
    return text, [(len(line[1]), line[2]) for line in lines if line]


def manual_files(folder: Path) -> Corpus:
    """Manuals in PDF, with the words of the same manuals as HTML."""
    files = []
    for path in sorted(folder.glob("*.pdf")):
        html = path.with_suffix(".html")
        if html.exists():
            html_pages = sorted(html.rglob("*.html")) if html.is_dir() else [html]
            files.append(
                (path, Truth(words_of("\n".join(read_ours(page)[0] for page in html_pages))))
            )
    return {"pdf of manuals by TeX and others": files}


def score_readers(corpus: Corpus, peers: str) -> tuple[dict[str, dict[str, Score]], dict[str, str]]:
    """Scores by kind of file and reader, and the peers' versions."""
    paths = "\n".join(str(path) for files in corpus.values() for path, _ in files)
    completed = subprocess.run(
        [peers, str(PEERS), "read"], input=paths, capture_output=True, text=True, check=True
    )
    answer = json.loads(completed.stdout)
    scores: dict[str, dict[str, Score]] = {}
    for kind, files in corpus.items():
        by_reader = scores.setdefault(kind, {})
        for path, truth in files:
            by_reader.setdefault(OURS, Score()).add(*read_ours(path), truth)
            for system, text in answer["texts"][str(path)].items():
                score = by_reader.setdefault(system, Score())
                score.failed += text is None
                score.add(*read_markdown(text or ""), truth)
    return scores, answer["versions"]


def as_dict(score: Score) -> dict[str, Any]:
    """A score's shares and counts, as a JSON object."""
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


def score_table(scores: dict[str, dict[str, Any]], files: dict[str, int]) -> str:
    """Recall, precision and order of words by kind of file and reader, as Markdown."""
    lines = [f"| files | {' | '.join(SHOWN)} |", f"|---{'|---' * len(SHOWN)}|"]
    for kind, by_reader in scores.items():
        cells = []
        for reader in SHOWN:
            score = by_reader.get(reader)
            unread = score is None or score["failed"] == files[kind]
            shares = (score["recall"], score["precision"], score["order"]) if score else ()
            cells.append("-" if unread else " ".join(f"{share:.3f}" for share in shares))
        lines.append(f"| {kind} ({files[kind]}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Score all readers, print the table, and write the scores."""
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
        corpus = write_corpus(Path(name), args.peers, args.pages) | sample_files()
        if args.manuals:
            corpus |= manual_files(args.manuals)
        scores, versions = score_readers(corpus, args.peers)
    files = {kind: len(of_kind) for kind, of_kind in corpus.items()}
    shares = {
        kind: {system: as_dict(score) for system, score in of_kind.items()}
        for kind, of_kind in scores.items()
    }
    print(score_table(shares, files))
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
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    return completed.stdout.splitlines()[0].strip()


if __name__ == "__main__":
    main()
