"""A collection that is built on a Ray cluster of two nodes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.documents import MAX_BYTES, ReadOptions
from retrieval.errors import StorageError
from retrieval.sharded import building
from retrieval.sharded.changes import Changes
from retrieval.sharded.ray_executor import STARTED_WITH, ray_cluster
from retrieval.sharded.sources.remote import RemoteFiles, files_at
from retrieval.sharded.writing import ShardResult, ShardTask
from retrieval.types import Document, Encoder

from .conftest import Storage
from .injected import loadable, write
from .made import create, object_storage
from .samples import QUERIES, documents, shown

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster that this process is connected to."""
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ.update(STARTED_WITH)
    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    with loadable():
        yield


def beside(storage: Storage, name: str) -> Storage:
    return Storage(f"{storage.url}-{name}", storage.options)


def test_it_is_what_one_process_builds(address: str, storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as one, create(beside(storage, "ray"), tmp_path) as other:
        first = one.add(documents(40))
        second = other.add(documents(40), ray=address)
        assert (second.added, second.generation) == (first.added, first.generation) == (40, 2)
        for query in QUERIES:
            assert shown(other.search(query)) == shown(one.search(query))
        changed = [Document("one more", "w1 w2 w3"), *documents(40)]
        assert other.add(changed, ray=address).shards == 3
        assert other.get("one more") == changed[0]
    assert list(object_storage(beside(storage, "ray")).objects("building")) == []


def test_what_urls_hold_is_read_there(address: str, storage: Storage, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.md").write_text(f"page {number} w{number}")
    files = RemoteFiles(tuple(files_at(f"file://{tmp_path}/*.md")), ReadOptions(), MAX_BYTES)
    with create(storage, tmp_path) as made:
        report = made.change(Changes(remote=files, mirror=True), ray=address)
        assert (report.added, len(made)) == (3, 3)
        assert made.search("w2")[0].document_id == f"file://{tmp_path}/2.md"


@pytest.fixture
def killed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets the first process that writes a shard die; the file that it makes before."""
    died = tmp_path / "died"

    def dying(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
        try:
            died.touch(exist_ok=False)
        except FileExistsError:
            return write(task, encoder)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    monkeypatch.setattr(building, "write_shard", dying)
    return died


def test_a_worker_that_is_killed_is_made_up_for(
    address: str, storage: Storage, tmp_path: Path, killed_once: Path
) -> None:
    with create(storage, tmp_path) as made:
        assert made.add(documents(40), ray=address).added == 40
        assert len(made) == 40
    assert killed_once.exists()


def test_what_fails_in_a_task_is_said_as_it_is(
    address: str, storage: Storage, tmp_path: Path
) -> None:
    with create(storage, tmp_path) as made:
        made.add(documents(10))
        place = object_storage(storage)
        for piece in list(place.objects("blobs")):
            place.put(piece.name, b"damaged")
        for copy in (tmp_path / "cache").iterdir():
            copy.rename(tmp_path / f"gone-{copy.name}")
        with pytest.raises(StorageError, match="does not match its digest") as raised:
            made.add(documents(20), ray=address)
        assert "\n" not in str(raised.value)


def test_a_process_that_is_connected_stays_so(address: str) -> None:
    with ray_cluster(address):
        pass
    assert ray.is_initialized()


def test_it_is_compacted_there(
    address: str, storage: Storage, tmp_path: Path, killed_once: Path
) -> None:
    killed_once.touch()  # nobody dies before
    with create(storage, tmp_path) as made, create(beside(storage, "kept"), tmp_path) as other:
        made.add(documents(40), ray=address)
        made.delete([one.id for one in documents(40)[::2]], ray=address)
        assert made.status().deleted_passages > 0
        killed_once.unlink()
        made.compact(ray=address)
        assert killed_once.exists()
        assert (len(made), made.status().deleted_passages) == (20, 0)
        other.add(documents(40)[1::2], ray=address)
        for query in QUERIES:
            assert shown(made.search(query)) == shown(other.search(query))
