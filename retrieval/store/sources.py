"""What a store knows of files: as they were when they were read, and what came of them."""

from __future__ import annotations

from retrieval.store.schema import SourceRecord
from retrieval.store.statements import Statements

_COLUMNS = "path, size, mtime_ns, hash, reader"

FileRow = tuple[int, int, str, str | None]
"""Size, times, path and reader of a file, as in `SourceRecord`."""


class SourceReading(Statements):
    """The part of `Store` that is about files; raises what `Store` does."""

    def source(self, path: str) -> SourceRecord | None:
        """What is known of the file at this path."""
        with self._reading() as database:
            row = database.execute(
                f"SELECT {_COLUMNS} FROM sources WHERE path = ?", (path,)
            ).fetchone()
        return None if row is None else SourceRecord(*row)

    def hash_of_source(self, path: str) -> str:
        """The hash of the content of the file at this path, "" if nothing is known of it."""
        known = self.source(path)
        return "" if known is None else known.hash

    def file_rows(self, start: str = "", most: int = -1) -> list[FileRow]:
        """What is known of files, without their hashes: rows, since there may be many.

        Args:
            start: the first path, or what stands before it; they come in the order of the paths.
            most: how many; -1 is all.
        """
        with self._reading() as database:
            return database.execute(
                "SELECT size, mtime_ns, path, reader FROM sources"
                " WHERE path >= ? ORDER BY path LIMIT ?",
                (start, most),
            ).fetchall()

    def unrecorded_sources(self) -> list[str]:
        """Paths of files that documents came from and that nothing is known of, in order.

        They were about to be read again when that was interrupted, or a document was deleted.
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
