"""Queries that were typed, or read from a file or a search log, with what was clicked."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from retrieval.errors import InputError
from retrieval.eval.datasets.rows import lines, rows

Source = Literal["typed", "log", "proposed"]

_COLUMNS = "query, document, and count if a line stands for several clicks"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query to put into a test set.

    Attributes:
        source: where it comes from.
        relevant: ids of documents that are relevant to it, as far as the source tells.
        of: what of a document it was, for a proposed one: `heading`, `title` or `docstring`.
    """

    text: str
    source: Source
    relevant: tuple[str, ...] = ()
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """What a search log gave.

    Attributes:
        queries: those with a document of the index that was clicked often enough.
        clicks: clicks that were read.
        unknown: ids that were clicked and are not in the index, in order of the log.
        rare: pairs of query and document with too few clicks.
        left_out: queries without a click that counts.
    """

    queries: tuple[Wanted, ...]
    clicks: int
    unknown: tuple[str, ...]
    rare: int
    left_out: int


def query_key(text: str) -> str:
    """What is equal for two spellings of one query: white space and capitals do not count."""
    return " ".join(text.split()).casefold()


def typed(texts: Iterable[str]) -> list[Wanted]:
    """Queries as they were typed; blank ones are passed over.

    Raises:
        InputError: a text holds bytes that are no characters, or they are one text.
    """
    if isinstance(texts, str):
        raise InputError(f"one query, {texts!r}, was given; give a list of them")
    return [Wanted(_clean(text), "typed") for text in texts if text.strip()]


def read_queries(path: Path) -> list[Wanted]:
    """Queries from a text file, one a line; blank lines are passed over.

    Raises:
        InputError: the file cannot be read or holds no query.
    """
    found = typed(lines(path, "a text file in UTF-8 with a query a line"))
    if not found:
        raise InputError(f"{path} holds no query; give at least one, each on a line")
    return found


def read_log(path: Path, known: Callable[[str], bool], *, min_clicks: int = 1) -> Log:
    """Queries of a search log, and the documents that were clicked.

    A CSV file has the columns `query` and `document`, and `count` where a line stands for several
    clicks. In a JSONL file a line has `query`, and `document` with `count` if there is one, or
    `clicks`: a list of ids, or an object of counts by id. Clicks of one query are added up over
    the whole log; spellings that differ in white space and capitals are one query.

    Args:
        known: whether a document is in the index.
        min_clicks: with fewer clicks, a document does not count as relevant.

    Raises:
        InputError: the file cannot be read, a column is missing, a count is no whole number, or
            no click is left.
    """
    if min_clicks < 1:
        raise InputError(f"min_clicks={min_clicks} counts what nobody clicked; give at least 1")
    gathered = _Gathered()
    for query, document, count in _clicks(path):
        gathered.add(query, document, count)
    if not gathered.texts:
        raise InputError(f"{path} holds no query; expected lines with {_COLUMNS}")
    return gathered.log(path, known, min_clicks)


@dataclass(slots=True)
class _Gathered:
    """Clicks by document, by query; each query as it was first spelt."""

    texts: dict[str, str] = field(default_factory=dict)
    clicks: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, query: str, document: str | None, count: int) -> None:
        key = query_key(query)
        if key:
            self.texts.setdefault(key, _clean(query))
            counts = self.clicks.setdefault(key, Counter())
            if document:
                counts[document] += count

    def log(self, path: Path, known: Callable[[str], bool], least: int) -> Log:
        documents = dict.fromkeys(id for counts in self.clicks.values() for id in counts)
        unknown = tuple(id for id in documents if not known(id))
        missing = set(unknown)
        there = [
            (key, {id: n for id, n in counts.items() if id not in missing})
            for key, counts in self.clicks.items()
        ]
        relevant = {key: tuple(id for id, n in found.items() if n >= least) for key, found in there}
        queries = tuple(Wanted(self.texts[key], "log", ids) for key, ids in relevant.items() if ids)
        if not queries:
            raise InputError(_nothing_left(path, documents, unknown, least))
        return Log(
            queries,
            sum(counts.total() for counts in self.clicks.values()),
            unknown,
            sum(n < least for _, found in there for n in found.values()),
            len(self.texts) - len(queries),
        )


def _nothing_left(
    path: Path, documents: Mapping[str, None], unknown: tuple[str, ...], least: int
) -> str:
    if not documents:
        return f"{path} has no click; give queries without clicks with --queries FILE"
    if len(unknown) == len(documents):
        return (
            f"{path}: none of the {len(documents)} documents that were clicked (such as "
            f"{unknown[0]!r}) is in the index; expected the index's own ids"
        )
    return f"{path}: no document has {least} clicks for a query; ask for fewer"


def _clicks(path: Path) -> Iterator[tuple[str, str | None, int]]:
    """Query, document and count of each click; a query without a document once, with None."""
    if path.suffix == ".csv":
        yield from _csv(path)
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        for row in rows(path):
            if row.get("query") is None:
                raise InputError(_lacking(path, row, "query"))
            if not isinstance(row["query"], str):
                raise InputError(f"{path}: query {json.dumps(row['query'])}; expected a text")
            yield from _of_row(path, row)
    else:
        raise InputError(f"{path}: expected a search log as .csv or .jsonl")


def _csv(path: Path) -> Iterator[tuple[str, str | None, int]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            for name in ("query", "document"):
                if name not in (table.fieldnames or ()):
                    found = ", ".join(table.fieldnames or ()) or "nothing"
                    raise InputError(
                        f"{path}: no column {name!r} among {found}; expected {_COLUMNS}"
                    )
            for row in table:
                count = _count(path, table.line_num, row.get("count") or 1)
                yield row["query"] or "", row["document"] or None, count
    except UnicodeDecodeError as wrong:
        raise InputError(f"{path} is not UTF-8 ({wrong}); expected a CSV file in UTF-8") from None
    except csv.Error as wrong:
        raise InputError(f"{path} is not CSV ({wrong}); expected lines with {_COLUMNS}") from None
    except OSError as wrong:
        raise InputError(f"{path} cannot be read ({wrong.strerror}); expected a CSV file") from None


def _of_row(path: Path, row: Mapping[str, Any]) -> Iterator[tuple[str, str | None, int]]:
    query, clicks = row["query"], row.get("clicks")
    if "document" not in row and "clicks" not in row:
        raise InputError(_lacking(path, row, "document"))
    if isinstance(clicks, Mapping):
        pairs = [(str(id), _count(path, None, n)) for id, n in clicks.items()]
    elif isinstance(clicks, list):
        pairs = [(str(id), 1) for id in clicks]
    elif clicks is not None:
        raise InputError(
            f"{path}: clicks {json.dumps(clicks)}; expected a list of ids, or counts by id"
        )
    else:
        pairs = []
    if row.get("document") is not None:
        pairs.append((str(row["document"]), _count(path, None, row.get("count", 1))))
    for id, count in pairs:
        yield query, id, count
    if not pairs:
        yield query, None, 0


def _lacking(path: Path, row: Mapping[str, Any], name: str) -> str:
    has = ", ".join(map(repr, row)) or "nothing"
    return f"{path}: a line has {has}; expected {name!r}, as in {_COLUMNS}"


def _count(path: Path, line: int | None, value: object) -> int:
    where = f"{path}:{line}" if line else str(path)
    try:
        count = int(str(value))
    except ValueError:
        count = -1
    if count < 0:
        raise InputError(f"{where}: count {value!r}; expected a whole number from 0 on")
    return count


def _clean(text: str) -> str:
    line = " ".join(text.split())
    try:
        line.encode()
    except UnicodeEncodeError:
        raise InputError(f"query {line!a} holds bytes that are no characters; give UTF-8") from None
    return line
