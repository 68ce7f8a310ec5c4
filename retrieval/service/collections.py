"""Collections in shards, as commands use them: by a URL instead of an index's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrieval.documents import LeftOut
from retrieval.documents.walk import LeftOutType
from retrieval.errors import InputError, RetrievalError
from retrieval.files.places import is_url
from retrieval.index import encoder as encoders
from retrieval.index.encoder import EncoderSlot
from retrieval.indexes import LATE_MEMORY
from retrieval.sharded import BuildReport, Changes, ShardedStatus
from retrieval.sharded.building import MOST_SHARDS, build
from retrieval.sharded.clearing import GRACE_SECONDS, ClearReport, clear
from retrieval.sharded.executors import executor_for
from retrieval.sharded.generations import found_newest, newest
from retrieval.sharded.making import make_collection
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.place import Place
from retrieval.sharded.sources.estimate import passages_in
from retrieval.sharded.sources.files import FileDocuments
from retrieval.sharded.sources.remote import NO_FILES, RemoteFiles, files_at
from retrieval.sharded.status import status_of
from retrieval.sharded.storage import ObjectStorage
from retrieval.sync.settings import Given, settings_of
from retrieval.types import Encoder, LateOptions

__all__ = ["MadeWith", "Update", "compact", "status", "update"]


@dataclass(frozen=True, slots=True)
class MadeWith:
    """Settings fixed when a collection is created; None is the existing one's, or the default.

    Attributes:
        shards: number of shards.
        shard_passages: about how many passages a shard should have, instead of `shards`.
        encoder: folder or Hub id of the encoder.
        passage_tokens: maximum length of passages.
        late: fields of LateOptions by name.
        small: whether to use `LateOptions.small()`.
        long_context: whether passages are read together with their neighbours.
    """

    shards: int | None = None
    shard_passages: int | None = None
    encoder: str | None = None
    passage_tokens: int | None = None
    late: Mapping[str, float | None] | None = None
    small: bool = False
    long_context: bool | None = None

    @property
    def options(self) -> dict[str, float]:
        """The fields of LateOptions that were given."""
        return {name: value for name, value in (self.late or {}).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Update:
    """The result of an update: its report, what was left out by reason and type, and one line for
    each problem with a single file."""

    report: BuildReport
    left_out: Mapping[str, Mapping[str, LeftOutType]]
    problems: list[str]


def status(url: str) -> ShardedStatus:
    """The status of the newest generation at a URL; downloads no shard."""
    return status_of(url.rstrip("/"), found_newest(ObjectStorage(url)))


def update(
    url: str,
    sources: Sequence[str],
    given: Given | None = None,
    made_with: MadeWith | None = None,
    *,
    workers: int = 1,
    ray: str | None = None,
    on_gpus: bool = False,
    memory: int = LATE_MEMORY,
    progress: Callable[[int, int], object] | None = None,
    on_left_out: Callable[[LeftOut], object] | None = None,
) -> Update:
    """Make a collection contain what the sources contain, and nothing else, in one commit.

    Shards are downloaded only by tasks that run on this machine.

    Args:
        url: the collection's URL; it is created if there is none.
        sources: files and folders, whose ids are relative to the current folder and which are read
            here; URLs, which are read by the build tasks.
        given: which files are indexed, and how they are read.
        made_with: settings of a new collection.
        workers: number of build processes on this machine.
        ray: the address of a Ray cluster that builds, or `local`; None for none.
        on_gpus: whether actors on that cluster's GPUs encode.
        memory: bytes that compressing token vectors may use, in each process that writes.
        progress: called with the number of shards written, and the number to write.
        on_left_out: called for everything that is not read.

    Raises:
        InputError: a source does not exist, or an option cannot be used.
        EncoderMismatch: the collection was built with another encoder.
        IndexLocked: another build committed first.
    """
    made_with = made_with or MadeWith()
    settings = (given or Given()).over(settings_of(lambda _: None))
    if not sources:
        raise InputError("no path was given; name the files, folders or URLs to read")
    paths = [Path(one) for one in sources if not is_url(one)]
    files = FileDocuments(paths, Path.cwd(), settings, on_left_out=on_left_out)
    # A file that several URLs name is read once.
    found = dict.fromkeys(one for place in sources if is_url(place) for one in files_at(place))
    remote = RemoteFiles(tuple(found), settings.read, settings.max_bytes) if found else NO_FILES
    place = Place(url.rstrip("/"), {}, None)
    with executor_for(workers, ray, on_gpus=on_gpus) as executor:
        base, encoder = _found_or_made(place, files, remote, made_with)
        changes = Changes(files, remote, mirror=True, unreadable=files.unreadable)
        _, report = build(
            place,
            base,
            changes,
            encoder=_loaded(encoder) if executor.here else None,
            executor=executor,
            memory=memory,
            progress=progress,
        )
    return Update(report, files.left_out, [*files.problems, *report.problems])


def compact(
    url: str,
    *,
    workers: int = 1,
    ray: str | None = None,
    memory: int = LATE_MEMORY,
    progress: Callable[[int, int], object] | None = None,
) -> ClearReport:
    """Rewrite all shards without deleted passages, and delete from storage what no generation has
    needed for a week.

    Shards are downloaded only by tasks that run on this machine.

    Args:
        url: the collection's URL.
        workers: see `update`, like `ray`, `memory` and `progress`.

    Raises:
        IndexNotFound: there is no collection.
        IndexLocked: another build committed first.
    """
    place = Place(url.rstrip("/"), {}, None)
    with executor_for(workers, ray) as executor:
        base = found_newest(place.storage())
        changes = Changes(compact=True)
        build(place, base, changes, executor=executor, memory=memory, progress=progress)
    return clear(place.storage(), GRACE_SECONDS)


def _found_or_made(
    place: Place, files: FileDocuments, remote: RemoteFiles, made_with: MadeWith
) -> tuple[Manifest, EncoderSlot]:
    """The newest manifest (of a new collection, if there is none) and the encoder.

    Raises:
        InputError: the collection was created with other settings, or a new one has no number of
            shards.
        EncoderMismatch: it was built with another encoder.
    """
    base = newest(place.storage())
    if base is not None:
        _check_unchanged(place.url, base, made_with)
        return base, EncoderSlot(place.url, base.settings, made_with.encoder)
    options = LateOptions.small() if made_with.small else LateOptions()
    given: Any = made_with.options
    tokens = made_with.passage_tokens
    encoder: Encoder | str | None = made_with.encoder
    shards = made_with.shards
    if made_with.shard_passages is not None:
        encoder = encoders.load(made_with.encoder)
        length = encoders.passage_length(encoder, tokens)
        passages = _passages(files, remote, encoder, length)
        shards = min(MOST_SHARDS, max(1, -(-passages // made_with.shard_passages)))
    if shards is None:
        raise InputError(
            f"there is no collection at {place.url} yet; say with --shards how many shards it "
            "should have, or with --shard-passages how large they should be"
        )
    base, loaded = make_collection(
        place,
        shards=shards,
        encoder=made_with.encoder,
        passage_tokens=tokens,
        late=replace(options, **given),
        long_context=bool(made_with.long_context),
    )
    return base, EncoderSlot(place.url, base.settings, loaded)


def _check_unchanged(url: str, base: Manifest, made_with: MadeWith) -> None:
    """InputError if `made_with` differs from the settings of the collection."""
    shards = made_with.shards
    if shards not in (None, len(base.shards)):
        raise InputError(
            f"the collection at {url} has {len(base.shards)} shards, not {shards}; leave --shards "
            "out, or create a new collection"
        )
    fixed = {
        **made_with.options,
        "passage_tokens": made_with.passage_tokens,
        "long_context": made_with.long_context,
        "small": made_with.small or None,
        "shard_passages": made_with.shard_passages,
    }
    changed = [name for name, value in fixed.items() if value is not None]
    if changed:
        raise InputError(
            f"{changed[0]}={fixed[changed[0]]} is fixed when a collection is created, and {url} "
            "already is one; leave it out, or create a new collection"
        )


def _passages(
    files: FileDocuments, remote: RemoteFiles, encoder: Encoder, passage_tokens: int
) -> int:
    """Estimate how many passages the sources have."""
    here, there = list(files.files()), remote.parts()
    spans = encoder.token_spans
    of_paths = passages_in(here, lambda file: file.size, files.documents_of, spans, passage_tokens)
    of_urls = passages_in(there, lambda part: part.size, remote.documents_of, spans, passage_tokens)
    files.problems.clear()  # they are reported again when the files are read
    return of_paths + of_urls


def _loaded(slot: EncoderSlot) -> Encoder | None:
    """The encoder, loaded once for all shards; None if it cannot be (it may not be needed)."""
    try:
        return slot.get()
    except RetrievalError:
        return None
