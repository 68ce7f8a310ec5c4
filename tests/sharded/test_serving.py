"""A served collection ranks as one index, whatever happens to its replicas."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.errors import InputError, ShardUnavailable
from retrieval.index import Index
from retrieval.sharded import ShardedIndex
from retrieval.sharded.place import Place
from retrieval.sharded.serving import router
from retrieval.sharded.serving.replica import Keep
from retrieval.sharded.serving.served_collection import ServedCollection
from retrieval.sharded.serving.wire import Address, Link
from retrieval.types import RETRIEVERS, Document

from ..index.fake_encoder import FakeEncoder
from .made import beside_one_index
from .samples import QUERIES, documents, shown
from .serving_samples import ThreadHosts, until

SHARDS = 3


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Index]]:
    """A folder with the collection and its cache, and one index of the same documents."""
    place = tmp_path_factory.mktemp("served")
    made = documents(45)
    with beside_one_index(place, shards=SHARDS) as (sharded, one):
        sharded.add(made)
        one.add(made)
        yield place, one


class Served:
    """A served collection and its hosts."""

    def __init__(self, place: Path, *, replicas: int = 1, partial: bool = False) -> None:
        self.hosts: ThreadHosts

        def hosts(where: Place) -> ThreadHosts:
            self.hosts = ThreadHosts(where)
            return self.hosts

        self.collection = ServedCollection(
            f"file://{place}/storage",
            hosts,
            replicas=replicas,
            partial=partial,
            encoder=FakeEncoder(),
            cache=place / "cache",
        )

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.collection.close()


def test_it_ranks_lists_and_compares_as_one_index(built: tuple[Path, Index]) -> None:
    place, one = built
    with Served(place) as served:
        collection = served.collection
        for retriever in RETRIEVERS:
            for query in QUERIES:
                for options in ({}, {"where": 'lang == "en"'}, {"group": "document"}):
                    found = collection.search(query, retriever=retriever, **options)  # type: ignore[arg-type]
                    expected = one.search(query, retriever=retriever, **options)  # type: ignore[arg-type]
                    assert shown(found) == shown(expected), query
                    assert found.coverage is None
        assert collection.ids() == one.ids()
        assert collection.values("lang") == one.values("lang")
        assert collection.get(one.ids()[4]) == one.get(one.ids()[4])
        passages = [passage for passage, _ in collection.vectors()]
        assert passages == [passage for passage, _ in one.vectors()]
        some = one.ids()[5]
        assert shown(collection.similar(some)) == shown(one.similar(some))
        assert collection.status().documents == len(collection) == len(one)
        with pytest.raises(InputError, match="the query is empty"):
            collection.search(" ")


def test_rankings_stay_right_while_replicas_are_killed(built: tuple[Path, Index]) -> None:
    """30 kills of one of two replicas, of whichever shard: no query fails, none is ranked wrong."""
    place, one = built
    drawn = random.Random(1)
    expected = {query: shown(one.search(query)) for query in QUERIES}
    with Served(place, replicas=2) as served:
        sets = served.collection._keeper.sets
        for _ in range(30):
            until(lambda: all(one.alive for several in sets.values() for one in several.replicas))
            served.hosts.kill(drawn.randrange(SHARDS), drawn.randrange(2))
            for query in drawn.sample(QUERIES, 2):
                assert shown(served.collection.search(query)) == expected[query]
        assert served.hosts.starts >= 2 * SHARDS + 29


def test_a_shard_that_is_away_is_named_until_it_is_back(built: tuple[Path, Index]) -> None:
    place, one = built
    with Served(place) as served:
        served.hosts.forbidden.add(1)
        served.hosts.kill(1)
        with pytest.raises(ShardUnavailable, match=r"shard 1 of file://.*storage is away") as told:
            served.collection.search("w3")
        assert "\n" not in str(told.value) and told.value.shard == 1
        served.hosts.forbidden.clear()
        began = time.monotonic()
        until(lambda: served.collection._keeper.sets[1].replicas[0].alive)
        assert shown(served.collection.search("w3")) == shown(one.search("w3"))
        assert time.monotonic() - began < 30


def test_a_partial_answer_says_what_it_saw(built: tuple[Path, Index]) -> None:
    place, one = built
    with Served(place, partial=True) as served:
        status = served.collection.status()
        served.hosts.forbidden.add(2)
        served.hosts.kill(2)
        for _ in range(2):
            found = served.collection.search("w0 w1", 50, copies=True)
            coverage = found.coverage
            assert coverage is not None
            assert (coverage.shards, coverage.of_shards) == (2, 3)
            assert 0 < coverage.passages < coverage.of_passages == status.passages
            assert found[:3].coverage == coverage
        everywhere = {hit.document_id for hit in one.search("w0 w1", 200, copies=True)}
        assert {hit.document_id for hit in found} < everywhere
        served.hosts.forbidden |= {0, 1}
        served.hosts.kill(0)
        served.hosts.kill(1)
        with pytest.raises(ShardUnavailable, match="all shards of file://"):
            served.collection.search("w0")
        served.hosts.forbidden.clear()

        def whole() -> bool:
            with contextlib.suppress(ShardUnavailable):
                return served.collection.search("w0").coverage is None
            return False

        until(whole)


def test_a_shard_that_is_not_what_was_stored_is_named(
    built: tuple[Path, Index], tmp_path: Path
) -> None:
    """A replica holds every piece against its digest as it brings it to its disk."""
    shutil.copytree(built[0] / "storage", tmp_path / "storage")
    largest = max((tmp_path / "storage" / "blobs").rglob("*"), key=lambda one: one.stat().st_size)
    largest.write_bytes(b"x" + largest.read_bytes()[1:])
    with pytest.raises(ShardUnavailable, match=r"shard \d .*cannot be served: .*") as told:
        Served(tmp_path)
    assert f"{largest.name} is not what its name says" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_slow_replica_is_not_waited_for(
    built: tuple[Path, Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, one = built
    with Served(place, replicas=2) as served:
        monkeypatch.setattr(served.collection._delays, "after", lambda method: 0.05)
        slow = served.hosts.running[0, 0]
        slow.delay = 3.0
        for query in QUERIES[:4]:
            began = time.monotonic()
            assert shown(served.collection.search(query)) == shown(one.search(query))
            assert time.monotonic() - began < 3.0
        assert slow.asked


def test_a_second_replica_is_asked_after_what_nearly_all_took() -> None:
    delays = router.Delays()
    for taken in range(160):
        delays.tell("find", [taken / 1000])
        delays.tell("stored", [1e-6])
    assert delays.after("find") == pytest.approx(0.95 * 0.16, abs=0.02)
    assert 0.001 < delays.after("stored") < 0.01  # none is asked at once, however quick they are
    assert delays.after("propose") == router.DEADLINE_S


def test_a_replica_that_hangs_is_given_up(
    built: tuple[Path, Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "DEADLINE_S", 0.5)
    with Served(built[0]) as served:
        served.hosts.running[0, 0].delay = 2.0
        with pytest.raises(ShardUnavailable, match=r"shard 0 .*no answer within"):
            served.collection.search("w3")


def test_a_query_sees_one_generation(tmp_path: Path) -> None:
    """Replicas hold both while they are brought to the next; the old one is let go of then."""
    url = f"file://{tmp_path}/storage"
    with ShardedIndex.create(
        url, shards=2, encoder=FakeEncoder(), passage_tokens=32, cache=tmp_path / "cache"
    ) as sharded:
        sharded.add([Document(f"d{n}", "seldom said") for n in range(6)])
        with Served(tmp_path) as served:
            collection = served.collection
            first = collection.generation
            with collection._contents() as before:
                sharded.add([Document("more", "seldom said"), Document("d0", "w5")])
                assert collection.refresh() and not collection.refresh()
                assert collection.generation == first + 1
                assert before.count(None) == 6 and "more" not in before.ids(None, "", -1)
                assert before.get_many(["d0"])["d0"].text == "seldom said"
            found = collection.search("seldom", 20, retriever="lexical", copies=True)
            assert {hit.document_id for hit in found} == {"more", *(f"d{n}" for n in range(1, 6))}
            until(
                lambda: all(first not in replica._held for replica in served.hosts.running.values())
            )


def test_a_replica_holds_what_any_router_asks_for(built: tuple[Path, Index]) -> None:
    """Routers that share replicas move on to a new generation each in its own time."""
    with Served(built[0]) as served:
        replica = served.hosts.running[0, 0]
        (generation,) = replica._held
        link = Link(replica.address)
        assert link.ask(Keep("another", frozenset([generation])), 10) == [generation]
        assert link.ask(Keep(served.collection._keeper._name, frozenset()), 10) == [generation]
        assert link.ask(Keep("another", frozenset()), 10) == []
        link.close()


def test_nobody_asks_a_replica_without_its_key(built: tuple[Path, Index]) -> None:
    with Served(built[0]) as served:
        address = served.hosts.running[0, 0].address
        with pytest.raises(OSError):
            Link(Address(address.host, address.port, b"another key"))
        assert served.collection.search("w3")


def test_wrong_numbers_of_replicas_are_refused(built: tuple[Path, Index]) -> None:
    with pytest.raises(InputError, match="replicas=0"):
        Served(built[0], replicas=0)
