"""The sizes of an index's parts on disk."""

from __future__ import annotations

from contextlib import suppress

from retrieval.index import vectors
from retrieval.index.segments import LEXICAL
from retrieval.store import Store, schema
from retrieval.store.files import folder_bytes

PARTS = ("dense", "late", "lexical", "store", "other")
"""`store` is the database with its log; `other` all other files, and garbage to be swept."""


def bytes_by_part(store: Store) -> dict[str, int]:
    """Bytes on disk of each of `PARTS`, which add up to those of the folder."""
    found = dict.fromkeys(PARTS, 0)
    # As recorded, since a writer may have swept a segment of this generation meanwhile.
    for record in store.of_kind(vectors.KIND):
        for path, file in record.files.items():
            found[path.partition("/")[0]] += file.size
    for kind, part in ((vectors.CODEC, vectors.LATE), (LEXICAL, "lexical")):
        for record in store.of_kind(kind):
            found[part] += sum(file.size for file in record.files.values())
    for suffix in schema.DATABASE_SUFFIXES:
        with suppress(FileNotFoundError):
            found["store"] += store.path.with_name(store.path.name + suffix).stat().st_size
    found["other"] = max(0, folder_bytes(store.folder) - sum(found.values()))
    return found
