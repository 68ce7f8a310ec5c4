"""Documents to be written, distributed to shards: objects in storage with a section per shard.

A document is a line of JSON. What is read back is only data, and verified by its digest: the
    documents may come from strangers, and others may be able to write to the storage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.documents.outline import Outline
from retrieval.documents.outline_lists import outline_as_lists, outline_of
from retrieval.errors import IndexCorrupted
from retrieval.files.stored_json import parsed, whole
from retrieval.sharded.partition import shard_of
from retrieval.sharded.storage import ObjectStorage
from retrieval.types import Document

PIECE_BYTES = 1 << 25
"""Bytes of documents that are buffered before they are stored."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A document to be written, with information about its file, if any.

    Attributes:
        document: the document.
        outline: its structure; None derives it by the document's metadata.
        reader: how the file was read.
        origin: the file's id. If several files have a document with the same id, the first is kept;
            without files, the last.
    """

    document: Document
    outline: Outline | None = None
    reader: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class SpoolSection:
    """Where documents of a shard are: a byte range of an object, with its SHA-256."""

    name: str
    start: int
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Spooled:
    """The documents that one reader stored.

    Attributes:
        sections: the sections of each shard, in the order of its documents.
        documents: number of documents of each shard.
        digest: identifies the documents and their order.
        problems: one line for each problem in reading.
    """

    sections: dict[int, list[SpoolSection]]
    documents: dict[int, int]
    digest: str
    problems: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Its stored form."""
        return json.dumps(
            {
                "sections": [
                    [shard, one.name, one.start, one.size, one.digest]
                    for shard, several in self.sections.items()
                    for one in several
                ],
                "documents": list(self.documents.items()),
                "digest": self.digest,
                "problems": self.problems,
            }
        ).encode()

    @classmethod
    def from_json(cls, content: bytes, origin: str) -> Spooled:
        """Read what `to_json` wrote.

        Raises:
            IndexCorrupted: it is something else.
        """
        try:
            found: Any = parsed(content)
            sections: dict[int, list[SpoolSection]] = {}
            for shard, name, start, size, digest in found["sections"]:
                one = SpoolSection(str(name), whole(start), whole(size), str(digest))
                sections.setdefault(whole(shard), []).append(one)
            documents = {whole(shard): whole(count) for shard, count in found["documents"]}
            problems = tuple(map(str, found["problems"]))
            return cls(sections, documents, str(found["digest"]), problems)
        except (ValueError, KeyError, TypeError) as error:
            raise IndexCorrupted(
                f"{origin} is not a record of documents ({error!r:.120}); delete it"
            ) from error


def merged(several: Sequence[Spooled]) -> Spooled:
    """Combine what several readers stored, in order."""
    sections: dict[int, list[SpoolSection]] = {}
    documents: dict[int, int] = {}
    for one in several:
        for shard, found in one.sections.items():
            sections.setdefault(shard, []).extend(found)
        for shard, count in one.documents.items():
            documents[shard] = documents.get(shard, 0) + count
    digest = hashlib.sha256("\n".join(one.digest for one in several).encode()).hexdigest()
    problems = tuple(line for one in several for line in one.problems)
    return Spooled(sections, documents, digest, problems)


def spool(
    storage: ObjectStorage, prefix: str, shards: int, documents: Iterable[Incoming]
) -> Spooled:
    """Store documents, each in a section of its shard.

    Args:
        storage: the storage.
        prefix: prefix of the objects' names, which are digests of their contents.
        shards: number of shards.
        documents: the documents, which are streamed.

    Raises:
        StorageError: the storage fails, or the disk is full.
    """
    lines: dict[int, list[bytes]] = {}
    held = 0
    sections: dict[int, list[SpoolSection]] = {}
    counts: dict[int, int] = {}
    digest = hashlib.sha256()

    def store() -> None:
        whole = bytearray()
        spans: list[tuple[int, int, int, str]] = []
        for shard in sorted(lines):
            section = b"".join(lines[shard])
            spans.append((shard, len(whole), len(section), hashlib.sha256(section).hexdigest()))
            whole += section
        name = f"{prefix}/{hashlib.sha256(whole).hexdigest()}"
        storage.put(name, bytes(whole))
        for shard, start, size, own in spans:
            sections.setdefault(shard, []).append(SpoolSection(name, start, size, own))
        lines.clear()

    for one in documents:
        line = _line(one)
        digest.update(line)
        shard = shard_of(one.document.id, shards)
        lines.setdefault(shard, []).append(line)
        counts[shard] = counts.get(shard, 0) + 1
        held += len(line)
        if held >= PIECE_BYTES:
            store()
            held = 0
    if lines:
        store()
    return Spooled(sections, counts, digest.hexdigest())


def spooled(storage: ObjectStorage, sections: Iterable[SpoolSection]) -> Iterator[Incoming]:
    """The documents of these sections.

    Raises:
        IndexCorrupted: a section is missing or was altered.
    """
    for one in sections:
        content = storage.read_range(one.name, one.start, one.size)
        if content is None or hashlib.sha256(content).hexdigest() != one.digest:
            what = "is missing" if content is None else "was altered"
            raise IndexCorrupted(f"{storage.url}/{one.name} {what}; run the build again")
        try:
            for line in content.splitlines():
                yield _incoming(parsed(line.decode("utf-8", "surrogatepass")))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise IndexCorrupted(
                f"{storage.url}/{one.name} holds no documents ({error!r:.120}); run the build again"
            ) from error


def _line(one: Incoming) -> bytes:
    document = one.document
    outline = None if one.outline is None else outline_as_lists(one.outline)
    fields = [document.id, document.text, document.title, dict(document.metadata)]
    row = [*fields, one.reader, one.origin, outline]
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _incoming(row: Any) -> Incoming:
    id, text, title, metadata, reader, origin, outline = row
    document = Document(id, text, title, metadata)
    found = None if outline is None else outline_of(document.text, outline)
    return Incoming(document, found, reader, origin)
