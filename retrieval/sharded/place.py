"""Where a collection is, as every process that works on it opens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.sharded.storage import ObjectStorage


@dataclass(frozen=True, slots=True)
class Place:
    """Where a collection is, as another process opens it: its URL, options, and the caches."""

    url: str
    options: Mapping[str, str]
    cache: Path | None

    def storage(self) -> ObjectStorage:
        """The storage."""
        return ObjectStorage(self.url, self.options)
