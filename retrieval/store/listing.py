"""Listing a store: ids, documents without their texts, counts, values of a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.files.stored_json import parsed
from retrieval.store.statements import Statements
from retrieval.store.steps import size

ValueCount = tuple[str | int | float | bool, int]
"""A value and how many documents have it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A document without its text.

    Attributes:
        id: its id.
        title: its title, or "".
        source: path of the file that it came from, or None.
        metadata: its metadata.
        passages: how many passages it has.
    """

    id: str
    title: str
    source: str | None
    metadata: dict[str, Any]
    passages: int


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that selects documents.

    Attributes:
        sql: SQL condition over a row of `documents AS d`.
        parameters: values for its question marks.
        of_passages: whether it also refers to `passages AS p`, one of which has to fulfil it.
    """

    sql: str = "1"
    parameters: Sequence[Any] = ()
    of_passages: bool = False

    @property
    def size(self) -> int:
        """Its length and that of its values, in characters."""
        return size(self.sql, self.parameters)

    @property
    def of_documents(self) -> str:
        """The condition over a row of `documents AS d` alone, with the same parameters."""
        if not self.of_passages:
            return self.sql
        # The condition is tested on a document without passages as if it had one of NULLs.
        return (
            "EXISTS (SELECT 1 FROM (SELECT 1) LEFT JOIN passages AS p"
            f" ON p.document = d.number WHERE {self.sql})"
        )


ALL = Condition()

_KINDS = {
    "integer": "number",
    "real": "number",
    "true": "boolean",
    "false": "boolean",
    "array": "list",
}
"""Names in filters of SQLite's types of JSON values."""


class Listing(Statements):
    """The part of `Store` that lists documents; raises the same errors as `Store`."""

    def listed(self, condition: Condition = ALL) -> list[Listed]:
        """Documents that fulfil the condition: first those without a file, then by file."""
        with self._reading(condition.size) as database:
            rows = database.execute(
                "SELECT d.id, d.title, d.source, d.metadata,"
                " (SELECT count(*) FROM passages AS c WHERE c.document = d.number)"
                f" FROM documents AS d WHERE {condition.of_documents} ORDER BY d.source, d.number",
                condition.parameters,
            )
            try:
                return [
                    Listed(id, title, source, parsed(metadata), passages)
                    for id, title, source, metadata, passages in rows
                ]
            except ValueError as error:
                raise self._damaged("the metadata of a document is not JSON") from error

    def ids(self, condition: Condition = ALL, *, after: str = "", most: int = -1) -> list[str]:
        """Ids of the documents that fulfil the condition, in the order of their code points.

        Args:
            condition: which documents.
            after: only ids after this one, which need not exist.
            most: maximum number; -1 is all.
        """
        with self._reading(condition.size) as database:
            rows = database.execute(
                f"SELECT d.id FROM documents AS d WHERE d.id > ? AND {condition.of_documents}"
                " ORDER BY d.id LIMIT ?",
                (after, *condition.parameters, most),
            )
            return [id for (id,) in rows]

    def count(self, condition: Condition = ALL) -> int:
        """How many documents fulfil the condition."""
        with self._reading(condition.size) as database:
            (count,) = database.execute(
                f"SELECT count(*) FROM documents AS d WHERE {condition.of_documents}",
                condition.parameters,
            ).fetchone()
        return int(count)

    def numbers_of(self, condition: Condition) -> list[int]:
        """Numbers of the documents that fulfil the condition, ascending."""
        with self._reading(condition.size) as database:
            rows = database.execute(
                f"SELECT d.number FROM documents AS d WHERE {condition.of_documents}"
                " ORDER BY d.number",
                condition.parameters,
            )
            return [number for (number,) in rows]

    def values(
        self, value: str, table: str, condition: Condition, *, exact: bool = False
    ) -> list[ValueCount]:
        """The values of a key and how many documents have each, the most frequent first.

        Args:
            value: SQL of a value, for a row of the table, aliased `e`, and of what follows.
            table: SQL of a table with `type`, as from `json_each`, for a row of `documents AS d`
                and, if `of_passages`, of `passages AS p`.
            condition: selects rows; its parameters begin with those of the table.
            exact: distinguish 1 from 1.0.
        """
        type = "e.type" if exact else "IIF(e.type = 'real', 'integer', e.type)"
        joined = (
            " LEFT JOIN passages AS p ON p.document = d.number" if condition.of_passages else ""
        )
        with self._reading(condition.size) as database:
            rows = database.execute(
                "SELECT type, atom, count(*) FROM ("
                f"SELECT DISTINCT d.number, {type} AS type, {value} AS atom"
                f" FROM documents AS d{joined} CROSS JOIN {table} AS e"
                f" WHERE e.type NOT IN ('null', 'array', 'object') AND {condition.sql})"
                " GROUP BY type, atom ORDER BY 3 DESC, type, atom",
                condition.parameters,
            )
            return [
                (bool(atom) if type in ("true", "false") else atom, count)
                for type, atom, count in rows
            ]

    def metadata_keys(self, condition: Condition = ALL) -> dict[str, dict[str, int]]:
        """The keys of the metadata; for each, the number of documents by kind of value."""
        with self._reading(condition.size) as database:
            rows = database.execute(
                "SELECT e.key, e.type, count(*) FROM documents AS d CROSS JOIN"
                f" json_each(d.metadata) AS e WHERE {condition.of_documents}"
                " GROUP BY e.key, e.type ORDER BY e.key, e.type",
                condition.parameters,
            )
            found: dict[str, dict[str, int]] = {}
            for key, type, count in rows:
                kinds, kind = found.setdefault(key, {}), _KINDS.get(type, type)
                kinds[kind] = kinds.get(kind, 0) + count
        return found


def is_storable(text: str) -> bool:
    """Whether SQLite can store the text: half a surrogate pair has no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
