"""Writing one shard: an ordinary index, brought here, changed and sent back.

A task can be run again at any time, by whichever process: what is there as it should be costs
nothing, and what was sent is not sent again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from retrieval.index import Index, vectors
from retrieval.index.as_read import path_of
from retrieval.index.segments import LEXICAL
from retrieval.index.writing import deleting
from retrieval.index.writing.create import make
from retrieval.index.writing.writer import Writer
from retrieval.indexes import LateCodec, LexicalTotals, lexical_totals, open_codec
from retrieval.sharded.blobs import download, names_of, upload
from retrieval.sharded.local import ShardCache, files_of, writable_copy
from retrieval.sharded.manifest import CodecRecord, ShardRecord, record_from_json, record_to_json
from retrieval.sharded.spool import spooled
from retrieval.sharded.storage import ObjectStorage
from retrieval.store import Settings, Store
from retrieval.sync.roots import is_under
from retrieval.types import Encoder

NO_PASSAGES = LexicalTotals(0, 0, {}, {})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a collection is, as another process opens it: its URL, options, and the caches."""

    url: str
    options: Mapping[str, str]
    cache: Path | None

    def storage(self) -> ObjectStorage:
        """The storage."""
        return ObjectStorage(self.url, self.options)


@dataclass(frozen=True, slots=True)
class ShardTask:
    """What is to be done to one shard.

    Attributes:
        place: of the collection.
        number: the shard's.
        base: what it is before; None for a new one.
        settings: of a new one.
        codec: what token vectors are stored by; None keeps them exactly.
        changed: whether there is anything to do but to take a new codec.
        chooses: whether the shard trains the codec, which the others then take.
        spool: the file of documents to be put.
        mirror: whether what is not among them leaves.
        unreadable: ids of files and folders whose documents stay all the same.
        delete: ids of documents that leave.
        compact: whether it is written anew, without what was deleted.
        progress: the object that its record is kept in until the commit.
        work: a folder of its own for the time it takes, not there yet.
        memory: bytes that compressing token vectors may take.
    """

    place: Place
    number: int
    base: ShardRecord | None
    settings: Settings
    codec: CodecRecord | None
    changed: bool
    chooses: bool
    spool: Path
    mirror: bool
    unreadable: tuple[str, ...]
    delete: tuple[str, ...]
    compact: bool
    progress: str
    work: Path
    memory: int


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What became of a shard.

    Attributes:
        record: for the manifest.
        codec: what it chose, if it was to choose and did.
        counts: how many documents were added, updated, unchanged and deleted.
        sent: bytes that were sent.
    """

    record: ShardRecord
    codec: CodecRecord | None
    counts: Mapping[str, int]
    sent: int


def write_shard(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
    """Do it.

    Args:
        task: what.
        encoder: of the collection; None loads what its settings name.
    """
    storage = task.place.storage()
    start = _started(storage, task) or task.base
    folder = task.work / "index"
    task.work.mkdir(parents=True)
    try:
        if start is None or start.files is None:
            make(folder, task.settings)
        else:
            cache = ShardCache(storage, task.place.cache)
            writable_copy(cache.copy(start.files), folder)
        counts: Counter[str] = Counter()
        with Index.open(folder, encoder=encoder, memory=task.memory) as index:
            with index.writing() as writer:
                if task.chooses:
                    writer.choose_codec()
                else:
                    _take_codec(writer, storage, task)
                _change(writer, task, counts)
                chosen = writer.keep_codec() if task.chooses else None
            codec = None if chosen is None else _sent_codec(chosen, storage, task)
            if task.compact and start is not None and _is_loose(folder, start):
                index.compact()
        known = set() if start is None or start.files is None else names_of(storage, start.files)
        files = files_of(folder)
        listing, sent = upload(storage, folder, files, known)
        record = _record(folder, listing, files)
        storage.put(task.progress, record_to_json(record))
        return ShardResult(record, codec, counts, sent)
    finally:
        shutil.rmtree(task.work, ignore_errors=True)


def _started(storage: ObjectStorage, task: ShardTask) -> ShardRecord | None:
    """What an interrupted run of the same task had sent."""
    content = storage.read(task.progress)
    return (
        None if content is None else record_from_json(content, f"{task.place.url}/{task.progress}")
    )


def _take_codec(writer: Writer, storage: ObjectStorage, task: ShardTask) -> None:
    codec: LateCodec | None = None
    if task.codec is not None:
        place = task.work / "codec"
        download(storage, task.codec.files, place)
        codec = open_codec(place)
    writer.give_codec(codec)


def _change(writer: Writer, task: ShardTask, counts: Counter[str]) -> None:
    """Put what comes, delete what goes."""
    kept: set[str] = set()
    for one in spooled(task.spool):
        counts[writer.put(one.document, None, one.outline, reader=one.reader)] += 1
        kept.add(one.document.id)
    writer.commit()
    gone = list(task.delete)
    if task.mirror:
        left = sorted(set(writer.store.ids()) - kept)
        gone += [id for id in left if not _is_unreadable(writer.store, id, task.unreadable)]
    counts["deleted"] += deleting.delete(writer, gone, None) if gone else 0


def _is_unreadable(store: Store, id: str, unreadable: Sequence[str]) -> bool:
    """Whether a document came from one of these files, or from beneath one of these folders."""
    if not unreadable:
        return False
    document = store.find(id)
    path = None if document is None else path_of(document.metadata)
    return path is not None and any(is_under(path, place) for place in unreadable)


def _sent_codec(codec: LateCodec, storage: ObjectStorage, task: ShardTask) -> CodecRecord:
    """The codec that the shard trained, for all shards."""
    place = task.work / "codec"
    place.mkdir()
    codec.write(place)
    files, _ = upload(storage, place, [file.name for file in place.iterdir()])
    return CodecRecord(codec.key, files)


def _is_loose(folder: Path, before: ShardRecord) -> bool:
    """Whether compacting would change anything: deleted passages are there, or many segments."""
    with closing(Store(folder)) as store:
        loose = len(store.of_kind(vectors.KIND)) > 1 or len(store.dead()) > 0
    return loose or before.lexical.counted > before.lexical.passages


def _record(folder: Path, listing: str, files: list[str]) -> ShardRecord:
    with closing(Store(folder)) as store:
        counts = store.counts()
        if not counts.documents:
            return ShardRecord(None, store.generation, 0, 0, 0, NO_PASSAGES)
        lexical = store.of_kind(LEXICAL)
        totals = lexical_totals(store.segment_folder(lexical[0].name)) if lexical else NO_PASSAGES
        return ShardRecord(
            listing,
            generation=store.generation,
            documents=counts.documents,
            passages=counts.passages,
            bytes=sum((folder / name).stat().st_size for name in files),
            lexical=totals,
        )
