"""Where the codec of a compressed segment is: in a folder beside the segment's, or in its own.

An index has one codec for all its segments, a few hundred KB that would else stand in each of them.
A segment that shares it says so in `late.compressed.json`: the name of the codec's folder, which is
a segment of the index like its own, and the codec's key. A segment that stands alone, as every one
did before format 4, holds the codec's files itself.

Vectors of 2 bits are too coarse to be stored a second time. So where their codec is outgrown, a
segment is narrowed by the centroids of a second one, the prober, of which nothing else is used.
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
    open_codec,
    read_json,
    read_numbers,
    write_json,
)

STORED = "late.compressed.json"


@dataclass(frozen=True, slots=True)
class StoredCodec:
    """A codec and the folder of the index where it is written."""

    codec: Codec
    folder: Path


_NAME = re.compile(r"[0-9]{1,20}-codec")


def write_place(
    folder: Path,
    codec: Codec,
    shared: Path | None,
    error: float,
    prober: StoredCodec | None = None,
) -> None:
    """Write how the vectors of the segment in `folder` are kept.

    Args:
        folder: the segment's.
        codec: what its vectors are stored by.
        shared: the folder where that is written, beside the segment's own; None writes it here.
        error: of the segment's vectors, see `Codec.error`.
        prober: what the segment is narrowed by, if that is another codec.
    """
    if shared is None:
        codec.write(folder)
    values = _reference(codec.key, shared) | {"error": error}
    if prober is not None:
        values["prober"] = _reference(prober.codec.key, prober.folder)
    write_json(folder / STORED, values)


def _is_earlier(folder: Path) -> bool:
    """Whether the segment is of a format in which each held its codec, and there its error."""
    if (folder / STORED).exists() or not (folder / CENTROIDS).exists():
        return False
    return not (folder / CODEC).exists() or "error" in read_json(folder / CODEC)


def open_place(folder: Path) -> tuple[Codec, Path | None, float]:
    """The codec of the segment in `folder`, the folder that it is shared in, the vectors' error.

    Raises:
        IndexCorrupted: a file is missing or damaged, or the codec is another one.
    """
    if _is_earlier(folder):
        codec = open_codec(folder)
        return codec, None, read_numbers(folder / CODEC, ("error",))["error"]
    stored = read_json(folder / STORED)
    error = read_numbers(folder / STORED, ("error",))["error"]
    codec, shared = _referred(folder, stored)
    return codec, shared, error


def open_prober(folder: Path) -> StoredCodec | None:
    """What the segment in `folder`, which `open_place` opened, is narrowed by; None is its codec.

    Raises:
        IndexCorrupted: a file is missing or damaged, or the codec is another one.
    """
    if not (folder / STORED).exists():
        return None
    reference = read_json(folder / STORED).get("prober")
    if reference is None:
        return None
    if not isinstance(reference, dict) or reference.get("place") is None:
        raise IndexCorrupted(f"{folder / STORED} names no codec to narrow by; {CURE}")
    codec, shared = _referred(folder, reference)
    assert shared is not None
    return StoredCodec(codec, shared)


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
