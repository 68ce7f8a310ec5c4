"""The manifest: the contents of one generation of a collection in shards.

`manifests/N.json` is created once and never changed; creating it is the commit.
docs/sharded-index.md
describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from retrieval.errors import IndexCorrupted, IndexFormatError
from retrieval.files.stored_json import parsed, whole
from retrieval.indexes import LexicalTotals
from retrieval.store import Settings

FORMAT = 1
"""Raised whenever an older release would misread a manifest."""

CURE = "copy the collection back from a backup, or delete it and build it again"


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One shard.

    Attributes:
        files: the digest of the list of its files, a blob; None while it is empty.
        generation: the generation of its index.
        documents: number of its documents.
        passages: number of passages that can be found.
        bytes: size of its files.
        lexical: the totals of its lexical index.
    """

    files: str | None
    generation: int
    documents: int
    passages: int
    bytes: int
    lexical: LexicalTotals


@dataclass(frozen=True, slots=True)
class CodecRecord:
    """The codec by which all shards store token vectors.

    Attributes:
        key: the codec's key.
        files: the digest of the list of its files, a blob.
    """

    key: str
    files: str


@dataclass(frozen=True)
class Manifest:
    """One generation of a collection.

    Attributes:
        generation: its number, from 1.
        settings: the settings of every shard.
        shards: the shards, in the order that the partition rule uses.
        codec: the codec by which all shards store token vectors; None while these are exact.
        made: when it was made, seconds since 1970 by its maker's clock; only informative.
    """

    generation: int
    settings: Settings
    shards: tuple[ShardRecord, ...]
    codec: CodecRecord | None = None
    made: float = 0.0

    @cached_property
    def documents(self) -> int:
        """Number of documents in all shards."""
        return sum(shard.documents for shard in self.shards)

    @cached_property
    def passages(self) -> int:
        """Number of passages in all shards that can be found."""
        return sum(shard.passages for shard in self.shards)

    @cached_property
    def filled(self) -> dict[int, ShardRecord]:
        """The non-empty shards, by number."""
        return {n: shard for n, shard in enumerate(self.shards) if shard.files is not None}

    @cached_property
    def lexical(self) -> LexicalTotals:
        """The totals of the whole collection."""
        return LexicalTotals.summed(shard.lexical for shard in self.shards)

    def to_json(self) -> bytes:
        """Its stored form."""
        return json.dumps(
            {
                "format": FORMAT,
                "generation": self.generation,
                "partition": {"rule": "sha256", "shards": len(self.shards)},
                "settings": asdict(self.settings),
                "codec": None if self.codec is None else asdict(self.codec),
                "made": self.made,
                "shards": [asdict(shard) for shard in self.shards],
            },
            indent=1,
        ).encode()

    @classmethod
    def from_json(cls, content: bytes, origin: str) -> Manifest:
        """Read a stored manifest.

        Args:
            content: its stored form.
            origin: where it came from, for errors.

        Raises:
            IndexFormatError: a newer release wrote it, or its partition rule is unknown.
            IndexCorrupted: it is not what `to_json` writes.
        """
        try:
            found: Any = parsed(content)
            version = found["format"]
            if not isinstance(version, int) or version < 1:
                raise ValueError(f"its format is {version!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise IndexCorrupted(f"{origin} is not a manifest ({error}); {CURE}") from error
        if version > FORMAT:
            raise IndexFormatError(
                f"{origin} has format {version}, but this release reads up to {FORMAT}; "
                "install a newer release"
            )
        try:
            rule = found["partition"]["rule"]
            if rule != "sha256":
                raise IndexFormatError(
                    f"{origin} distributes documents by {rule!r}, unknown to this release; "
                    "install a newer release"
                )
            shards = tuple(shard_from_values(one) for one in found["shards"])
            if not shards or len(shards) != found["partition"]["shards"]:
                raise ValueError(f"it names {len(shards)} shards")
            codec = found["codec"]
            return cls(
                generation=whole(found["generation"]),
                settings=Settings.from_values(found["settings"]),
                shards=shards,
                codec=None if codec is None else codec_from_values(codec),
                made=_time(found["made"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise IndexCorrupted(f"{origin} is not a manifest ({error!r:.120}); {CURE}") from error


def _time(value: float) -> float:
    time = float(value)
    if not 0 <= time < 1 << 40:  # which no clock is, nor "not a number"
        raise ValueError(f"it was made at {time}")
    return time


def codec_from_values(values: Mapping[str, Any]) -> CodecRecord:
    """A codec's record from JSON; raises ValueError, KeyError or TypeError if it is not valid."""
    if not is_digest(values["files"]):
        raise ValueError(f"{values['files']!r:.80} is not a digest")
    return CodecRecord(str(values["key"]), values["files"])


def shard_from_values(values: Mapping[str, Any]) -> ShardRecord:
    """A shard's record from JSON; raises ValueError, KeyError or TypeError if it is not valid."""
    lexical = values["lexical"]
    tokens, holders = (_counts(lexical[name]) for name in ("tokens", "holders"))
    totals = LexicalTotals(whole(lexical["passages"]), whole(lexical["counted"]), tokens, holders)
    files = values["files"]
    if files is not None and not is_digest(files):
        raise ValueError(f"{files!r:.80} is not a digest")
    return ShardRecord(
        files,
        generation=whole(values["generation"]),
        documents=whole(values["documents"]),
        passages=whole(values["passages"]),
        bytes=whole(values["bytes"]),
        lexical=totals,
    )


def _counts(values: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): whole(count) for name, count in values.items()}


def is_digest(value: object) -> bool:
    """Whether this is a SHA-256 in hexadecimal."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
