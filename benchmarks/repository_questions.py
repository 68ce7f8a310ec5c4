"""Many questions on real repositories: messages of commits, and questions to documentation.

    python benchmarks/repository_questions.py REPOSITORIES --work FOLDER --out FILE.json

The repositories, splits and indexes are those of `code_questions.py`, whose 64 questions
tell large differences only. Three sets of questions:

    commits        the first line of a commit's message. Right is the one source file that it
                   changed, and a passage with a line that is of that commit to this day. Of
                   changelogs, which repeat the messages, no hit counts.
    headings       headings of the documentation, 30 at most of a repository. Right is the section.
    documentation  questions in other words than the documentation's (`repository_questions.json`),
                   written before any search was asked.

Of each MRR@10 by split, of hybrid: of the first hit in the right file, and of the first that has
the right lines. `--roles 0` asks without roles.
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
    FIRST,
    HITS,
    PACKAGES,
    QUESTIONS,
    Repository,
    Span,
    as_json,
    clone,
    read_questions,
)
from command import run_main
from environment import environment

from retrieval import Hybrid
from retrieval.documents.formats import format_of, outline_of
from retrieval.index import Index
from retrieval.service.location import FOLDER
from retrieval.service.opening import open_or_create
from retrieval.service.updating import update

ASKED = Path(__file__).with_suffix(".json")
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
class Asked:
    """A question and what answers it.

    Attributes:
        set: which of the three.
        text: the question.
        path: the right file.
        lines: the right lines: one of them for a commit, half of them else.
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
    """Index, ask, print, write."""
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
            roles = {one.source or one.id: one.metadata.get("role") for one in index.listed()}
            asked = [*commits(folder, repository.commit, set(roles))]
            asked += [*headings(folder, roles), *documentation(repository)]
            rows += [
                {"repository": repository.name, "split": repository.split} | row
                for row in judged(index, asked, roles, Hybrid(roles=args.roles))
            ]
        print(f"{repository.name}: {len(asked)} questions asked", flush=True)
    result = {**environment(PACKAGES), "roles": args.roles}
    result |= {"mrr_at_10": summary(rows), "questions": rows}
    args.out.write_text(as_json(result), encoding="utf-8")
    print(json.dumps(result["mrr_at_10"], indent=1))


def commits(folder: Path, last: str, indexed: set[str]) -> Iterator[Asked]:
    """Commits up to `last` that changed one source file, of which lines are still there."""
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
            yield Asked("commits", text, path, lines)


def blame(folder: Path, last: str, path: str) -> Mapping[str, Sequence[int]]:
    """The lines of a file that are of each commit, by 39 digits of it: a first one has no more."""
    found: dict[str, list[int]] = defaultdict(list)
    for line in _git(folder, "blame", "-l", "-s", last, "--", path).splitlines():
        if match := _BLAMED.match(line):
            found[match[1]].append(int(match[2]))
    return found


def headings(folder: Path, roles: Mapping[str, object]) -> Iterator[Asked]:
    """Headings of two words or more with a text below them, the same in each run."""
    found = []
    for path in sorted(path for path, role in roles.items() if role == "docs"):
        kind = format_of(path).name
        if kind not in ("markdown", "rst") or not (folder / path).is_file():
            continue
        text = (folder / path).read_text(encoding="utf-8", errors="replace")
        for one in outline_of(text, {"format": kind}).sections:
            if one.level and len(one.heading.split()) > 1 and len(text[one.body : one.end]) > 100:
                lines = range(text.count("\n", 0, one.start) + 1, text.count("\n", 0, one.end) + 1)
                found.append(Asked("headings", one.heading, path, lines))
    random.Random(7).shuffle(found)
    yield from found[:HEADINGS]


def documentation(repository: Repository) -> Iterator[Asked]:
    """What was written down for a repository."""
    for one in json.loads(ASKED.read_text(encoding="utf-8")).get(repository.name, ()):
        first, last = one["lines"]
        yield Asked("documentation", one["question"], one["path"], range(first, last + 1))


def judged(
    index: Index, asked: Sequence[Asked], roles: Mapping[str, object], hybrid: Hybrid
) -> Iterator[dict[str, object]]:
    """Of each question the ranks of the right file and the right lines, None beyond the tenth."""
    found = index.search_batch([one.text for one in asked], HITS, hybrid=hybrid, highlights=False)
    for one, hits in zip(asked, found, strict=True):
        spans = [Span(hit.path or hit.document_id, hit.start_line, hit.end_line) for hit in hits]
        if one.set == "commits":
            spans = [span for span in spans if roles.get(span.path) != "changelog"]
        files = list(dict.fromkeys(span.path for span in spans))[:FIRST]
        right = [one.is_right(span) for span in spans[:FIRST]]
        yield {
            "set": one.set,
            "question": one.text,
            "path": one.path,
            "file": files.index(one.path) + 1 if one.path in files else None,
            "lines": right.index(True) + 1 if True in right else None,
        }


def summary(rows: Sequence[Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """MRR@10 of each set and split."""
    made: dict[str, dict[str, object]] = {}
    for kind in SETS:
        for split in ("development", "held-out"):
            some = [row for row in rows if (row["set"], row["split"]) == (kind, split)]
            ranks = {name: [row[name] for row in some] for name in ("file", "lines")}
            made[f"{kind}, {split}"] = {"questions": len(some)} | {
                name: round(sum(1 / int(str(rank)) for rank in of if rank) / max(1, len(of)), 3)
                for name, of in ranks.items()
            }
    return made


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, check=True, errors="replace"
    )
    return done.stdout


if __name__ == "__main__":
    run_main(main)
