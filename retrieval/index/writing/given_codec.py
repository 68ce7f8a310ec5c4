"""A codec that an index is given rather than chooses: the one of its collection, if it is a shard.

Token vectors stored by the same codec have the same scores in whichever shard they are. So a shard
keeps them exact until its collection has a codec, and then uses only that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import IndexCorrupted, from_backup
from retrieval.indexes import StoredCodec, open_codec
from retrieval.store import JsonValue, Store

GIVEN = "given_codec"
"""The key it is stored under; the value is its folder's name, or null for exact vectors."""


@dataclass(frozen=True, slots=True)
class GivenCodec:
    """The codec that stores token vectors; None keeps them exact."""

    stored: StoredCodec | None

    @property
    def key(self) -> str | None:
        """The codec's key, or None."""
        return None if self.stored is None else self.stored.codec.key

    @property
    def folder(self) -> Path | None:
        """The codec's folder, or None."""
        return None if self.stored is None else self.stored.folder

    def remembered(self) -> JsonValue:
        """The value that a commit stores."""
        return {"folder": None if self.folder is None else self.folder.name}


def given_codec(store: Store) -> GivenCodec | None:
    """The codec that an index was given, or None if it chooses its own.

    Raises:
        IndexCorrupted: the codec is damaged.
    """
    found = store.remembered(GIVEN)
    if found is None:
        return None
    name = found.get("folder") if isinstance(found, dict) else found
    if name is None:
        return GivenCodec(None)
    if name not in [record.name for record in store.segments]:
        raise IndexCorrupted(
            f"{store.path} is damaged: it was given the codec {name!r}, which is not there; "
            f"{from_backup(store.folder)}"
        )
    folder = store.segment_folder(name)
    return GivenCodec(StoredCodec(open_codec(folder), folder))
