"""Writing one shard: an ordinary index, downloaded, changed and uploaded.

A task can be repeated at any time, by any process on any machine: a finished one leaves a record,
    which is created once and is what every other run of it returns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from retrieval.errors import IndexCorrupted
from retrieval.files.stored_json import parsed, whole
from retrieval.index import Index, vectors
from retrieval.index.context_builder import path_of
from retrieval.index.segments import LEXICAL
from retrieval.index.writing import deleting
from retrieval.index.writing.create import make
from retrieval.index.writing.writer import Writer
from retrieval.indexes import LateCodec, LexicalTotals, lexical_totals, open_codec
from retrieval.sharded.blobs import download, names_of, upload
from retrieval.sharded.local import ShardCache, building_folder, files_of, writable_copy
from retrieval.sharded.manifest import (
    CodecRecord,
    ShardRecord,
    codec_from_values,
    shard_from_values,
)
from retrieval.sharded.place import Place
from retrieval.sharded.putting import Putting
from retrieval.sharded.spool import SpoolSection
from retrieval.sharded.storage import ObjectStorage
from retrieval.sharded.training_sample import TrainingSample
from retrieval.sharded.working_folder import working_folder
from retrieval.store import Settings, Store
from retrieval.sync.roots import is_under
from retrieval.types import Encoder

NO_PASSAGES = LexicalTotals(0, 0, {}, {})


@dataclass(frozen=True, slots=True)
class ShardTask:
    """The changes to make to one shard.

    Attributes:
        place: the collection's place.
        number: the shard's number.
        base: its present record; None for a new shard.
        settings: the settings of a new shard.
        codec: the codec for token vectors; None keeps them exact until there is one.
        trains: whether the shard may train a codec, which all others then adopt.
        trained: the record of the shard that may train one, looked for before and after writing
            this one; None if none may.
        changed: whether there is anything to do besides adopting a new codec.
        spool: where the documents to put are.
        sections: the sections with this shard's documents.
        mirror: whether all other documents are deleted.
        unreadable: ids of files and folders whose documents are kept nevertheless.
        delete: ids of documents to delete, except those that are put.
        compact: whether to rewrite it without deleted passages.
        record: the object that records that it is done, and the result, until the commit.
        memory: bytes that compressing token vectors may use.
    """

    place: Place
    number: int
    base: ShardRecord | None
    settings: Settings
    codec: CodecRecord | None
    trains: bool
    trained: str | None
    changed: bool
    spool: Place
    sections: tuple[SpoolSection, ...]
    mirror: bool
    unreadable: tuple[str, ...]
    delete: tuple[str, ...]
    compact: bool
    record: str
    memory: int


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of writing a shard.

    Attributes:
        record: its record for the manifest.
        codec: the codec that stores its token vectors; None if they are exact.
        counts: numbers of documents added, updated, unchanged and deleted.
        sent: bytes sent to storage.
        problems: one line for each document that was left out.
    """

    record: ShardRecord
    codec: CodecRecord | None
    counts: Mapping[str, int]
    sent: int
    problems: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Its stored form."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes, origin: str) -> ShardResult:
        """Read what `to_json` wrote.

        Raises:
            IndexCorrupted: it is something else.
        """
        try:
            found = parsed(content)
            codec = found["codec"]
            return cls(
                shard_from_values(found["record"]),
                None if codec is None else codec_from_values(codec),
                {str(name): whole(count) for name, count in found["counts"].items()},
                whole(found["sent"]),
                tuple(map(str, found["problems"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexCorrupted(
                f"{origin} is not a record of a shard ({error!r:.120}); delete it"
            ) from error


def write_shard(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
    """Write a shard, unless its record says that it is done.

    Args:
        task: the changes to make.
        encoder: the collection's encoder; None loads the one that its settings name.

    Raises:
        IndexCorrupted: the new shard, or the one it began with, is damaged.
        StorageError: the storage fails, or the disk is full.
    """
    storage = task.place.storage()
    done = storage.read(task.record)
    if done is None:
        with working_folder(building_folder(task.place.cache)) as work:
            result = _write(task, storage, encoder, work)
        done = result.to_json()
        if storage.create(task.record, done):
            return result
        # Another run of the task was faster. Both are valid; the stored one is used.
        done = storage.read(task.record) or done
    return ShardResult.from_json(done, f"{storage.url}/{task.record}")


def _write(
    task: ShardTask, storage: ObjectStorage, encoder: Encoder | None, work: Path
) -> ShardResult:
    folder = work / "index"
    files = None if task.base is None else task.base.files
    if files is None:
        make(folder, task.settings)
    else:
        writable_copy(ShardCache(storage, task.place.cache).copy(files), folder)
    with Index.open(folder, encoder=encoder, memory=task.memory) as index:
        with index.writing() as writer:
            putting = Putting(writer, task.spool.storage(), task.sections)
            if task.trains:
                codec = _trained(writer, putting, storage, task, work)
            else:
                codec = _taken(writer, storage, task, work)
                others = putting.put(lambda id: True)
                _delete(writer, putting, others, task)
                codec = codec or _taken(writer, storage, task, work)
        if task.compact and task.base is not None and _is_loose(folder, task.base):
            index.compact()
        damage = index.verify()
    if damage:
        raise IndexCorrupted(f"shard {task.number} of {storage.url} is damaged: {damage[0]}")
    record, sent = _generation_of(folder), 0
    if record.documents:
        known = set() if files is None else names_of(storage, files)
        own = files_of(folder)
        listing, sent = upload(storage, folder, own, known)
        size = sum((folder / name).stat().st_size for name in own)
        record = replace(record, files=listing, bytes=size)
    return ShardResult(record, codec, dict(putting.counts), sent, tuple(putting.problems))


def _taken(
    writer: Writer, storage: ObjectStorage, task: ShardTask, work: Path
) -> CodecRecord | None:
    """Make the shard use the collection's codec, if there is one by now."""
    record = task.codec
    if record is None and task.trained is not None:
        done = storage.read(task.trained)
        if done is not None:
            record = ShardResult.from_json(done, f"{storage.url}/{task.trained}").codec
    codec: LateCodec | None = None
    if record is not None:
        place = work / "codec"
        download(storage, record.files, place)
        codec = open_codec(place)
    writer.give_codec(codec)
    return record


def _trained(
    writer: Writer, putting: Putting, storage: ObjectStorage, task: ShardTask, work: Path
) -> CodecRecord | None:
    """Put the documents and train the collection's codec, if the shard is large enough for one.

    A sample of them trains it, so that no token vector is compressed twice. What the build deletes
    is deleted before, since neither the codec nor the decision for one should depend on it.
    """
    writer.give_codec(None)
    sample = TrainingSample(task.sections)
    codec = writer.train_codec(_sampled(writer, putting, sample, task))
    if sample.share < 1:
        putting.put(lambda id: id not in sample)
        codec = codec or writer.train_codec()
    return None if codec is None else _sent_codec(codec, storage, work)


def _sampled(writer: Writer, putting: Putting, sample: TrainingSample, task: ShardTask) -> float:
    """Put the sample, and delete what the build deletes; returns how many times its documents the
    shard has once the others are put as well."""
    others = putting.put(lambda id: id in sample)
    _delete(writer, putting, others, task)
    new = len(others - set(writer.store.ids())) if others else 0
    return 1 + new / max(1, writer.store.counts().documents)


def _delete(writer: Writer, putting: Putting, others: Set[str], task: ShardTask) -> None:
    """Delete what the build deletes, and commit.

    Args:
        others: ids of documents of the build that are not put yet.
    """
    owners = putting.owners
    gone = [id for id in task.delete if id not in owners and id not in others]
    if task.mirror:
        left = sorted(set(writer.store.ids()) - owners.keys() - others)
        gone += [id for id in left if not _is_unreadable(writer.store, id, task.unreadable)]
    if gone:
        putting.counts["deleted"] += deleting.delete(writer, gone, None)
        writer.commit()


def _is_unreadable(store: Store, id: str, unreadable: Sequence[str]) -> bool:
    """Whether a document came from one of these files or folders."""
    if not unreadable:
        return False
    document = store.find(id)
    path = None if document is None else path_of(document.metadata)
    return path is not None and any(is_under(path, place) for place in unreadable)


def _sent_codec(codec: LateCodec, storage: ObjectStorage, work: Path) -> CodecRecord:
    """Upload the codec that the shard trained, for all shards."""
    place = work / "codec"
    place.mkdir()
    codec.write(place)
    files, _ = upload(storage, place, [file.name for file in place.iterdir()])
    return CodecRecord(codec.key, files)


def _is_loose(folder: Path, before: ShardRecord) -> bool:
    """Whether compacting would change anything: there are deleted passages, or several segments."""
    with closing(Store(folder)) as store:
        loose = len(store.of_kind(vectors.KIND)) > 1 or len(store.dead()) > 0
    return loose or before.lexical.counted > before.lexical.passages


def _generation_of(folder: Path) -> ShardRecord:
    """The record of an index, without its files."""
    with closing(Store(folder)) as store:
        counts = store.counts()
        totals = NO_PASSAGES
        lexical = store.of_kind(LEXICAL)
        if counts.documents and lexical:
            totals = lexical_totals(store.segment_folder(lexical[0].name))
        return ShardRecord(None, store.generation, counts.documents, counts.passages, 0, totals)
