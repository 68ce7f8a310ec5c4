"""Reading from a store the files that documents came from."""

from __future__ import annotations

from retrieval.store.schema import SourceRecord
from retrieval.store.statements import Statements

_COLUMNS = "path, size, mtime_ns, hash, reader"

FileRow = tuple[int, int, str, str | None]
"""Size, times, path and reader of a file, as in `SourceRecord`."""


class SourceReading(Statements):
    """The part of `Store` that reads files' records; raises the same errors as `Store`."""

    def source(self, path: str) -> SourceRecord | None:
        """The record of the file at this path, or None."""
        with self._reading() as database:
            row = database.execute(
                f"SELECT {_COLUMNS} FROM sources WHERE path = ?", (path,)
            ).fetchone()
        return None if row is None else SourceRecord(*row)

    def hash_of_source(self, path: str) -> str:
        """The hash of the content of the file at this path, or "" if there is no record."""
        known = self.source(path)
        return "" if known is None else known.hash

    def file_rows(self, start: str = "", most: int = -1) -> list[FileRow]:
        """The records of files without their hashes: plain rows, since there may be many.

        Args:
            start: only paths from this one on; rows are in the order of the paths.
            most: maximum number; -1 is all.
        """
        with self._reading() as database:
            return database.execute(
                "SELECT size, mtime_ns, path, reader FROM sources"
                " WHERE path >= ? ORDER BY path LIMIT ?",
                (start, most),
            ).fetchall()

    def unrecorded_sources(self) -> list[str]:
        """Paths of files that documents came from but that have no record, in order.

        Reading them again was interrupted, or a document of theirs was deleted.
        """
        with self._reading() as database:
            rows = database.execute(
                "SELECT DISTINCT source FROM documents AS d WHERE source IS NOT NULL"
                " AND NOT EXISTS (SELECT 1 FROM sources WHERE path = d.source) ORDER BY source"
            )
            return [path for (path,) in rows]

    def ids_of_source(self, path: str) -> dict[str, int]:
        """Ids and numbers of the documents that came from the file at this path."""
        with self._reading() as database:
            return dict(
                database.execute("SELECT id, number FROM documents WHERE source = ?", (path,))
            )

    def count_of_source(self, path: str) -> int:
        """How many documents came from the file at this path."""
        with self._reading() as database:
            row = database.execute(
                "SELECT count(*) FROM documents WHERE source = ?", (path,)
            ).fetchone()
        return int(row[0])

    def counts_of_sources(self) -> dict[str, int]:
        """How many documents came from each file, by path."""
        with self._reading() as database:
            return dict(
                database.execute(
                    "SELECT source, count(*) FROM documents WHERE source IS NOT NULL"
                    " GROUP BY source"
                )
            )

    def count_with_source(self) -> int:
        """How many documents came from files."""
        with self._reading() as database:
            (count,) = database.execute(
                "SELECT count(*) FROM documents WHERE source IS NOT NULL"
            ).fetchone()
        return int(count)
