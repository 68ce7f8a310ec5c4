"""What files hold, known beforehand, and how much of it a reader found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from retrieval.documents.formats import Parsed, Source, format_of

HERE = Path(__file__).parent
FILES, SOURCES = HERE / "files", HERE / "sources"

_WORD = re.compile(r"\w+")
_HEADING = re.compile(r"(#{1,6}) +(.+)")

Heading = tuple[int, str]
"""Its level, from 1, and its words."""


@dataclass
class Truth:
    """What a file holds.

    Attributes:
        words: in order, in lower case.
        headings: in order.
        tables: rows of cells, each of which is to be a line.
    """

    words: list[str] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)


@dataclass
class Score:
    """Counts over several files."""

    hit: int = 0
    found: int = 0
    wanted: int = 0
    pairs: int = 0
    pairs_wanted: int = 0
    headings: int = 0
    levels: int = 0
    headings_wanted: int = 0
    rows: int = 0
    rows_wanted: int = 0
    failed: int = 0

    def add(self, text: str, headings: Sequence[Heading], truth: Truth) -> None:
        """Count a file."""
        words = words_of(text)
        wanted = Counter(truth.words)
        self.hit += (Counter(words) & wanted).total()
        self.found += len(words)
        self.wanted += len(truth.words)
        pairs = Counter(pairwise(truth.words))
        self.pairs += (Counter(pairwise(words)) & pairs).total()
        self.pairs_wanted += pairs.total()
        named = Counter(same(words) for _, words in truth.headings)
        self.headings += (Counter(same(words) for _, words in headings) & named).total()
        levels = Counter((level, same(words)) for level, words in truth.headings)
        self.levels += (Counter((at, same(words)) for at, words in headings) & levels).total()
        self.headings_wanted += len(truth.headings)
        rows = [same(" ".join(cells)) for table in truth.tables for cells in table]
        self.rows += (Counter(map(same, text.splitlines())) & Counter(rows)).total()
        self.rows_wanted += len(rows)

    @property
    def recall(self) -> float:
        """Of the words that are there, the share that was found."""
        return self.hit / max(self.wanted, 1)

    @property
    def precision(self) -> float:
        """Of the words that were found, the share that is there."""
        return self.hit / max(self.found, 1)

    @property
    def order(self) -> float:
        """Of the pairs of words that follow each other, the share that still does."""
        return self.pairs / max(self.pairs_wanted, 1)


def parsed(path: Path) -> list[Parsed]:
    """What this project reads in a file: its documents."""
    data = path.read_bytes()
    told = Source(path.name, text_field="goods" if path.suffix == ".jsonl" else None)
    made = format_of(path.name, data[:8192]).parse(data, told)
    return [made] if isinstance(made, Parsed) else list(made)


def words_of(text: str) -> list[str]:
    """The words of a text, without case."""
    return _WORD.findall(text.casefold())


def same(line: str) -> str:
    """A heading or a table's row as it is compared."""
    return " ".join(words_of(line))


def typed(source: Path) -> Truth:
    """What was typed: lines, those with # headings."""
    found = Truth()
    for line in source.read_text(encoding="utf-8").splitlines():
        if heading := _HEADING.fullmatch(line):
            found.headings.append((len(heading[1]), heading[2]))
        found.words += words_of(line)
    return found


def truth_of(file: Path) -> Truth:
    """What a file of this folder holds: `NAME-PROGRAM.suffix` what `sources/NAME.txt` says."""
    return typed(SOURCES / f"{file.name.partition('-')[0]}.txt")
