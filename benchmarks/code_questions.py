"""Questions about real repositories: are the right file and the right lines found?

    python benchmarks/code_questions.py REPOSITORIES --work FOLDER --out FILE.json

REPOSITORIES is a folder of git checkouts, each named as its repository on GitHub without the owner
(`cobra` of `spf13/cobra`), which have the commit that `code_questions.json` names. Each is cloned
into `--work` and indexed there as `retrieval index .` does; an existing index is updated, with
`--again` by reading every file. Changes to search are developed on the development split alone; the
held-out split shows whether they generalise.

The questions were written, with their files and lines, before any search. There are four kinds:
`behaviour` in words that the code hardly uses, an `identifier` whose definition is wanted, an
`error message`, and `not source`: tests, examples, documentation or the changelog asked for by
name. There are three measures, each a mean reciprocal rank among the first ten (MRR@10):

    file        the first hit in a right file, counting each file once
    lines       the first hit with at least half of the right lines, or at least half of whose own
                lines are right
    best lines  the same, counting only the best hit of each file

Besides the retrievers: `grep windows` ranks windows of twenty lines by how many different words of
the question they have; `grep files` and `bm25s` rank whole files, by the same and by BM25.
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
SEARCHED_HITS = 100
"""Hits per question, so that ten files are among them."""
DEPTH = 10
WINDOW, STRIDE = 20, 10
"""Lines of a window of grep's, and from one window to the next."""


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of a file, or all of it.

    Attributes:
        path: relative to the repository.
        start, end: first and last line, from 1; 0 and 0 where the file is ranked as a whole.
    """

    path: str
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.start}-{self.end}" if self.end else self.path

    def covers(self, other: Span) -> bool:
        """Whether the two share at least half of the shorter one's lines."""
        if self.path != other.path or not self.end:
            return False
        common = min(self.end, other.end) - max(self.start, other.start) + 1
        return 2 * common >= min(self.end - self.start, other.end - other.start) + 1


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and every place that answers it."""

    id: str
    kind: str
    text: str
    answers: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Repository:
    """A checkout and its questions."""

    name: str
    commit: str
    language: str
    split: str
    questions: tuple[Question, ...]


Ranking = Sequence[Span]
"""Best first."""


def main() -> None:
    """Index, search, and write the result."""
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
            rows += measure_repository(repository, args.repositories, args.work, again=args.again)
            print(f"{repository.name}: {len(repository.questions)} questions asked", flush=True)
    result = {
        **environment(PACKAGES),
        "split": args.split,
        "mrr_at_10": summarise(rows),
        "other_roles_above_source": roles_above(rows),
        "questions": rows,
    }
    args.out.write_text(to_json(result), encoding="utf-8")
    show(result)


def read_questions(path: Path) -> list[Repository]:
    """The repositories and their questions."""
    return [
        Repository(
            repository["name"],
            repository["commit"],
            repository["language"],
            repository["split"],
            tuple(
                Question(
                    question["id"],
                    question["kind"],
                    question["question"],
                    tuple(Span(answer["path"], *answer["lines"]) for answer in question["answers"]),
                )
                for question in repository["questions"]
            ),
        )
        for repository in json.loads(path.read_text(encoding="utf-8"))["repositories"]
    ]


def measure_repository(
    repository: Repository, checkouts: Path, work: Path, *, again: bool
) -> list[dict[str, Any]]:
    """Of each question: every system's ranks, its first hit and the files above the right one."""
    folder = clone(repository, checkouts, work)
    with open_or_create(folder / FOLDER) as index:
        update(index, [folder], again=again)
        roles = {
            entry.source or entry.id: str(entry.metadata.get("role", ""))
            for entry in index.listed()
        }
        texts = {
            path: (folder / path).read_text(encoding="utf-8", errors="replace")
            for path in sorted(roles)
            if (folder / path).is_file()
        }
        check_answers(repository, texts)
        rankings = search_questions(index, repository.questions)
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
                system: judge(question, ranking[question.id], roles)
                for system, ranking in rankings.items()
            },
        }
        for question in repository.questions
    ]


def clone(repository: Repository, checkouts: Path, work: Path) -> Path:
    """Clone a checkout at the commit that the questions are about.

    Raises:
        InputError: there is no checkout, or it does not have that commit.
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
    completed = _git("-C", str(folder), "checkout", "--quiet", "--force", repository.commit)
    if completed.returncode:
        raise InputError(
            f"{checkout} has no commit {repository.commit}, which the questions are of; "
            "fetch it there"
        )
    return folder


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True)


def check_answers(repository: Repository, texts: Mapping[str, str]) -> None:
    """Check that every answer is in the index: otherwise no system could find it.

    Raises:
        InputError: an answer is missing.
    """
    for question in repository.questions:
        for place in question.answers:
            if place.path not in texts or place.end > len(texts[place.path].splitlines()):
                raise InputError(f"{question.id}: {place} is not in the index of {repository.name}")


def search_questions(index: Index, questions: Iterable[Question]) -> dict[str, dict[str, Ranking]]:
    """Hits of each question by retriever."""
    return {
        retriever: {
            question.id: [
                Span(hit.path or hit.document_id, hit.start_line, hit.end_line)
                for hit in search(
                    index, question.text, SearchOptions(k=SEARCHED_HITS, retriever=retriever)
                ).hits
            ]
            for question in questions
        }
        for retriever in RETRIEVERS
    }


def grep(texts: Mapping[str, str], questions: Iterable[Question]) -> dict[str, dict[str, Ranking]]:
    """Files and windows by the number of the question's words in them.

    Case is ignored, and a word may be part of another. Ties are broken by the number of words in
    the whole file, then by path.
    """
    lines = {path: text.lower().splitlines() for path, text in texts.items()}
    files: dict[str, Ranking] = {}
    windows: dict[str, Ranking] = {}
    for question in questions:
        words = {word for word in re.findall(r"\w+", question.text.lower()) if len(word) > 2}
        in_file, candidates = {}, []
        for path, all_lines in lines.items():
            words_of_line = [{word for word in words if word in line} for line in all_lines]
            in_file[path] = len(set().union(*words_of_line))
            for start in range(0, max(1, len(words_of_line) - WINDOW + STRIDE), STRIDE):
                count = len(set().union(*words_of_line[start : start + WINDOW]))
                end = min(start + WINDOW, len(words_of_line))
                candidates.append((-count, -in_file[path], path, start + 1, end))
        files[question.id] = [
            Span(path)
            for path, count in sorted(in_file.items(), key=lambda item: (-item[1], item[0]))
            if count
        ]
        windows[question.id] = [
            Span(path, start, end) for count, _, path, start, end in sorted(candidates) if count
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
        [
            (question.id, path, 1)
            for question in questions
            for path in {a.path for a in question.answers}
        ],
    )
    system = Bm25s()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    system.index(collection, work, None)
    rankings = system.search(collection.queries, SEARCHED_HITS)
    return {id: [Span(path) for path in ranked] for id, ranked in rankings.items()}


def judge(question: Question, ranking: Ranking, roles: Mapping[str, str]) -> dict[str, Any]:
    """The three ranks, None beyond the first ten; the first hit; the files above the right one."""
    by_path: dict[str, Span] = {}
    for span in ranking:
        by_path.setdefault(span.path, span)
    best_hits = list(by_path.values())
    right_paths = {answer.path for answer in question.answers}
    file_rank = _first_rank([span.path in right_paths for span in best_hits])
    above = file_rank - 1 if file_rank else DEPTH
    return {
        "file": file_rank,
        "lines": _first_rank([_is_right(span, question) for span in ranking]),
        "best lines": _first_rank([_is_right(span, question) for span in best_hits]),
        "first": str(ranking[0]) if ranking else None,
        "above": {span.path: roles.get(span.path, "") for span in best_hits[:above]},
    }


def _is_right(span: Span, question: Question) -> bool:
    return any(span.covers(place) for place in question.answers)


def _first_rank(right: Sequence[bool]) -> int | None:
    return right.index(True) + 1 if True in right[:DEPTH] else None


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """MRR@10 of every system and measure: of all, and by split, language and kind."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        for group in ("all", row["split"], row["language"], row["kind"]):
            groups[group].append(row)
    return {
        group: {"questions": len(members)}
        | {
            system: {
                measure: round(
                    _mean_reciprocal_rank(row["systems"][system][measure] for row in members), 3
                )
                for measure in MEASURES
                if measure == "file" or system not in ("grep files", "bm25s")
            }
            for system in members[0]["systems"]
        }
        for group, members in groups.items()
    }


def _mean_reciprocal_rank(ranks: Iterable[int | None]) -> float:
    parts = [1 / rank if rank else 0.0 for rank in ranks]
    return sum(parts) / len(parts)


def roles_above(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """How many questions about source code have a file of each other role above the right file.

    Where no right file is among the first ten, those ten count as above.
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


def to_json(result: Mapping[str, Any]) -> str:
    """The result as JSON, with one question per line."""
    whole = json.dumps({**result, "questions": []}, indent=1, ensure_ascii=False)
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in result["questions"])
    return whole.removesuffix("[]\n}") + f"[\n{lines}\n ]\n}}\n"


def show(result: Mapping[str, Any]) -> None:
    """Print the table, and the development questions that hybrid search does not answer first.

    Questions of the held-out split are not shown, so that nothing is tuned to them.
    """
    for group, by_system in result["mrr_at_10"].items():
        print(f"\n{group}: {by_system['questions']} questions")
        for system, values in by_system.items():
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
