"""Where a collection is, in a form that every process can open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import StorageError
from retrieval.files.given import StrPath
from retrieval.sharded.storage import ObjectStorage


@dataclass(frozen=True, slots=True)
class Place:
    """Where a collection is, for any process to open: URL, options, and cache folder."""

    url: str
    options: Mapping[str, str]
    cache: Path | None

    def storage(self) -> ObjectStorage:
        """The storage."""
        return ObjectStorage(self.url, self.options)


def place_at(url: str, options: Mapping[str, str] | None, cache: StrPath | None) -> Place:
    """The place given by a caller.

    Raises:
        StorageError: it is not a URL.
    """
    if not isinstance(url, str):
        raise StorageError(
            f"{url!r:.60} is not a URL; give file:///folder, s3://bucket/name, gs:// or az://"
        )
    return Place(url.rstrip("/"), dict(options or {}), None if cache is None else Path(cache))
