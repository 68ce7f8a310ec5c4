"""Damaged files through every reader, and filters and queries that nobody would write."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from retrieval.documents import workers
from retrieval.documents.formats import Parsed, Source, format_of
from retrieval.errors import DocumentError, FilterError, InputError
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document

from ..documents.fuzzing import damaged, fuzz, own_samples
from ..documents.outlines_for_tests import check
from ..index.fake_encoder import FakeEncoder
from .stages import Stage, Tally

FILES = Path(__file__).parents[1] / "documents"
REPOSITORY = FILES.parents[1]

TEXTS = {
    "a.md": "# One\n\ntext\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- x\n  - y\n\n```sh\nls\n```\n",
    "a.rst": "One\n===\n\n.. code:: python\n\n   x\n\n:field: y\n\n+---+\n| a |\n+---+\n",
    "a.html": "<h1>One</h1><p>two<table><tr><th>a<td>b</table><pre>x</pre><script>1</script>",
    "a.adoc": "= One\n\n== Two\n\n----\ncode\n----\n\n|===\n|a |b\n|===\n",
    "a.org": "* One\n:PROPERTIES:\n:x: y\n:END:\n#+BEGIN_SRC sh\nls\n#+END_SRC\n",
    "a.tex": "\\section{One}\ntext \\emph{x} $a$ \\begin{verbatim}\nx\n\\end{verbatim}\n",
    "a.1": ".TH A 1\n.SH NAME\na \\- b\n.PP\n\\fBx\\fR\n",
    "a.csv": "name,flow\nnorth,7\nsouth,8\n",
    "a.jsonl": '{"id": "a", "text": "one"}\n{"text": "two", "n": [1, {"x": null}]}\n',
    "a.ipynb": '{"cells": [{"cell_type": "code", "source": ["x = 1"], "outputs": []}], '
    '"metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    "a.srt": "1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:03,000 --> 00:00:04,000\ntwo\n",
    "a.po": 'msgid "one"\nmsgstr "eins"\n',
    "a.bib": "@book{a, title = {One}, author = {B and C}}\n",
    "a.xml": '<?xml version="1.0"?><article><title>One</title><sec><p>two</p></sec></article>',
    "a.py": 'class A:\n    """Doc."""\n\n    def f(self, x: int = 1) -> None:\n        return x\n',
    "a.js": "export class A { f(x) { return `${x}` } }\n",
    "a.rs": "impl A { fn f(&self) -> u8 { 1 } }\n",
    "a.go": "package a\n\nfunc (a A) F() int { return 1 }\n",
    "a.yaml": "a:\n  - b: 1\n    c: |\n      text\n",
    "a.toml": '[a]\nb = "c"\n',
}
"""A small file for each of the readers that run in the process itself."""

FILTERS = (
    "year >= 2020 and lang in ('en', 'de')",
    "path glob 'docs/**/*.md' or not title contains 'x'",
    "tags == 'a' and changed < time('2024-03-01T12:00+02:00')",
    "author.name == null or n is not empty and not lang matches '^e+n$'",
)

QUERIES = (
    'error "a phrase" -word + (x) AND y OR NOT z',
    'Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: no such thing',
    "日本語の文 กขค naïve İstanbul ﬁ ½",
    "field:value title:^3 [a TO b] /regex/ ~2 *? \\",
)

LETTERS = "ab01 \t\n\"'()[]{}<>=!~^*?:;,.-+/\\|&%$#@_é中\u200b\u202e\ud7ff\U000e0041\0"


def twisted(text: str, chance: random.Random) -> str:
    """A text with up to a dozen changes."""
    made = list(text)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(made) + 1)
        to = min(len(made), at + chance.choice((0, 1, 3, 20)))
        match chance.randrange(4):
            case 0:
                made[at:to] = []
            case 1:
                made[at:at] = made[at:to] * chance.choice((2, 50))
            case 2:
                made[at:to] = chance.choices(LETTERS, k=chance.randint(1, 8))
            case _:
                made[at:to] = chance.choice((*FILTERS, *QUERIES))[: chance.randint(1, 30)]
    return "".join(made)


def _read(name: str, data: bytes) -> str:
    """Parse a file in this process, as its format says, and check every outline."""
    try:
        made = format_of(name, data[:8192]).parse(data, Source(name))
    except DocumentError as error:
        return "file refused" if "\n" not in str(error) else f"FAULT more than a line: {error!r}"
    for document in [made] if isinstance(made, Parsed) else made:
        check(document.text, document.outline)
    return "file read"


def _asked(index: Index, number: int, chance: random.Random) -> str:
    """A filter or a query, for one retriever after the other."""
    retriever = RETRIEVERS[number % len(RETRIEVERS)]
    if number % 3 == 0:
        try:
            index.search(
                "word", 3, retriever=retriever, where=twisted(chance.choice(FILTERS), chance)
            )
        except FilterError as error:
            return "filter refused" if str(error) else "FAULT no word of why"
        return "filter answered"
    try:
        index.search(twisted(chance.choice(QUERIES), chance), 3, retriever=retriever)
    except InputError:
        return "query refused"
    return "query answered"


def run(numbers: range, tally: Tally, scratch: Path) -> None:
    """Of ten trials five are binary files in workers, three text files, two filters or queries."""
    with Index.create(scratch / "index", encoder=FakeEncoder()) as index:
        index.add(
            Document(
                f"d{n}", f"word{n} shared", f"title {n}", {"n": n, "lang": "en", "tags": ["a"]}
            )
            for n in range(20)
        )
        in_process = [number for number in numbers if number % 10 >= 5]
        for number in in_process:
            chance = random.Random(number)
            try:
                if number % 10 < 8:
                    name = chance.choice(list(TEXTS))
                    others = [text.encode() for text in TEXTS.values()]
                    outcome = _read(name, damaged(TEXTS[name].encode(), others, chance))
                else:
                    outcome = _asked(index, number, chance)
            except Exception as error:  # a fault is what the stage looks for
                outcome = f"FAULT {type(error).__name__}: {error}"
            if outcome.startswith("FAULT"):
                tally.fault(number, outcome.removeprefix("FAULT "))
            else:
                tally.note(outcome)
    _in_workers(numbers, len(numbers) - len(in_process), tally)


def _in_workers(numbers: range, count: int, tally: Tally) -> None:
    outcome = fuzz(own_samples(), count, seed=numbers.start)
    tally.trials += count
    tally.outcomes["file read in a worker"] += outcome.read.total()
    tally.outcomes["file refused by a worker"] += outcome.refused.total()
    tally.outcomes["file that ended its worker, and itself only"] += outcome.ended.total()
    _extend(tally, numbers, outcome.faults)
    workers.stop()


def _extend(tally: Tally, numbers: range, faults: Sequence[str]) -> None:
    tally.outcomes["FAULT"] += len(faults)
    tally.faults += [
        f"trials {numbers.start} to {numbers.stop}, in a worker: {it}" for it in faults
    ]


STAGE = Stage(
    "inputs",
    "damaged files through every reader; filters and queries that nobody would write",
    target=100_000,
    batch=200,
    run=run,
)
