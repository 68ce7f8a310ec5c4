"""Where the codec of a compressed segment is: in a folder beside the segment's, or in its own.

An index has one codec for all its segments, a few hundred KB that would else stand in each of them.
A segment that shares it says so in `late.compressed.json`: the name of the codec's folder, which is
a segment of the index like its own, and the codec's key. A segment that stands alone, as every one
did before format 4, holds the codec's files itself.

Vectors of 2 bits are too coarse to be stored a second time. So where their codec is outgrown, a
segment is narrowed by a coarse quantiser: the centroids of a second codec, of which nothing else is
used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import IndexCorrupted
from retrieval.indexes.arrays import CURE
from retrieval.indexes.late.codec import (
    CENTROIDS,
    CODEC,
    Codec,
    numbers_of,
    open_codec,
    read_json,
    write_json,
)

STORED = "late.compressed.json"


@dataclass(frozen=True, slots=True)
class StoredCodec:
    """A codec and the folder of the index where it is written."""

    codec: Codec
    folder: Path


@dataclass(frozen=True, slots=True)
class CodecPlace:
    """How the vectors of a segment are kept.

    Attributes:
        codec: what they are stored by.
        shared: the folder where that is written, beside the segment's own; None is the segment's.
        error: of the segment's vectors, see `Codec.error`.
        coarse_quantiser: what the segment is narrowed by, if that is another codec.
    """

    codec: Codec
    shared: Path | None
    error: float
    coarse_quantiser: StoredCodec | None = None

    def write(self, folder: Path) -> None:
        """Write it for the segment in `folder`, with the codec if that is not shared."""
        if self.shared is None:
            self.codec.write(folder)
        values = _reference(self.codec.key, self.shared) | {"error": self.error}
        if self.coarse_quantiser is not None:
            other = self.coarse_quantiser
            values["coarse_quantiser"] = _reference(other.codec.key, other.folder)
        write_json(folder / STORED, values)

    @classmethod
    def open(cls, folder: Path) -> CodecPlace:
        """That of the segment in `folder`.

        Raises:
            IndexCorrupted: a file is missing or damaged, or a codec is another one.
        """
        if _is_earlier(folder):
            stored = read_json(folder / CODEC)
            error = numbers_of(stored, ("error",), folder / CODEC)["error"]
            return cls(open_codec(folder), None, error)
        stored = read_json(folder / STORED)
        error = numbers_of(stored, ("error",), folder / STORED)["error"]
        codec, shared = _referred(folder, stored)
        reference = stored.get("coarse_quantiser")
        if reference is None:
            return cls(codec, shared, error)
        if not isinstance(reference, dict) or reference.get("place") is None:
            raise IndexCorrupted(f"{folder / STORED} names no codec to narrow by; {CURE}")
        other, place = _referred(folder, reference)
        assert place is not None
        return cls(codec, shared, error, StoredCodec(other, place))


_NAME = re.compile(r"[0-9]{1,20}-codec")


def _is_earlier(folder: Path) -> bool:
    """Whether the segment is of a format in which each held its codec, and there its error."""
    if (folder / STORED).exists() or not (folder / CENTROIDS).exists():
        return False
    return not (folder / CODEC).exists() or "error" in read_json(folder / CODEC)


def _reference(key: str, shared: Path | None) -> dict[str, object]:
    return {"codec": key, "place": None if shared is None else shared.name}


def _referred(folder: Path, stored: dict[str, object]) -> tuple[Codec, Path | None]:
    """The codec that a segment refers to, and where it is shared."""
    place = stored.get("place")
    if place is None:
        shared = None
    elif isinstance(place, str) and _NAME.fullmatch(place):
        shared = folder.parent.parent / place
    else:
        raise IndexCorrupted(f"{folder / STORED} names {place!r}, which is no codec; {CURE}")
    codec = open_codec(folder if shared is None else shared)
    if codec.key != stored.get("codec"):
        found = folder / CENTROIDS if shared is None else shared
        raise IndexCorrupted(f"{found} is not the codec that {folder / STORED} names; {CURE}")
    return codec, shared
