"""Files and folders as the documents of a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from retrieval.documents import LeftOut, discover, read
from retrieval.documents.walk import LeftOutType
from retrieval.errors import DocumentError, InputError
from retrieval.sharded.spool import Incoming
from retrieval.sync.settings import Settings


class FileDocuments:
    """Every document of the files under some paths, read as it is asked for; of an id that comes
    twice the first.

    Attributes:
        problems: a line for everything that has gone wrong so far.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        base: Path,
        settings: Settings,
        *,
        on_left_out: Callable[[LeftOut], object] | None = None,
    ) -> None:
        """Name the files.

        Args:
            paths: files and folders.
            base: ids of files are relative to this folder.
            settings: which files are taken, and how they are read.
            on_left_out: told of everything that is not read.

        Raises:
            InputError: as `check_paths`.
        """
        check_paths(paths)
        self.problems: list[str] = []
        self._settings = settings
        self._found = discover(
            paths,
            base,
            max_bytes=settings.max_bytes,
            options=settings.walk,
            on_left_out=on_left_out,
        )

    def __iter__(self) -> Iterator[Incoming]:
        owners: dict[str, str] = {}
        for file in self._found:
            try:
                result = read(file, self._settings.read)
            except DocumentError as error:
                self.problems.append(str(error))
                continue
            self.problems += result.problems
            for document, outline in zip(result.documents, result.outlines, strict=True):
                owner = owners.setdefault(document.id, file.id)
                if owner == file.id:
                    yield Incoming(document, outline, result.reader)
                else:
                    self.problems.append(
                        f"{file.id}: document id {document.id!r} is already that of a document "
                        f"from {owner}, which stays; give each document an id of its own"
                    )
        self.problems += self._found.problems

    def unreadable(self) -> Sequence[str]:
        """Ids of files and folders that are there and could not be looked into, once all is read:
        what came from there before is not gone."""
        return self._found.unreadable

    @property
    def left_out(self) -> Mapping[str, Mapping[str, LeftOutType]]:
        """What was not read, by reason and by type."""
        return self._found.left_out


def check_paths(paths: Sequence[Path]) -> None:
    """InputError if no path is given, or one does not exist."""
    if not paths:
        raise InputError("no path was given; name the files or folders to read")
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; name a file or a folder that does")
