"""Files and folders as the documents of a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from retrieval.documents import LeftOut, discover, read
from retrieval.errors import DocumentError, InputError
from retrieval.sharded.spool import Incoming
from retrieval.sync.settings import Settings


def documents_of(
    paths: Sequence[Path],
    base: Path,
    settings: Settings,
    problems: list[str],
    *,
    on_left_out: Callable[[LeftOut], object] | None = None,
) -> Iterator[Incoming]:
    """Every document of the files under these paths; of an id that comes twice the first.

    Args:
        paths: files and folders.
        base: ids of files are relative to this folder.
        settings: which files are taken, and how they are read.
        problems: is given a line for everything that went wrong.
        on_left_out: told of everything that is not read.

    Raises:
        InputError: as `check_paths`.
    """
    check_paths(paths)
    found = discover(
        paths,
        base,
        max_bytes=settings.max_bytes,
        options=settings.walk,
        on_left_out=on_left_out,
    )
    owners: dict[str, str] = {}
    for file in found:
        try:
            result = read(file, settings.read)
        except DocumentError as error:
            problems.append(str(error))
            continue
        problems += result.problems
        for document, outline in zip(result.documents, result.outlines, strict=True):
            owner = owners.setdefault(document.id, file.id)
            if owner == file.id:
                yield Incoming(document, outline, result.reader)
            else:
                problems.append(
                    f"{file.id}: document id {document.id!r} is already that of a document from "
                    f"{owner}, which stays; give each document an id of its own"
                )
    problems += found.problems


def check_paths(paths: Sequence[Path]) -> None:
    """InputError if no path is given, or one does not exist."""
    if not paths:
        raise InputError("no path was given; name the files or folders to read")
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; name a file or a folder that does")
