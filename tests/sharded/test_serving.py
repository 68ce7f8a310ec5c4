"""A served collection ranks as one index, whatever happens to its replicas."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import InputError, ShardUnavailable, StorageError
from retrieval.index import Index
from retrieval.index.searching import Searching
from retrieval.sharded import ShardedIndex
from retrieval.sharded.open_shard import OpenShard
from retrieval.sharded.partition import shard_of
from retrieval.sharded.place import Place
from retrieval.sharded.serving import router
from retrieval.sharded.serving.replica import Ask, Keep
from retrieval.sharded.serving.served_collection import ServedCollection
from retrieval.sharded.serving.wire import Address, Content, Link
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

    def __init__(
        self, place: Path, *, replicas: int = 1, partial: bool = False, groups: int = SHARDS
    ) -> None:
        self.hosts: ThreadHosts

        def hosts(where: Place) -> ThreadHosts:
            self.hosts = ThreadHosts(where, groups)
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


@pytest.mark.parametrize("groups", [1, 2, SHARDS])
def test_it_ranks_lists_and_compares_as_one_index(built: tuple[Path, Index], groups: int) -> None:
    place, one = built
    with Served(place, groups=groups) as served:
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


@pytest.mark.parametrize("groups", [2, SHARDS])
def test_rankings_stay_right_while_replicas_are_killed(
    built: tuple[Path, Index], groups: int
) -> None:
    """30 kills of one of two replicas, of whichever group: no query fails, none is ranked wrong."""
    place, one = built
    drawn = random.Random(1)
    expected = {query: shown(one.search(query)) for query in QUERIES}
    with Served(place, replicas=2, groups=groups) as served:
        sets = served.collection._keeper.sets
        for _ in range(30):
            until(lambda: all(one.alive for several in sets.values() for one in several.replicas))
            served.hosts.kill(drawn.randrange(groups), drawn.randrange(2))
            for query in drawn.sample(QUERIES, 2):
                assert shown(served.collection.search(query)) == expected[query]
        assert served.hosts.starts >= 2 * groups + 29


def test_a_shard_that_is_away_is_named_until_it_is_back(built: tuple[Path, Index]) -> None:
    place, one = built
    with Served(place) as served:
        served.hosts.forbidden.add(1)
        served.hosts.kill(1)
        with pytest.raises(
            ShardUnavailable, match=r"shard 1 of file://.*storage is unavailable"
        ) as told:
            served.collection.search("w3")
        assert "\n" not in str(told.value) and told.value.shard == 1
        served.hosts.forbidden.clear()
        began = time.monotonic()
        until(lambda: served.collection._keeper.sets[1].replicas[0].alive)
        assert shown(served.collection.search("w3")) == shown(one.search("w3"))
        assert time.monotonic() - began < 30


def test_shards_of_one_group_are_asked_in_one_message(built: tuple[Path, Index]) -> None:
    place, one = built
    with Served(place, groups=2) as served:
        replicas = list(served.hosts.running.values())
        assert [len(replica._held) for replica in replicas] in ([1, 2], [2, 1])
        with served.collection._shards() as (_, shards):
            for given in ({0: (None,), 1: (None,), 2: (None,)}, {2: (None,)}):
                before = sum(replica.asked for replica in replicas)
                counted = shards.ask("count", given)
                asked = sum(replica.asked for replica in replicas) - before
                assert list(counted) == list(given)
                assert asked == min(len(given), 2)
        assert sum(shards.ask("count", dict.fromkeys(range(3), (None,))).values()) == len(one)


def test_what_one_shard_raises_is_no_matter_of_others_beside_it(
    built: tuple[Path, Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another replica is asked about that shard alone; where there is none, it is named."""
    place, one = built
    broken: list[OpenShard] = []
    usual = OpenShard.propose

    def propose(self: OpenShard, *arguments: Any) -> Any:
        if self in broken:
            raise StorageError("its disk cannot be read")
        return usual(self, *arguments)

    monkeypatch.setattr(OpenShard, "propose", propose)
    with Served(place, replicas=2, groups=1, partial=True) as served:
        for copy in range(2):
            ((_, _), (_, shard), (_, _)) = served.hosts.running[0, copy]._held.items()
            broken.append(shard)
            found = served.collection.search("w3", copies=True)
            if copy == 0:
                assert shown(found) == shown(one.search("w3", copies=True))
                assert found.coverage is None
        assert found.coverage is not None
        assert (found.coverage.shards, found.coverage.of_shards) == (2, 3)
        everywhere = {hit.document_id for hit in one.search("w3", 200, copies=True)}
        assert {hit.document_id for hit in found} < everywhere


def test_the_shards_of_a_group_are_away_with_its_process(built: tuple[Path, Index]) -> None:
    place, one = built
    with Served(place, partial=True, groups=2) as served:
        served.hosts.forbidden.add(0)
        served.hosts.kill(0)
        found = served.collection.search("w0 w1", 50, copies=True)
        assert found.coverage is not None
        assert (found.coverage.shards, found.coverage.of_shards) == (1, 3)
        served.hosts.forbidden.clear()
        until(lambda: served.collection.search("w0").coverage is None)
        assert shown(served.collection.search("w0")) == shown(one.search("w0"))


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
    assert f"{largest.name} does not match its digest" in str(told.value)
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


def test_a_machine_that_is_cut_off_is_waited_for_once(built: tuple[Path, Index]) -> None:
    """Nothing of what its replicas were asked comes back, and nothing tells that they are gone."""
    place, one = built
    with Served(place, replicas=2) as served:
        cut = [served.hosts.running[shard, 0] for shard in range(SHARDS)]
        for replica in cut:
            replica.delay = 8.0
        before = sum(replica.asked for replica in cut)
        began = time.monotonic()
        for _ in range(3):
            for query in QUERIES:
                assert shown(served.collection.search(query)) == shown(one.search(query))
        assert time.monotonic() - began < 5.0
        assert 0 < sum(replica.asked for replica in cut) - before <= SHARDS
        for replica in cut:
            replica.delay = 0.0
        time.sleep(max(0.0, 8.5 - (time.monotonic() - began)))
        before = sum(replica.asked for replica in cut)
        for query in QUERIES:  # what came late after all is asked again
            served.collection.search(query)
        assert sum(replica.asked for replica in cut) > before


def test_a_replica_that_was_slow_as_the_other_was_cut_off_is_asked_once_it_is_heard(
    built: tuple[Path, Index],
) -> None:
    place, one = built
    with Served(place, replicas=2) as served:
        several = served.collection._keeper.sets[0].replicas
        slow, cut = (served.hosts.running[0, copy] for copy in range(2))
        slow.delay, cut.delay = 1.5, 25.0
        for replica in several:
            link = replica.link()
            link.send(Content.of(Ask(served.collection.generation, "ids", (None, "", -1))))
            replica.give_up(link)
        time.sleep(0.2)
        slow.delay = 0.0
        assert all(replica.is_silent() for replica in several)
        several[0].asked()  # so that the other is asked first
        began = time.monotonic()
        assert shown(served.collection.search("w3")) == shown(one.search("w3"))
        assert 0.9 < time.monotonic() - began < 8.0


def test_a_second_replica_is_asked_after_what_nearly_all_took() -> None:
    delays = router.Delays()
    for taken in range(160):
        delays.tell("find", [taken / 1000])
        delays.tell("stored", [1e-6])
    assert delays.after("find") == pytest.approx(0.95 * 0.16, abs=0.02)
    assert 0.001 < delays.after("stored") < 0.01  # none is asked at once, however quick they are
    assert delays.after("propose") == router.FIRST_HEDGE_S


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
                lambda: all(
                    generation != first
                    for replica in served.hosts.running.values()
                    for generation, _ in replica._held
                )
            )


def test_a_partial_answer_is_of_one_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though another shard is filled, or all are emptied, while a search is under way."""
    url = f"file://{tmp_path}/storage"
    of_shards = {shard_of(id, 2): id for id in map(str, range(20))}
    usual = Searching._answers

    def answers(self: ServedCollection, *arguments: Any) -> Any:
        while changes:
            changes.pop()()
            assert self.refresh()
        return usual(self, *arguments)

    monkeypatch.setattr(Searching, "_answers", answers)
    with ShardedIndex.create(
        url, shards=2, encoder=FakeEncoder(), passage_tokens=32, cache=tmp_path / "cache"
    ) as sharded:
        sharded.add([Document(of_shards[0], "seldom said")])
        with Served(tmp_path, partial=True, groups=2) as served:
            for change, seen in (
                (lambda: sharded.add([Document(of_shards[1], "seldom spoken")]), 1),
                (lambda: sharded.delete([of_shards[0]]), 2),
                (lambda: sharded.delete([of_shards[1]]), 1),
            ):
                changes = [change]
                found = served.collection.search("seldom", retriever="lexical")
                assert (len(found), found.coverage) == (seen, None)
            assert not served.collection.search("seldom", retriever="lexical")
            until(lambda: not any(one._held for one in served.hosts.running.values()))


def test_a_replica_holds_what_any_router_asks_for(built: tuple[Path, Index]) -> None:
    """Routers that share replicas move on to a new generation each in its own time."""
    with Served(built[0]) as served:
        replica = served.hosts.running[0, 0]
        ((generation, shard),) = replica._held
        link = Link(replica.address)
        held = [[generation, shard]]
        assert link.ask(Keep("another", frozenset([generation])), 10) == held
        assert link.ask(Keep(served.collection._keeper._name, frozenset()), 10) == held
        assert link.ask(Keep("another", frozenset()), 10) == []
        link.close()


def test_nobody_asks_a_replica_without_its_key(built: tuple[Path, Index]) -> None:
    with Served(built[0]) as served:
        address = served.hosts.running[0, 0].address
        with pytest.raises(OSError):
            Link(Address(address.host, address.port, b"another key"))
        assert served.collection.search("w3")


def test_replicas_are_watched_on_when_no_thread_can_be_started(
    built: tuple[Path, Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(built[0]) as served:
        keeper, tries = served.collection._keeper, [3]
        usual = keeper._starting.submit

        def submit(*given: Any) -> Any:
            if tries[0]:
                tries[0] -= 1
                raise RuntimeError("can't start new thread")
            return usual(*given)

        monkeypatch.setattr(keeper._starting, "submit", submit)
        served.hosts.kill(0)
        keeper.sets[0].replicas[0].lost()
        until(lambda: keeper.sets[0].replicas[0].alive)
        assert not tries[0]


def test_wrong_numbers_of_replicas_are_refused(built: tuple[Path, Index]) -> None:
    with pytest.raises(InputError, match="replicas=0"):
        Served(built[0], replicas=0)
