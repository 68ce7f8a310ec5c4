"""Questions on real repositories: is the right file found, and are the right lines?

    python benchmarks/code_questions.py REPOSITORIES --work FOLDER --out FILE.json

REPOSITORIES is a folder of git checkouts, each named as its repository on GitHub without the owner
(`cobra` of `spf13/cobra`), at the commit that `code_questions.json` names. Each is cloned into
`--work` and indexed there as `retrieval index .` does; an index that is there already is brought up
to date, with `--again` by reading every file. Whoever changes search looks at the development
split alone; the held-out one says whether it was worth it.

The questions were written, with their files and lines, before any search was asked. They are of
four kinds: `behaviour` in words that the code hardly uses, an `identifier` whose definition is
asked for, an `error message`, and `not source`: tests, examples, documentation or the changelog
asked for by name. Of three measures each is the mean reciprocal rank among the first ten (MRR@10):

    file        the first hit of a right file, each file's further hits left out
    lines       the first hit, as they come, that has at least half of the right lines, or at least
                half of whose own lines are right
    best lines  the same, of each file its best hit alone

Beside the retrievers: `grep windows` ranks windows of twenty lines by how many different words of
the question are in them, `grep files` and `bm25s` rank whole files, by the same and by BM25.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment

from retrieval.errors import InputError
from retrieval.eval.datasets import assemble
from retrieval.eval.systems.bm25 import Bm25s
from retrieval.index import Index
from retrieval.service.location import FOLDER
from retrieval.service.opening import open_or_create
from retrieval.service.searching import SearchOptions, search
from retrieval.service.updating import update
from retrieval.types import RETRIEVERS, Document

QUESTIONS = Path(__file__).with_suffix(".json")
PACKAGES = ("modernbert-retrieval", "onnxruntime", "tantivy", "faiss-cpu", "bm25s")
SPLITS = ("development", "held-out")
MEASURES = ("file", "lines", "best lines")
HITS = 100
"""Of a question, so that ten files are among them."""
FIRST = 10
WINDOW, STEP = 20, 10
"""Lines of a window of grep's, and from one to the next."""


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of a file, or all of it.

    Attributes:
        path: relative to the repository.
        start, end: its first and last line, from 1; 0 and 0 where the file is ranked as a whole.
    """

    path: str
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.start}-{self.end}" if self.end else self.path

    def covers(self, other: Span) -> bool:
        """Whether the two have at least half of the shorter one's lines in common."""
        if self.path != other.path or not self.end:
            return False
        common = min(self.end, other.end) - max(self.start, other.start) + 1
        return 2 * common >= min(self.end - self.start, other.end - other.start) + 1


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and every place that answers it."""

    id: str
    kind: str
    text: str
    answers: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Repository:
    """One checkout and its questions."""

    name: str
    commit: str
    language: str
    split: str
    questions: tuple[Question, ...]


Ranking = Sequence[Span]
"""Best first."""


def main() -> None:
    """Index, ask, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repositories", type=Path, metavar="REPOSITORIES")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=[*SPLITS, "all"], default="all")
    parser.add_argument("--again", action="store_true", help="read every file again")
    args = parser.parse_args()
    rows = []
    for repository in read_questions(QUESTIONS):
        if args.split in (repository.split, "all"):
            rows += measured(repository, args.repositories, args.work, again=args.again)
            print(f"{repository.name}: {len(repository.questions)} questions asked", flush=True)
    result = {
        **environment(PACKAGES),
        "split": args.split,
        "mrr_at_10": summary(rows),
        "other_roles_above_source": roles_above(rows),
        "questions": rows,
    }
    args.out.write_text(as_json(result), encoding="utf-8")
    show(result)


def read_questions(path: Path) -> list[Repository]:
    """The repositories and what is asked of them."""
    return [
        Repository(
            one["name"],
            one["commit"],
            one["language"],
            one["split"],
            tuple(
                Question(
                    asked["id"],
                    asked["kind"],
                    asked["question"],
                    tuple(Span(place["path"], *place["lines"]) for place in asked["answers"]),
                )
                for asked in one["questions"]
            ),
        )
        for one in json.loads(path.read_text(encoding="utf-8"))["repositories"]
    ]


def measured(
    repository: Repository, checkouts: Path, work: Path, *, again: bool
) -> list[dict[str, Any]]:
    """Of each question: the ranks by every system, its first hit and what stands above."""
    folder = clone(repository, checkouts, work)
    with open_or_create(folder / FOLDER) as index:
        update(index, [folder], again=again)
        roles = {one.source or one.id: str(one.metadata.get("role", "")) for one in index.listed()}
        texts = {
            path: (folder / path).read_text(encoding="utf-8", errors="replace")
            for path in sorted(roles)
            if (folder / path).is_file()
        }
        check_answers(repository, texts)
        rankings = asked_of_index(index, repository.questions)
    rankings |= grep(texts, repository.questions)
    rankings["bm25s"] = bm25(texts, repository, work / "bm25s")
    return [
        {
            "id": question.id,
            "repository": repository.name,
            "language": repository.language,
            "split": repository.split,
            "kind": question.kind,
            "question": question.text,
            "systems": {
                system: judged(question, found[question.id], roles)
                for system, found in rankings.items()
            },
        }
        for question in repository.questions
    ]


def clone(repository: Repository, checkouts: Path, work: Path) -> Path:
    """A clone of the checkout at the commit that the questions are of, to be indexed.

    Raises:
        InputError: there is no checkout, or it has not got that commit.
    """
    name = repository.name.rpartition("/")[2]
    checkout, folder = checkouts / name, work / name
    if not (checkout / ".git").exists():
        raise InputError(
            f"{checkout} is no git checkout; "
            f"git clone https://github.com/{repository.name} {checkout}"
        )
    if not folder.exists():
        work.mkdir(parents=True, exist_ok=True)
        _git("clone", "--quiet", "--shared", "--no-checkout", str(checkout.resolve()), str(folder))
    done = _git("-C", str(folder), "checkout", "--quiet", "--force", repository.commit)
    if done.returncode:
        raise InputError(
            f"{checkout} has no commit {repository.commit}, which the questions are of; "
            "fetch it there"
        )
    return folder


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True)


def check_answers(repository: Repository, texts: Mapping[str, str]) -> None:
    """Refuse an answer that is nowhere: it could not be found by anybody."""
    for question in repository.questions:
        for place in question.answers:
            if place.path not in texts or place.end > len(texts[place.path].splitlines()):
                raise InputError(f"{question.id}: {place} is not in the index of {repository.name}")


def asked_of_index(index: Index, questions: Iterable[Question]) -> dict[str, dict[str, Ranking]]:
    """The hits of each retriever, by question."""
    return {
        retriever: {
            question.id: [
                Span(hit.path or hit.document_id, hit.start_line, hit.end_line)
                for hit in search(
                    index, question.text, SearchOptions(k=HITS, retriever=retriever)
                ).hits
            ]
            for question in questions
        }
        for retriever in RETRIEVERS
    }


def grep(texts: Mapping[str, str], questions: Iterable[Question]) -> dict[str, dict[str, Ranking]]:
    """Files and windows by the number of the question's words that are in them.

    Case does not count, nor whether a word is a part of another. Of equals the one is first that is
    in the file with more of the words, and then the one of the smaller path.
    """
    lines = {path: text.lower().splitlines() for path, text in texts.items()}
    files: dict[str, Ranking] = {}
    windows: dict[str, Ranking] = {}
    for question in questions:
        words = {word for word in re.findall(r"\w+", question.text.lower()) if len(word) > 2}
        in_file, found = {}, []
        for path, all_lines in lines.items():
            at = [{word for word in words if word in line} for line in all_lines]
            in_file[path] = len(set().union(*at))
            for start in range(0, max(1, len(at) - WINDOW + STEP), STEP):
                count = len(set().union(*at[start : start + WINDOW]))
                end = min(start + WINDOW, len(at))
                found.append((-count, -in_file[path], path, start + 1, end))
        files[question.id] = [
            Span(path)
            for path, count in sorted(in_file.items(), key=lambda one: (-one[1], one[0]))
            if count
        ]
        windows[question.id] = [
            Span(path, start, end) for count, _, path, start, end in sorted(found) if count
        ]
    return {"grep windows": windows, "grep files": files}


def bm25(texts: Mapping[str, str], repository: Repository, work: Path) -> dict[str, Ranking]:
    """Files by BM25."""
    questions = repository.questions
    collection = assemble(
        repository.name,
        repository.split,
        lambda: (Document(path, text) for path, text in texts.items()),
        [(question.id, question.text) for question in questions],
        [(one.id, place, 1) for one in questions for place in {a.path for a in one.answers}],
    )
    system = Bm25s()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    system.index(collection, work, None)
    found = system.search(collection.queries, HITS)
    return {id: [Span(path) for path in ranked] for id, ranked in found.items()}


def judged(question: Question, found: Ranking, roles: Mapping[str, str]) -> dict[str, Any]:
    """The three ranks, None beyond the first ten; the first hit; and which files stand above."""
    by_path: dict[str, Span] = {}
    for span in found:
        by_path.setdefault(span.path, span)
    best = list(by_path.values())
    right = {place.path for place in question.answers}
    file = _rank([span.path in right for span in best])
    at = file - 1 if file else FIRST
    return {
        "file": file,
        "lines": _rank([_covers(span, question) for span in found]),
        "best lines": _rank([_covers(span, question) for span in best]),
        "first": str(found[0]) if found else None,
        "above": {span.path: roles.get(span.path, "") for span in best[:at]},
    }


def _covers(span: Span, question: Question) -> bool:
    return any(span.covers(place) for place in question.answers)


def _rank(right: Sequence[bool]) -> int | None:
    return right.index(True) + 1 if True in right[:FIRST] else None


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """MRR@10 of every system and measure: of all, by split, language and kind."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        for group in ("all", row["split"], row["language"], row["kind"]):
            groups[group].append(row)
    return {
        group: {"questions": len(members)}
        | {
            system: {
                measure: round(_mean(row["systems"][system][measure] for row in members), 3)
                for measure in MEASURES
                if measure == "file" or system not in ("grep files", "bm25s")
            }
            for system in members[0]["systems"]
        }
        for group, members in groups.items()
    }


def _mean(ranks: Iterable[int | None]) -> float:
    parts = [1 / rank if rank else 0.0 for rank in ranks]
    return sum(parts) / len(parts)


def roles_above(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Of the questions that source code answers, how many have a file of each role above the right.

    Where no right file is among the first ten, they are what stands above.
    """
    source = [row for row in rows if row["kind"] != "not source"]
    return {
        system: {"questions": len(source)}
        | dict(
            sorted(
                Counter(
                    role
                    for row in source
                    for role in set(row["systems"][system]["above"].values()) - {"source"}
                ).items()
            )
        )
        for system in (source[0]["systems"] if source else ())
    }


def as_json(result: Mapping[str, Any]) -> str:
    """The result with a question a line."""
    whole = json.dumps({**result, "questions": []}, indent=1, ensure_ascii=False)
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in result["questions"])
    return whole.removesuffix("[]\n}") + f"[\n{lines}\n ]\n}}\n"


def show(result: Mapping[str, Any]) -> None:
    """The table, and which questions of the development split hybrid search does not answer first.

    Of the held-out split they are not shown, so that nothing is made to fit them.
    """
    for group, found in result["mrr_at_10"].items():
        print(f"\n{group}: {found['questions']} questions")
        for system, values in found.items():
            if system != "questions":
                shown = (f"{name} {value:.3f}" for name, value in values.items())
                print(f"  {system:13}", *shown, sep="  ")
    print(f"\nother roles above source: {result['other_roles_above_source']['hybrid']}")
    for row in result["questions"]:
        hybrid = row["systems"]["hybrid"]
        if row["split"] == "development" and not hybrid["file"] == hybrid["lines"] == 1:
            ranks = (f"{name} {hybrid[name] or '-'}" for name in MEASURES)
            print(
                f"\n{row['id']}: {row['question']}\n  {', '.join(ranks)}; first {hybrid['first']}"
            )
            for path, role in hybrid["above"].items():
                print(f"    {role or '-':9} {path}")


if __name__ == "__main__":
    run_main(main)
