"""Where the codec of a compressed segment is: in a shared folder beside the segment's, or in it.

An index has one codec for all its segments, a few hundred KB that each would otherwise repeat. A
segment that shares it has in `late.compressed.json` the name of the codec's folder, which is a
segment of the index like its own, and the codec's key. A segment that stands alone, as all did
before format 4, contains the codec's files itself.

Vectors of 2 bits are too coarse to be decoded and stored again. So when a 2-bit codec is outgrown,
the segment is narrowed by a coarse quantiser instead: the centroids of a second codec, of which
nothing else is used.
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
    open_shared_codec,
    read_json,
    write_json,
)

STORED = "late.compressed.json"


@dataclass(frozen=True, slots=True)
class StoredCodec:
    """A codec and the folder of the index that it is written in."""

    codec: Codec
    folder: Path


@dataclass(frozen=True, slots=True)
class CodecPlace:
    """How the vectors of a segment are stored.

    Attributes:
        codec: the codec that stores them.
        shared: the folder that contains it, beside the segment's; None if it is in the segment's
            own.
        error: of the segment's vectors, see `Codec.error`.
        coarse_quantiser: the codec whose centroids narrow the segment, if that is another one.
    """

    codec: Codec
    shared: Path | None
    error: float
    coarse_quantiser: StoredCodec | None = None

    def write(self, folder: Path) -> None:
        """Write it for the segment in `folder`, with the codec unless it is shared."""
        if self.shared is None:
            self.codec.write(folder)
        values = _reference(self.codec.key, self.shared) | {"error": self.error}
        if self.coarse_quantiser is not None:
            other = self.coarse_quantiser
            values["coarse_quantiser"] = _reference(other.codec.key, other.folder)
        write_json(folder / STORED, values)

    @classmethod
    def open(cls, folder: Path) -> CodecPlace:
        """Read that of the segment in `folder`.

        Raises:
            IndexCorrupted: a file is missing or damaged, or a codec is not the one that the segment
                names.
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
    """Whether the segment's format is one in which each segment contains codec and error."""
    if (folder / STORED).exists() or not (folder / CENTROIDS).exists():
        return False
    return not (folder / CODEC).exists() or "error" in read_json(folder / CODEC)


def _reference(key: str, shared: Path | None) -> dict[str, object]:
    return {"codec": key, "place": None if shared is None else shared.name}


def _referred(folder: Path, stored: dict[str, object]) -> tuple[Codec, Path | None]:
    """The codec that a segment refers to, and its folder if it is shared."""
    place = stored.get("place")
    if place is None:
        shared = None
    elif isinstance(place, str) and _NAME.fullmatch(place):
        shared = folder.parent.parent / place
    else:
        raise IndexCorrupted(f"{folder / STORED} names {place!r}, which is not a codec; {CURE}")
    codec = open_codec(folder) if shared is None else open_shared_codec(shared)
    if codec.key != stored.get("codec"):
        found = folder / CENTROIDS if shared is None else shared
        raise IndexCorrupted(f"{found} is not the codec that {folder / STORED} names; {CURE}")
    return codec, shared
