"""What replicas take from a folder and from S3: served as one index, or refused in one line."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import IndexFormatError, ShardUnavailable
from retrieval.index import Index
from retrieval.sharded import blobs
from retrieval.sharded.place import Place
from retrieval.sharded.serving.served_collection import ServedCollection
from retrieval.types import RETRIEVERS

from ..index.fake_encoder import FakeEncoder
from .conftest import Storage
from .made import create, object_storage, reopen
from .samples import QUERIES, documents, shown
from .serving_samples import ThreadHosts, until
from .test_wrong_input import Refusing

MADE = documents(24)
MORE = documents(30, seed=6)[24:]


@contextmanager
def serving(
    storage: Storage,
    tmp_path: Path,
    seen_by_replicas: Callable[[Place], Place] = lambda place: place,
    **options: Any,
) -> Iterator[ServedCollection]:
    """The collection, served by replicas that bring it to a cache of their own."""
    collection = ServedCollection(
        storage.url,
        lambda place: ThreadHosts(seen_by_replicas(place)),
        encoder=FakeEncoder(),
        cache=tmp_path / "replicas",
        options=storage.options,
        **options,
    )
    try:
        yield collection
    finally:
        collection.close()


def one_beside(tmp_path: Path) -> Index:
    return Index.create(tmp_path / "one", encoder=FakeEncoder(), passage_tokens=32)


@pytest.fixture
def filled(storage: Storage, tmp_path: Path) -> Storage:
    """A storage with the collection."""
    with create(storage, tmp_path, passage_tokens=32) as made:
        made.add(MADE)
    return storage


def one_line(told: pytest.ExceptionInfo[Exception], *parts: str) -> None:
    line = str(told.value)
    assert "\n" not in line
    for part in parts:
        assert part in line


def test_it_is_searched_and_follows_as_one_index(filled: Storage, tmp_path: Path) -> None:
    with serving(filled, tmp_path, replicas=2) as served, one_beside(tmp_path) as one:
        one.add(MADE)
        for retriever in RETRIEVERS:
            for query in QUERIES:
                found = served.search(query, retriever=retriever)
                assert shown(found) == shown(one.search(query, retriever=retriever))
        assert any((tmp_path / "replicas").rglob("store.sqlite"))
        with reopen(filled, tmp_path) as writer:
            writer.add(MORE)
            writer.delete([MADE[3].id])
            writer.compact()  # until then BM25 counts what was deleted, in each in its own way
        one.add(MORE)
        one.delete([MADE[3].id])
        one.compact()
        assert served.refresh()
        assert served.ids() == one.ids()
        for query in QUERIES:
            assert shown(served.search(query)) == shown(one.search(query))


def test_a_piece_that_was_altered_is_named(filled: Storage, tmp_path: Path) -> None:
    kept = object_storage(filled)
    name = max(kept.objects("blobs"), key=lambda one: one.size).name
    content = kept.read(name)
    assert content is not None
    kept.put(name, b"x" + content[1:])
    with pytest.raises(ShardUnavailable) as told, serving(filled, tmp_path):
        pass
    one_line(
        told, "shard ", "cannot be served", name.rpartition("/")[2], "does not match its digest"
    )
    assert not any((tmp_path / "replicas").rglob("store.sqlite.part"))


def test_a_machine_that_may_not_read_the_storage_is_told_of(
    filled: Storage, tmp_path: Path
) -> None:
    """Its keys are refused; the folder is not there on it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def elsewhere(place: Place) -> Place:
            if filled.options:
                refused = {"endpoint": f"http://127.0.0.1:{server.server_port}"}
                return replace(place, options={**place.options, **refused})
            return replace(place, url=f"file://{tmp_path}/not-mounted")

        with pytest.raises(ShardUnavailable) as told, serving(filled, tmp_path, elsewhere):
            pass
        server.shutdown()
    one_line(told, "shard 0", filled.url, "cannot be served")


def changed_manifest(
    storage: Storage, change: Callable[[dict[str, Any]], object], *, next: bool = False
) -> None:
    """Alter the newest manifest, or make another after it."""
    kept = object_storage(storage)
    name = max((one.name for one in kept.objects("manifests")), key=number_of)
    content = kept.read(name)
    assert content is not None
    values = json.loads(content)
    values["generation"] += next
    change(values)
    kept.put(f"manifests/{values['generation']}.json", json.dumps(values).encode())


def number_of(name: str) -> int:
    return int(name.rpartition("/")[2].partition(".")[0])


def test_a_newer_releases_generation_is_refused_and_the_last_goes_on(
    filled: Storage, tmp_path: Path
) -> None:
    with serving(filled, tmp_path) as served:
        before = served.generation
        expected = shown(served.search("w3"))
        changed_manifest(filled, lambda values: values.update(format=99), next=True)
        with pytest.raises(IndexFormatError) as told:
            served.refresh()
        one_line(told, f"{before + 1}.json", "newer release")
        assert (served.generation, shown(served.search("w3"))) == (before, expected)
    with pytest.raises(IndexFormatError), serving(filled, tmp_path):
        pass


def test_another_encoders_shard_is_refused_and_the_last_generation_goes_on(
    filled: Storage, tmp_path: Path
) -> None:
    with serving(filled, tmp_path) as served:
        before = served.generation
        expected = shown(served.search("w3"))

        def other(values: dict[str, Any]) -> None:
            values["settings"]["passage_tokens"] = 999

        changed_manifest(filled, other, next=True)
        with pytest.raises(ShardUnavailable) as told:
            served.refresh()
        one_line(told, "shard 0", "was built with 'fake-words'", "build it again")
        assert (served.generation, shown(served.search("w3"))) == (before, expected)


def test_a_full_disk_of_a_replica_is_told_of_and_the_last_generation_goes_on(
    filled: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = threading.Event()
    moved = blobs.move_whole

    def move(part: Path, folder: Path) -> None:
        if full.is_set() and "replicas" in folder.parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        moved(part, folder)

    monkeypatch.setattr(blobs, "move_whole", move)
    with serving(filled, tmp_path) as served:
        expected = shown(served.search("w3"))
        with reopen(filled, tmp_path) as writer:
            writer.add(MORE)
        full.set()
        with pytest.raises(ShardUnavailable) as told:
            served.refresh()
        one_line(told, "shard ", f"{tmp_path}/replicas", "No space left on device", "free some")
        assert shown(served.search("w3")) == expected
        full.clear()
        until(served.refresh)  # once there is space it goes on by itself
        assert len(served) == len(MADE) + len(MORE)
