"""What is to be written, shared out to the shards: a file on disk for each of them."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from retrieval.documents.outline import Outline
from retrieval.errors import StorageError
from retrieval.sharded.partition import shard_of
from retrieval.types import Document


@dataclass(frozen=True, slots=True)
class Incoming:
    """A document to be written, with what is known of it if it came from a file.

    Attributes:
        document: it.
        outline: its structure; None finds it by the document's metadata.
        reader: what read the file.
    """

    document: Document
    outline: Outline | None = None
    reader: str | None = None


class Spool:
    """Documents on this machine's disk, each in the file of its shard.

    Attributes:
        counts: how many each shard's file holds.
        digest: of all of them in their order: the same for the same documents.
    """

    def __init__(self, folder: Path, shards: int, documents: Iterable[Incoming]) -> None:
        """Write the files.

        Args:
            folder: of the files; it is there.
            shards: how many there are.
            documents: they stream through.

        Raises:
            StorageError: the disk is full.
        """
        self._folder = folder
        self.counts = [0] * shards
        digest = hashlib.sha256()
        files: dict[int, BinaryIO] = {}
        with ExitStack() as stack:
            for one in documents:
                number = shard_of(one.document.id, shards)
                try:
                    if number not in files:
                        files[number] = stack.enter_context(self.file(number).open("wb"))
                    pickle.dump(one, files[number])
                except OSError as error:
                    raise StorageError(
                        f"documents cannot be shared out in {folder} "
                        f"({error.strerror or error}); free some space, or set TMPDIR"
                    ) from error
                self.counts[number] += 1
                digest.update(f"{one.document.id}\0{one.document.content_hash}\n".encode())
        self.digest = digest.hexdigest()

    def file(self, number: int) -> Path:
        """The file of a shard; not there if it gets nothing."""
        return self._folder / f"shard-{number:05d}.spool"


def spooled(file: Path) -> Iterator[Incoming]:
    """The documents of a shard's file, which this program wrote, in a folder of this user alone."""
    if not file.exists():
        return
    with file.open("rb") as opened:
        while True:
            try:
                one: Incoming = pickle.load(opened)
            except EOFError:
                return
            yield one
