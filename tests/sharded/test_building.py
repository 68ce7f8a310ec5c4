"""Generations of a collection: made whole or not at all, sent once, and cleared away."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import (
    IndexCorrupted,
    IndexLocked,
    InputError,
    StorageError,
)
from retrieval.sharded import Incoming, ShardedIndex, blobs, building
from retrieval.sharded.changes import Changes
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.storage import ObjectStorage
from retrieval.sharded.writing import ShardResult, ShardTask, write_shard
from retrieval.types import Document, Encoder

from ..index.fake_encoder import FakeEncoder
from .conftest import Storage
from .made import create, object_storage, reopen
from .samples import documents, shown


def test_what_is_added_is_there_for_whoever_opens_it(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as made:
        assert (made.generation, len(made)) == (1, 0)
        report = made.add(documents(30))
        assert (report.added, report.generation, len(made)) == (30, 2, 30)
    with reopen(storage, tmp_path, "elsewhere") as other:
        assert other.generation == 2
        assert other.get("folder1/d001.md") == documents(30)[1]
        assert other.get("nowhere") is None
        assert other.search("w3")
    with pytest.raises(StorageError, match=r"there already is a collection at"):
        create(storage, tmp_path)


def test_what_is_there_as_it_is_makes_no_generation(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as made:
        made.add(documents(30))
        encoder = made.encoder
        assert isinstance(encoder, FakeEncoder)
        encoder.encoded.clear()
        report = made.add(documents(30))
        assert (report.unchanged, report.sent, report.generation) == (30, 0, 2)
        assert not encoder.encoded
        assert made.delete(["nowhere"]).generation == 2


def test_one_more_document_sends_its_own_shard_only(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path, shards=8) as made:
        whole = made.add(documents(80)).sent
        report = made.add([Document("one more", "w1 w2 w3")])
        assert report.shards == 1
        assert 0 < report.sent < whole / 2


def test_of_a_large_database_few_pieces_are_sent(storage: Storage, tmp_path: Path) -> None:
    """Pieces of a database that did not change are those that are there."""
    long = [Document(f"long{n}", f"w{n} " + os.urandom(20_000).hex()) for n in range(60)]
    with create(storage, tmp_path, shards=1) as made:
        whole = made.add(long).sent
        update = made.add([Document("one more", "w1 w2 w3")]).sent
    assert update < whole / 10


@pytest.mark.parametrize(
    ("size", "piece"), [(1, 1 << 14), (1 << 25, 1 << 14), (3 << 29, 1 << 20), (1 << 40, 1 << 22)]
)
def test_a_database_is_cut_by_its_size(size: int, piece: int) -> None:
    assert blobs._piece_bytes("store.sqlite", size) == piece
    assert blobs._piece_bytes("segments/00000001-vectors/dense.npy", size) == blobs.PIECE


def test_mirroring_drops_what_is_not_named(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as made:
        made.add(documents(30))
        kept = documents(30)[:20]
        report = made.change(Changes(map(Incoming, kept), mirror=True))
        assert (report.deleted, report.unchanged, len(made)) == (10, 20, 20)


def test_of_a_shard_that_lost_all_nothing_is_sent(folder: Storage, tmp_path: Path) -> None:
    with create(folder, tmp_path) as made:
        made.add(documents(12))
        report = made.change(Changes(mirror=True))
        assert (report.deleted, report.sent, len(made), made.generation) == (12, 0, 0, 3)
        assert made.add(documents(12)).added == len(made) == 12


def test_what_came_from_where_nobody_can_look_stays(storage: Storage, tmp_path: Path) -> None:
    came = [Document(f"{n}.md", f"w{n}", metadata={"path": f"{n % 2}/{n}.md"}) for n in range(20)]
    with create(storage, tmp_path) as made:
        made.add(came)
        report = made.change(Changes(mirror=True, unreadable=lambda: ["1"]))
        assert (report.deleted, len(made)) == (10, 10)
        assert made.get("1.md") == came[1] and made.get("0.md") is None


def test_a_reader_keeps_its_generation_until_it_refreshes(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as writer, reopen(storage, tmp_path) as reader:
        assert not reader.refresh()
        writer.add(documents(30))
        assert (reader.generation, len(reader)) == (1, 0)
        assert reader.refresh()
        assert (reader.generation, len(reader)) == (2, 30)
        assert shown(reader.search("w3")) == shown(writer.search("w3"))


def test_of_two_builds_at_once_one_wins(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as one, reopen(storage, tmp_path) as two:

        def slow() -> Iterator[Document]:
            yield Document("of two", "w1")
            one.add(documents(30))

        with pytest.raises(IndexLocked, match=r"another build made generation 2 .* run it again"):
            two.add(slow())
        assert two.add([Document("of two", "w1")]).generation == 3
        assert len(two) == 31
        assert two.get("of two") == Document("of two", "w1")


def test_a_handle_writes_upon_what_others_wrote(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as one, reopen(storage, tmp_path) as two:
        one.add(documents(3))
        two.add([Document("of two", "w1")])
        assert one.delete(["of two"]).generation == 4
        assert (len(one), len(two)) == (3, 4)


def test_a_filter_chooses_among_what_others_wrote(storage: Storage, tmp_path: Path) -> None:
    """Of what a handle deletes by a filter, each matches it, and none that does is left."""
    with create(storage, tmp_path) as one, reopen(storage, tmp_path) as two:
        one.add(Document(id, "w1", metadata={"old": id < "c"}) for id in "abcd")
        two.add(Document(id, "w1", metadata={"old": id > "b"}) for id in "bc")
        assert one.delete(where="old").deleted == 2
        assert one.ids() == ["b", "d"]
        two.add([Document("d", "w1", metadata={"old": True})])
        assert one.delete(["b", "d"], where="old").deleted == 1
        assert one.ids() == ["b"]


def test_nothing_is_sent_of_a_shard_that_holds_nothing(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as made:
        for report in (made.delete(["nowhere"]), made.change(Changes(compact=True))):
            assert (report.generation, report.sent, report.shards) == (1, 0, 0)


def test_a_commit_whose_answer_was_lost_counts(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage is asked again by its library, and then says that the manifest is there."""
    create_object = ObjectStorage.create

    def twice(self: ObjectStorage, name: str, content: bytes) -> bool:
        create_object(self, name, content)
        return create_object(self, name, content)

    with create(storage, tmp_path) as made:
        monkeypatch.setattr(ObjectStorage, "create", twice)
        assert made.add(documents(3)).generation == 2
        assert len(made) == 3


@pytest.mark.parametrize("lost", ["create", "advance"])
def test_a_commit_that_fails_once_it_was_made_counts(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    usual = getattr(ObjectStorage, lost)

    def failing(self: ObjectStorage, name: str, *arguments: Any) -> Any:
        result = usual(self, name, *arguments)
        if name == "CURRENT" or name.startswith("manifests/"):
            raise StorageError("the answer was lost")
        return result

    with create(storage, tmp_path) as made:
        monkeypatch.setattr(ObjectStorage, lost, failing)
        assert made.add(documents(3)).generation == 2
        monkeypatch.undo()
        assert made.add(documents(4)).generation == 3


def test_what_builds_left_that_were_outrun_goes_with_the_next(
    storage: Storage, tmp_path: Path
) -> None:
    with create(storage, tmp_path) as made:
        place = object_storage(storage)
        for name in ("building/1/done/x/0.json", "building/2/spool/y", "building/3/read/z.json"):
            place.put(name, b"left")
        made.add(documents(3))
        assert [one.name for one in place.objects("building")] == ["building/3/read/z.json"]


def test_an_interrupted_build_goes_on_from_what_was_sent(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def failing(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(task.number)
        return write_shard(task, encoder)

    with create(storage, tmp_path) as made:
        monkeypatch.setattr(building, "write_shard", failing)
        with pytest.raises(KeyboardInterrupt):
            made.add(documents(30))
        assert len(made) == 0  # nothing of it is to be seen
        before = made.encoder
        assert isinstance(before, FakeEncoder)
    monkeypatch.undo()
    with reopen(storage, tmp_path) as again:
        encoder = again.encoder
        assert isinstance(encoder, FakeEncoder)
        report = again.add(documents(30))
        assert (report.generation, report.added, len(again)) == (2, 30, 30)
        assert 0 < len(encoder.encoded) < len(before.encoded)
        left = list(object_storage(storage).objects("building"))
        assert left == []


def test_what_another_unfinished_build_sent_is_not_taken(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that was given up leaves no phantom in the next one."""

    def once(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
        write_shard(task, encoder)
        raise KeyboardInterrupt

    with create(storage, tmp_path) as made:
        monkeypatch.setattr(building, "write_shard", once)
        with pytest.raises(KeyboardInterrupt):
            made.add(documents(30))
        monkeypatch.undo()
        made.add([Document("another", "w1")])
        assert len(made) == 1


def _add_and_die(storage: Storage, tmp_path: Path, shards_left: int) -> None:
    """In a process of its own: written so many shards, killed without a word."""
    left = shards_left

    def killed(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
        nonlocal left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return write_shard(task, encoder)

    building.write_shard = killed
    with reopen(storage, tmp_path) as index:
        index.add(documents(40))


@pytest.mark.parametrize("shards_left", [0, 2, 3])
def test_a_killed_build_loses_nothing_that_was_committed(
    storage: Storage, tmp_path: Path, shards_left: int
) -> None:
    with create(storage, tmp_path, shards=4) as made:
        made.add(documents(10))
        before = shown(made.search("w3 w50"))
    process = multiprocessing.get_context("spawn").Process(
        target=_add_and_die, args=(storage, tmp_path, shards_left)
    )
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    with reopen(storage, tmp_path, "elsewhere") as after:
        assert shown(after.search("w3 w50")) == before
        after.add(documents(40))
        assert len(after) == 40


def test_a_commit_that_current_does_not_speak_of_yet_counts(
    storage: Storage, tmp_path: Path
) -> None:
    """A builder may be killed between the manifest and the pointer."""
    with create(storage, tmp_path) as made:
        made.add(documents(10))
        object_storage(storage).put("CURRENT", b"1")
        with reopen(storage, tmp_path) as other:
            assert other.generation == 2
        made.add([Document("one more", "w1")])
    assert object_storage(storage).read("CURRENT") == b"3"


def aged(folder: Path, days: float) -> None:
    """Make all objects in a folder so much older."""
    for path in folder.rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - days * 86_400
            os.utime(path, (then, then))


def test_a_generation_is_kept_from_when_it_was_replaced(folder: Storage, tmp_path: Path) -> None:
    """However old it is: a reader may have begun to copy it a moment before."""
    stored = Path(folder.url.removeprefix("file://"))
    with create(folder, tmp_path) as made:
        made.add(documents(10))
        aged(stored, 30)
        before = made.status()
        made.add(documents(20))
        old = Manifest.from_json(object_storage(folder).read("manifests/2.json") or b"", "")
        assert made.compact().objects > 0  # the first generation, which was replaced long ago
        needed = [blobs.names_of(object_storage(folder), files) for files in filed(old)]
        assert before.generation == 2 and all(needed)
        assert all((stored / name).exists() for names in needed for name in names)
        aged(stored, 8)
        assert made.compact().objects > 0
        assert not (stored / "manifests/2.json").exists()


def filed(manifest: Manifest) -> list[str]:
    return [shard.files for shard in manifest.shards if shard.files is not None]


def test_what_a_late_pointer_names_may_be_cleared(folder: Storage, tmp_path: Path) -> None:
    storage = object_storage(folder)
    with create(folder, tmp_path) as made:
        made.add(documents(10))
        newest = made.generation
        storage.put("CURRENT", b"1")  # a builder was killed between the manifest and the pointer
        assert made.compact(grace=0).objects > 0
        assert storage.read("CURRENT") == str(newest).encode()
        storage.put("CURRENT", b"1")  # in a folder, one that was slow may still write it
        assert storage.read("manifests/1.json") is None
    with reopen(folder, tmp_path) as other:
        assert other.generation == newest
    storage.delete([f"manifests/{newest}.json"])
    with pytest.raises(IndexCorrupted, match=r"manifests/1\.json is missing"):
        reopen(folder, tmp_path)


def test_clearing_passes_over_what_somebody_else_put_there(folder: Storage, tmp_path: Path) -> None:
    with create(folder, tmp_path, shards=1) as made:
        made.add(documents(2))
        foreign = ["manifests/README.txt", "manifests/0x1.json", "manifests/01.json"]
        foreign += ["manifests/old/1.json", "manifests/1", "manifests/.json"]
        storage = object_storage(folder)
        for name in foreign:
            storage.put(name, b"foreign")
        assert made.compact(grace=0).objects > 0
        left = {one.name for one in storage.objects("manifests")}
        assert left == {f"manifests/{made.generation}.json", *foreign}


def test_clearing_takes_what_no_generation_needs(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as made:
        made.add(documents(30))
        made.delete([document.id for document in documents(30)[:15]])
        kept = made.compact()
        assert kept.objects == 0  # all of it is within the time of grace
        before = shown(made.search("w3 w50"))
        cleared = made.compact(grace=0)
        assert cleared.objects > 0 and cleared.bytes > 0
        assert made.compact(grace=0).objects == 0
    with reopen(storage, tmp_path, "elsewhere") as other:
        assert shown(other.search("w3 w50")) == before


@pytest.mark.slow
def test_processes_write_what_one_writes(storage: Storage, tmp_path: Path) -> None:
    """With the embedded model, which every process loads for itself."""
    options: dict[str, Any] = {"cache": tmp_path / "cache", "options": storage.options}
    with (
        ShardedIndex.create(storage.url, shards=3, **options) as one,
        ShardedIndex.create(f"{storage.url}-several", shards=3, **options) as two,
    ):
        one.add(documents(12))
        assert two.add(documents(12), workers=2).added == 12
        assert shown(two.search("w3 w50")) == shown(one.search("w3 w50"))


def test_documents_that_fulfil_a_filter_are_deleted(folder: Storage, tmp_path: Path) -> None:
    with create(folder, tmp_path) as made:
        made.add([Document(str(n), "text", metadata={"n": n}) for n in range(6)])
        assert made.delete(where="n < :most", params={"most": 2}).deleted == 2
        assert made.delete(["2", "3", "nowhere"], where={"n": {"$gte": 3}}).deleted == 1
        assert made.ids() == ["2", "4", "5"]
        assert made.delete(where="n > 100").deleted == 0
        with pytest.raises(InputError, match="nothing was named; give ids or a filter"):
            made.delete()
