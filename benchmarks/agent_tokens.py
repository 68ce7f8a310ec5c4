"""Tokens that an agent reads until it has the answer: by `search` and `read`, or by grep and files.

    python benchmarks/agent_tokens.py REPOSITORIES --work FOLDER --out FILE.json

Repositories, questions and answers are those of `code_questions.py`, written before any search.
Each reader reads on until the lines that it read contain an answer: at least half of the right
lines, or at least half of its own lines are right. It gives up after ten places. Counted are the
tokens of all that it was shown by then:

    search and read   `retrieval mcp` as a process: the answer of `search`, then `read` of the lines
                      of each hit in turn; if none of the first five is right, another `search` for
                      ten
    grep, windows     windows of twenty lines, as grep shows matches with context, those with the
                      most words of the question first
    grep, files       the names of the files with the most words of the question, then whole files

Which words of a question are worth grepping for is not known beforehand. Both grep readers get the
best order that the words allow (`code_questions.grep`), and finding it costs them nothing. Tokens
are those of the embedded model's tokenizer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from code_questions import (
    PACKAGES,
    QUESTIONS,
    SPLITS,
    Question,
    Ranking,
    Repository,
    Span,
    check_answers,
    clone,
    grep,
    read_questions,
    to_json,
)
from command import run_main
from environment import environment

from retrieval.encoders import load_encoder
from retrieval.service.location import FOLDER
from retrieval.service.opening import open_or_create
from retrieval.service.scoring import count_tokens
from retrieval.service.updating import update

PLACES = 10
"""Places after which a reader gives up."""
FIRST = 5
"""Hits of the first search."""
READERS = ("search and read", "grep, windows", "grep, files")

Tokens = Callable[[str], int]
Ask = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
Reading = Iterator[tuple[int, Span | None]]
"""The tokens of each thing that is read, and the lines that it shows, if any."""


def main() -> None:
    """Index, measure every reader, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repositories", type=Path, metavar="REPOSITORIES")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=[*SPLITS, "all"], default="held-out")
    args = parser.parse_args()
    encoder = load_encoder()
    rows: list[dict[str, Any]] = []
    for repository in read_questions(QUESTIONS):
        if args.split in (repository.split, "all"):
            folder = clone(repository, args.repositories, args.work)
            rows += measure_repository(
                repository, folder, lambda text: count_tokens(encoder, [text])
            )
            print(f"{repository.name}: {len(repository.questions)} questions asked", flush=True)
    result = {
        **environment(PACKAGES),
        "split": args.split,
        "tokenizer": encoder.name,
        "readers": summarise(rows),
        "questions": rows,
    }
    args.out.write_text(to_json(result), encoding="utf-8")
    print(json.dumps(result["readers"], indent=1))


def measure_repository(
    repository: Repository, folder: Path, tokens: Tokens
) -> list[dict[str, Any]]:
    """What every reader read for each question, and whether it found the answer."""
    with open_or_create(folder / FOLDER) as index:
        update(index, [folder])
        texts = {
            entry.source: (folder / entry.source).read_text(encoding="utf-8", errors="replace")
            for entry in index.listed()
            if entry.source and (folder / entry.source).is_file()
        }
    check_answers(repository, texts)
    rankings = grep(texts, repository.questions)
    rows = []
    with mcp_client(folder) as ask:
        for question in repository.questions:
            windows = rankings["grep windows"][question.id]
            files = rankings["grep files"][question.id]
            readings = (
                read_by_search(ask, question, tokens),
                read_windows(windows, texts, tokens),
                read_files(files, texts, tokens),
            )
            rows.append(
                {
                    "id": question.id,
                    "kind": question.kind,
                    "question": question.text,
                    "readers": {
                        name: read_until_answered(reading, question)
                        for name, reading in zip(READERS, readings, strict=True)
                    },
                }
            )
    return rows


def read_until_answered(reading: Reading, question: Question) -> dict[str, Any]:
    """Tokens and places that were read, and whether an answer was among them."""
    total = places = 0
    for count, span in reading:
        total += count
        if span is None:
            continue
        places += 1
        if any(span.covers(answer) for answer in question.answers):
            return {"found": True, "tokens": total, "places": places}
        if places == PLACES:
            break
    return {"found": False, "tokens": total, "places": places}


def read_by_search(ask: Ask, question: Question, tokens: Tokens) -> Reading:
    """The answer of `search`, then the lines of each hit."""
    seen: set[Span] = set()
    for k in (FIRST, PLACES):
        answer = ask("search", {"query": question.text, "k": k})
        yield tokens(answer["content"][0]["text"]), None
        for hit in answer["structuredContent"]["hits"]:
            span = Span(hit["path"], hit["start_line"], hit["end_line"])
            if span not in seen:
                seen.add(span)
                lines = {"path": span.path, "start_line": span.start, "end_line": span.end}
                yield tokens(ask("read", lines)["content"][0]["text"]), span


def read_windows(ranking: Ranking, texts: Mapping[str, str], tokens: Tokens) -> Reading:
    """Windows as grep shows them, each line after its file and number."""
    for span in ranking[:PLACES]:
        lines = texts[span.path].splitlines()[span.start - 1 : span.end]
        shown = (
            f"{span.path}-{number}-{line}" for number, line in enumerate(lines, start=span.start)
        )
        yield tokens("\n".join(shown)), span


def read_files(ranking: Ranking, texts: Mapping[str, str], tokens: Tokens) -> Reading:
    """The names of the best files, then the files."""
    yield tokens("\n".join(span.path for span in ranking[:PLACES])), None
    for span in ranking[:PLACES]:
        text = texts[span.path]
        yield tokens(text), Span(span.path, 1, max(1, len(text.splitlines())))


@contextmanager
def mcp_client(folder: Path) -> Iterator[Ask]:
    """A function that calls a tool of `retrieval mcp` over standard input and output."""
    process = subprocess.Popen(
        [sys.executable, "-m", "retrieval", "mcp", "--index", str(folder / FOLDER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    numbers = iter(range(1, 1_000_000))

    def send(method: str, params: Mapping[str, Any]) -> Any:
        id = next(numbers)
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        stdin.write(json.dumps(message) + "\n")
        stdin.flush()
        while True:
            answer = json.loads(stdout.readline())
            if answer.get("id") == id:
                return answer["result"]

    try:
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}}
        send("initialize", hello | {"clientInfo": {"name": "benchmark", "version": "1"}})
        yield lambda name, arguments: send("tools/call", {"name": name, "arguments": arguments})
    finally:
        stdin.close()
        process.wait(30)
        stdout.close()


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many questions each reader answered, and what it read for them.

    `same` compares it with `search and read` over the questions that both answered.
    """
    return {
        name: {
            "found": sum(row["readers"][name]["found"] for row in rows),
            "questions": len(rows),
            "tokens_median_if_found": _median(_tokens_of_reader(rows, name, answered_by=name)),
            "tokens_of_all": sum(row["readers"][name]["tokens"] for row in rows),
            "found_within": {
                str(budget): sum(
                    row["readers"][name]["found"] and row["readers"][name]["tokens"] <= budget
                    for row in rows
                )
                for budget in (1000, 2000, 4000, 8000, 16000, 32000)
            },
            "same": {
                "questions": len(
                    list(_tokens_of_reader(_answered_by_search(rows), name, answered_by=name))
                ),
                "tokens_median": _median(
                    _tokens_of_reader(_answered_by_search(rows), name, answered_by=name)
                ),
                "by_search": _median(
                    _tokens_of_reader(_answered_by_search(rows), READERS[0], answered_by=name)
                ),
                "tokens": sum(_tokens_of_reader(_answered_by_search(rows), name, answered_by=name)),
                "tokens_by_search": sum(
                    _tokens_of_reader(_answered_by_search(rows), READERS[0], answered_by=name)
                ),
            },
        }
        for name in READERS
    }


def _answered_by_search(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["readers"][READERS[0]]["found"]]


def _tokens_of_reader(
    rows: Iterable[Mapping[str, Any]], name: str, *, answered_by: str
) -> Iterator[int]:
    """Tokens that a reader read for each question that the reader `of` answered."""
    return (row["readers"][name]["tokens"] for row in rows if row["readers"][answered_by]["found"])


def _median(values: Iterable[int]) -> int | None:
    sample = list(values)
    return round(statistics.median(sample)) if sample else None


if __name__ == "__main__":
    run_main(main)
