"""Files and folders on this machine as documents of a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from retrieval.documents import LeftOut, SourceFile, discover, read, source_id
from retrieval.documents.walk import LeftOutType
from retrieval.errors import DocumentError, InputError
from retrieval.sharded.sources.records import is_table, rows
from retrieval.sharded.spool import Incoming
from retrieval.sync.settings import Settings


class FileDocuments:
    """The documents of the files under some paths, read on iteration.

    Attributes:
        problems: one line for each problem so far.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        base: Path,
        settings: Settings,
        *,
        on_left_out: Callable[[LeftOut], object] | None = None,
    ) -> None:
        """Set the files.

        Args:
            paths: files, Parquet among them, and folders.
            base: ids of files are relative to this folder.
            settings: which files are indexed, and how they are read.
            on_left_out: called for everything that is not read.

        Raises:
            InputError: like `check_paths`.
        """
        check_paths(paths)
        self.problems: list[str] = []
        self._settings = settings
        self._base = base
        paths = list(dict.fromkeys(paths))
        self._tables = [path for path in paths if is_table(path.name) and path.is_file()]
        rest = [path for path in paths if path not in self._tables]
        self._found = None
        if rest:
            self._found = discover(
                rest,
                base,
                max_bytes=settings.max_bytes,
                options=settings.walk,
                on_left_out=on_left_out,
            )

    def __iter__(self) -> Iterator[Incoming]:
        for file in self.files():
            yield from self.documents_of(file)
        if self._found is not None:
            self.problems += self._found.problems

    def files(self) -> Iterator[SourceFile]:
        """The files, found by a new walk."""
        for path in self._tables:
            told = path.stat()
            yield SourceFile(path, source_id(path, self._base), told.st_size, told.st_mtime_ns)
        if self._found is not None:
            yield from self._found

    def documents_of(self, file: SourceFile) -> Iterator[Incoming]:
        """The documents of one of the files."""
        if is_table(file.id):
            yield from rows(file.path, file.id, self._settings.read, self._tell)
            return
        try:
            result = read(file, self._settings.read)
        except DocumentError as error:
            self._tell(str(error))
            return
        self.problems += result.problems
        for document, outline in zip(result.documents, result.outlines, strict=True):
            yield Incoming(document, outline, result.reader, file.id)

    def _tell(self, problem: str) -> None:
        self.problems.append(problem)

    def unreadable(self) -> Sequence[str]:
        """After reading, ids of existing files and folders that could not be read: what came from
        them
        before is not gone."""
        return () if self._found is None else self._found.unreadable

    @property
    def left_out(self) -> Mapping[str, Mapping[str, LeftOutType]]:
        """What was not read, by reason and by type."""
        return {} if self._found is None else self._found.left_out


def check_paths(paths: Sequence[Path]) -> None:
    """InputError if a path does not exist."""
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; name a file or a folder that does")
