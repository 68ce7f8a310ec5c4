"""What an agent reads until it has the answer: with `search` and `read`, or with grep and files.

    python benchmarks/agent_tokens.py REPOSITORIES --work FOLDER --out FILE.json

The repositories, the questions and their answers are those of `code_questions.py`, which says
where they come from; they were written before any search. Each reader goes on until the lines that
it read are an answer: at least half of the right lines, or at least half of its own are right. It
gives up after ten places. Counted are the tokens of all that it was shown by then:

    search and read   `retrieval mcp` as a process: what `search` answers, then `read` of the lines
                      of each hit in turn; where the first five are none, `search` once more for
                      ten
    grep, windows     windows of twenty lines, as grep shows them with their surroundings, those
                      with most words of the question first
    grep, files       the names of the files with most words of the question, then whole files

Nobody knows beforehand which words of a question are worth grepping for: the two that grep are
given the best order that the words allow (`code_questions.grep`), and finding it costs them
nothing. Tokens are those of the embedded model's tokenizer.
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
    as_json,
    check_answers,
    clone,
    grep,
    read_questions,
)
from command import run_main
from environment import environment

from retrieval.encoders import load_encoder
from retrieval.service.location import FOLDER
from retrieval.service.opening import open_or_create
from retrieval.service.scoring import count_tokens
from retrieval.service.updating import update

PLACES = 10
"""So many are read before a reader gives up."""
FIRST = 5
"""Hits of the first search."""
READERS = ("search and read", "grep, windows", "grep, files")

Tokens = Callable[[str], int]
Ask = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
Reading = Iterator[tuple[int, Span | None]]
"""Tokens of each thing that is read, and which lines it shows."""


def main() -> None:
    """Index, ask, count, print, write."""
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
            rows += measured(repository, folder, lambda text: count_tokens(encoder, [text]))
            print(f"{repository.name}: {len(repository.questions)} questions asked", flush=True)
    result = {
        **environment(PACKAGES),
        "split": args.split,
        "tokenizer": encoder.name,
        "readers": summary(rows),
        "questions": rows,
    }
    args.out.write_text(as_json(result), encoding="utf-8")
    print(json.dumps(result["readers"], indent=1))


def measured(repository: Repository, folder: Path, tokens: Tokens) -> list[dict[str, Any]]:
    """Of each question what every reader read, and whether that answered it."""
    with open_or_create(folder / FOLDER) as index:
        update(index, [folder])
        texts = {
            one.source: (folder / one.source).read_text(encoding="utf-8", errors="replace")
            for one in index.listed()
            if one.source and (folder / one.source).is_file()
        }
    check_answers(repository, texts)
    ranked = grep(texts, repository.questions)
    rows = []
    with agent(folder) as ask:
        for question in repository.questions:
            windows = ranked["grep windows"][question.id]
            files = ranked["grep files"][question.id]
            readings = (
                by_search(ask, question, tokens),
                by_windows(windows, texts, tokens),
                by_files(files, texts, tokens),
            )
            rows.append(
                {
                    "id": question.id,
                    "kind": question.kind,
                    "question": question.text,
                    "readers": {
                        name: until_answered(reading, question)
                        for name, reading in zip(READERS, readings, strict=True)
                    },
                }
            )
    return rows


def until_answered(reading: Reading, question: Question) -> dict[str, Any]:
    """How many tokens were read, at how many places, and whether the answer was among them."""
    total = places = 0
    for count, span in reading:
        total += count
        if span is None:
            continue
        places += 1
        if any(span.covers(place) for place in question.answers):
            return {"found": True, "tokens": total, "places": places}
        if places == PLACES:
            break
    return {"found": False, "tokens": total, "places": places}


def by_search(ask: Ask, question: Question, tokens: Tokens) -> Reading:
    """What `search` answers, and the lines of its hits."""
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


def by_windows(ranking: Ranking, texts: Mapping[str, str], tokens: Tokens) -> Reading:
    """Windows as grep shows them: each line after its file and number."""
    for span in ranking[:PLACES]:
        lines = texts[span.path].splitlines()[span.start - 1 : span.end]
        shown = (f"{span.path}-{at}-{line}" for at, line in enumerate(lines, start=span.start))
        yield tokens("\n".join(shown)), span


def by_files(ranking: Ranking, texts: Mapping[str, str], tokens: Tokens) -> Reading:
    """The names of the best files, and the files."""
    yield tokens("\n".join(span.path for span in ranking[:PLACES])), None
    for span in ranking[:PLACES]:
        text = texts[span.path]
        yield tokens(text), Span(span.path, 1, max(1, len(text.splitlines())))


@contextmanager
def agent(folder: Path) -> Iterator[Ask]:
    """Asks a tool of `retrieval mcp`, over standard input and output."""
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


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each reader how many questions it answered, and what it read for them.

    `same` compares it with `search and read` over the questions that both answered.
    """
    return {
        name: {
            "found": sum(row["readers"][name]["found"] for row in rows),
            "questions": len(rows),
            "tokens_median_if_found": _median(_tokens(rows, name, of=name)),
            "tokens_of_all": sum(row["readers"][name]["tokens"] for row in rows),
            "found_within": {
                str(most): sum(
                    row["readers"][name]["found"] and row["readers"][name]["tokens"] <= most
                    for row in rows
                )
                for most in (1000, 2000, 4000, 8000, 16000, 32000)
            },
            "same": {
                "questions": len(list(_tokens(_by_search(rows), name, of=name))),
                "tokens_median": _median(_tokens(_by_search(rows), name, of=name)),
                "by_search": _median(_tokens(_by_search(rows), READERS[0], of=name)),
                "tokens": sum(_tokens(_by_search(rows), name, of=name)),
                "tokens_by_search": sum(_tokens(_by_search(rows), READERS[0], of=name)),
            },
        }
        for name in READERS
    }


def _by_search(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["readers"][READERS[0]]["found"]]


def _tokens(rows: Iterable[Mapping[str, Any]], name: str, *, of: str) -> Iterator[int]:
    """What a reader read for the questions that `of` answered."""
    return (row["readers"][name]["tokens"] for row in rows if row["readers"][of]["found"])


def _median(values: Iterable[int]) -> int | None:
    found = list(values)
    return round(statistics.median(found)) if found else None


if __name__ == "__main__":
    run_main(main)
