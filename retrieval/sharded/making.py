"""Creating an empty collection."""

from __future__ import annotations

from retrieval.errors import InputError, StorageError
from retrieval.index import encoder as encoders
from retrieval.numeric import is_whole
from retrieval.sharded.building import EMPTY, MOST_SHARDS, build
from retrieval.sharded.changes import Changes
from retrieval.sharded.generations import newest
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.place import Place
from retrieval.types import Encoder, EncoderSource, LateOptions


def make_collection(
    place: Place,
    *,
    shards: int,
    encoder: EncoderSource | None = None,
    passage_tokens: int | None = None,
    late: LateOptions | None = None,
    long_context: bool = False,
) -> tuple[Manifest, Encoder]:
    """Create an empty collection where there is none, see `ShardedIndex.create`.

    Returns:
        The manifest of its first generation, and the encoder.

    Raises:
        StorageError: there is one already.
        InputError: `shards` is not a valid number of shards, or like `Index.create`.
        EncoderError: like `Index.create`.
    """
    if not is_whole(shards) or not 1 <= shards <= MOST_SHARDS:
        raise InputError(f"shards={shards!r}; give a whole number from 1 to {MOST_SHARDS}")
    if newest(place.storage()) is not None:
        raise StorageError(f"there already is a collection at {place.url}; open it")
    loaded, settings = encoders.remember(encoder, passage_tokens, late, long_context)
    manifest, _ = build(place, Manifest(0, settings, (EMPTY,) * int(shards)), Changes())
    return manifest, loaded
