"""Judging in the terminal: one document at a time, a key and Enter for each.

Prompts go to standard error, so that standard output has only the summary. Answers are read line by
line, from a terminal or whatever is piped in.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence

from retrieval.cli.output.style import Style
from retrieval.cli.standard_input import next_line
from retrieval.errors import InputError
from retrieval.eval.testset import GRADES, Judging
from retrieval.eval.testset.judging import Shown
from retrieval.service.printable import safe

_INDENT = "    "
_KEYS = ", ".join(f"{grade} {meaning}" for grade, meaning in GRADES.items())
_HELP = f"{_KEYS}; s skip, b back, q quit and save"


def judge_in_terminal(
    judging: Judging, queries: Sequence[str], *, on_query: Callable[[], object]
) -> None:
    """Show and ask until all are judged, or `q`, or the end of the input.

    Args:
        queries: ids, in the order of judging.
        on_query: called at the start of each query.

    Raises:
        InputError: piped input has an unknown answer; answers before it are kept.
    """
    style = Style.of(sys.stderr)
    number = 0
    query = None
    while (shown := judging.current) is not None:
        if shown.query != query:
            if query is not None:
                on_query()
            query = shown.query
            place = f"query {queries.index(query) + 1} of {len(queries)}"
            sys.stderr.write(f"\n{place}: {style.dress('mark', safe(shown.text))}\n{_HELP}\n")
        sys.stderr.write(_document(shown, style))
        while True:
            sys.stderr.write(_prompt(shown))
            sys.stderr.flush()
            answer = next_line()
            number += 1
            if not answer or answer.strip().lower() == "q":
                return
            if _take(judging, answer.strip().lower()):
                break
            if not sys.stdin.isatty():
                raise InputError(
                    f"line {number} of the judgements is {answer.strip()!r}; expected one of "
                    f"{', '.join(map(str, GRADES))}, s, b, q"
                )
            sys.stderr.write(f"{_HELP}\n")


def _take(judging: Judging, answer: str) -> bool:
    """Carry out an answer; False if it is unknown."""
    if answer in {str(grade) for grade in GRADES}:
        judging.grade(int(answer))
    elif answer == "s":
        judging.skip()
    elif answer == "b":
        if not judging.back():
            sys.stderr.write("this is the first one\n")
    else:
        return False
    return True


def _prompt(shown: Shown) -> str:
    before = "" if shown.grade is None else f" (was {shown.grade})"
    return f"{_INDENT}grade{before}: "


def _document(shown: Shown, style: Style) -> str:
    """A document's place, title and passages."""
    candidate = shown.candidate
    where = style.dress("path", safe(candidate.path or candidate.document))
    title = style.dress("title", safe(" ".join(candidate.title.split())))
    head = f"\n{shown.number}/{shown.of}  {'  '.join(part for part in (where, title) if part)}\n"
    passages = [
        "\n".join(
            textwrap.fill(
                safe(line),
                style.width,
                initial_indent=_INDENT,
                subsequent_indent=_INDENT,
                replace_whitespace=False,
                drop_whitespace=False,
            )
            for line in text.splitlines()
        )
        for text in candidate.passages
    ]
    return head + f"\n{_INDENT}...\n".join(passages) + "\n"
