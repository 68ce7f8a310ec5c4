"""Many questions about real repositories: commit messages, headings, questions to documentation.

    python benchmarks/repository_questions.py REPOSITORIES --work FOLDER --out FILE.json

Repositories, splits and indexes are those of `code_questions.py`, whose 64 questions show only
large differences. There are three sets of questions:

    commits        the first line of a commit's message. Right are the one source file that it
                   changed, and a passage with a line that is still of that commit. Hits in
                   changelogs, which repeat the messages, do not count.
    headings       headings of the documentation, at most 30 per repository. Right is the section.
    documentation  questions in other words than the documentation's (`repository_questions.json`),
                   written before any search.

Measured is MRR@10 of hybrid search by set and split: of the first hit in the right file, and of the
first with the right lines. `--roles 0` ignores the roles of files.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from code_questions import (
    DEPTH,
    PACKAGES,
    QUESTIONS,
    SEARCHED_HITS,
    Repository,
    Span,
    clone,
    read_questions,
    to_json,
)
from command import run_main
from environment import environment

from retrieval import Hybrid
from retrieval.documents.formats import format_of, outline_of
from retrieval.index import Index
from retrieval.service.location import FOLDER
from retrieval.service.opening import open_or_create
from retrieval.service.updating import update

DOCUMENTATION_QUESTIONS = Path(__file__).with_suffix(".json")
SETS = ("commits", "headings", "documentation")
HEADINGS = 30

_SOURCE = re.compile(r".*\.(?:go|rs|js|py|ts)")
_NO_SOURCE = re.compile(r"test|spec|example|bench|(?:^|/)(?:docs?|dist)/")
_MOST_FILES = 4
_FEWEST_WORDS, _MOST_CHARACTERS = 4, 120
_PREFIX = re.compile(r"^\s*(?:\w+(?:\([^)]*\))?!?:|\[[^\]]*\])\s*")
_NUMBER = re.compile(r"\s*\(?#\d+\)?")
_NO_QUESTION = re.compile(
    r"\b(?:merge|bump|release|version|typo|lint|fmt|format|clippy|revert|wip|readme|changelog|docs?"
    r"|rename|refactor|clean ?up|whitespace|prepare|style|chore|ci|tests?)\b",
    re.IGNORECASE,
)
_BLAMED = re.compile(r"\^?([0-9a-f]{39})[0-9a-f]?\s+(?:\S+\s+)?(\d+)\)")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what answers it.

    Attributes:
        set: which of the three sets it belongs to.
        text: the question.
        path: the right file.
        lines: the right lines: one of them suffices for a commit, otherwise half of them.
    """

    set: str
    text: str
    path: str
    lines: Sequence[int]

    def is_right(self, hit: Span) -> bool:
        """Whether a hit has the right lines."""
        if self.set == "commits":
            return hit.path == self.path and any(hit.start <= n <= hit.end for n in self.lines)
        return hit.covers(Span(self.path, self.lines[0], self.lines[-1]))


def main() -> None:
    """Index, search, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repositories", type=Path, metavar="REPOSITORIES")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--roles", type=float, default=1.0, help="a factor of what roles count")
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    for repository in read_questions(QUESTIONS):
        folder = clone(repository, args.repositories, args.work)
        with open_or_create(folder / FOLDER) as index:
            update(index, [folder])
            roles = {
                entry.source or entry.id: entry.metadata.get("role") for entry in index.listed()
            }
            questions = [*commit_questions(folder, repository.commit, set(roles))]
            questions += [*heading_questions(folder, roles), *documentation_questions(repository)]
            rows += [
                {"repository": repository.name, "split": repository.split} | row
                for row in judge(index, questions, roles, Hybrid(roles=args.roles))
            ]
        print(f"{repository.name}: {len(questions)} questions asked", flush=True)
    result = {**environment(PACKAGES), "roles": args.roles}
    result |= {"mrr_at_10": summarise(rows), "questions": rows}
    args.out.write_text(to_json(result), encoding="utf-8")
    print(json.dumps(result["mrr_at_10"], indent=1))


def commit_questions(folder: Path, last: str, indexed: set[str]) -> Iterator[Question]:
    """Commits up to `last` that changed one source file and have lines left in it."""
    log = _git(folder, "log", "--no-merges", "--name-only", "--format=%x00%H%x01%s", last)
    blamed: dict[str, Mapping[str, Sequence[int]]] = {}
    for entry in log.split("\0")[1:]:
        head, _, names = entry.partition("\n")
        commit, subject = head.split("\1", 1)
        files = names.split()
        source = [name for name in files if _SOURCE.fullmatch(name) and not _NO_SOURCE.search(name)]
        text = _NUMBER.sub("", _PREFIX.sub("", subject)).strip(" .")
        few = len(text.split()) < _FEWEST_WORDS or len(text) > _MOST_CHARACTERS
        if len(source) != 1 or len(files) > _MOST_FILES or few or _NO_QUESTION.search(subject):
            continue
        (path,) = source
        if path not in indexed:
            continue
        if path not in blamed:
            blamed[path] = blame(folder, last, path)
        if lines := blamed[path].get(commit[:39]):
            yield Question("commits", text, path, lines)


def blame(folder: Path, last: str, path: str) -> Mapping[str, Sequence[int]]:
    """The lines of a file by the first 39 digits of their commit; root commits show no more."""
    lines: dict[str, list[int]] = defaultdict(list)
    for line in _git(folder, "blame", "-l", "-s", last, "--", path).splitlines():
        if match := _BLAMED.match(line):
            lines[match[1]].append(int(match[2]))
    return lines


def heading_questions(folder: Path, roles: Mapping[str, object]) -> Iterator[Question]:
    """Headings of at least two words with text below them, drawn with a fixed seed."""
    questions = []
    for path in sorted(path for path, role in roles.items() if role == "docs"):
        kind = format_of(path).name
        if kind not in ("markdown", "rst") or not (folder / path).is_file():
            continue
        text = (folder / path).read_text(encoding="utf-8", errors="replace")
        for section in outline_of(text, {"format": kind}).sections:
            if (
                section.level
                and len(section.heading.split()) > 1
                and len(text[section.body : section.end]) > 100
            ):
                lines = range(
                    text.count("\n", 0, section.start) + 1, text.count("\n", 0, section.end) + 1
                )
                questions.append(Question("headings", section.heading, path, lines))
    random.Random(7).shuffle(questions)
    yield from questions[:HEADINGS]


def documentation_questions(repository: Repository) -> Iterator[Question]:
    """The written questions of a repository."""
    for entry in json.loads(DOCUMENTATION_QUESTIONS.read_text(encoding="utf-8")).get(
        repository.name, ()
    ):
        first, last = entry["lines"]
        yield Question("documentation", entry["question"], entry["path"], range(first, last + 1))


def judge(
    index: Index, questions: Sequence[Question], roles: Mapping[str, object], hybrid: Hybrid
) -> Iterator[dict[str, object]]:
    """The ranks of the right file and the right lines of each question; None beyond the tenth."""
    results = index.search_batch(
        [question.text for question in questions], SEARCHED_HITS, hybrid=hybrid, highlights=False
    )
    for question, hits in zip(questions, results, strict=True):
        spans = [Span(hit.path or hit.document_id, hit.start_line, hit.end_line) for hit in hits]
        if question.set == "commits":
            spans = [span for span in spans if roles.get(span.path) != "changelog"]
        files = list(dict.fromkeys(span.path for span in spans))[:DEPTH]
        right = [question.is_right(span) for span in spans[:DEPTH]]
        yield {
            "set": question.set,
            "question": question.text,
            "path": question.path,
            "file": files.index(question.path) + 1 if question.path in files else None,
            "lines": right.index(True) + 1 if True in right else None,
        }


def summarise(rows: Sequence[Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """MRR@10 of each set and split."""
    result: dict[str, dict[str, object]] = {}
    for kind in SETS:
        for split in ("development", "held-out"):
            members = [row for row in rows if (row["set"], row["split"]) == (kind, split)]
            ranks = {name: [row[name] for row in members] for name in ("file", "lines")}
            result[f"{kind}, {split}"] = {"questions": len(members)} | {
                name: round(
                    sum(1 / int(str(rank)) for rank in values if rank) / max(1, len(values)), 3
                )
                for name, values in ranks.items()
            }
    return result


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, check=True, errors="replace"
    )
    return done.stdout


if __name__ == "__main__":
    run_main(main)
