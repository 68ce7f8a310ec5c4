"""Calls that come together are encoded together, and each gets what it would have got alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.cancellation import CancelledError, cancelled_by
from retrieval.encoders.dynamic_batching import (
    DynamicBatching,
    _Once,
    assembled,
    at_once,
    part_of,
)
from retrieval.ragged import offsets_of
from retrieval.types import Embeddings, EncoderSide

Lengths = Sequence[int]


def made_of(lengths: Lengths) -> Embeddings:
    """Of a text of n tokens: n in its dense vector and in each of n token vectors."""
    counts = np.array(lengths, np.int64)
    return Embeddings(
        counts[:, None].astype(np.float32),
        np.repeat(counts, counts)[:, None].astype(np.float32),
        offsets_of(counts),
        tokens_read=counts,
    )


def same(made: Embeddings, lengths: Lengths) -> bool:
    expected = made_of(lengths)
    pairs = (
        (made.dense, expected.dense),
        (made.tokens, expected.tokens),
        (made.offsets, expected.offsets),
        (made.tokens_read, expected.tokens_read),
    )
    return all(a is not None and b is not None and np.array_equal(a, b) for a, b in pairs)


class Network:
    """Runs batches, one by one, when it is let; remembers them."""

    def __init__(self) -> None:
        self.batches: list[tuple[EncoderSide, list[int]]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, side: EncoderSide, items: Lengths) -> Embeddings:
        self.batches.append((side, list(items)))
        self.begun.set()
        assert self.go.wait(30)
        if 13 in items:
            raise ValueError("a text that cannot be encoded")
        return made_of(items)


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def waiting(batching: DynamicBatching[int]) -> int:
    return sum(len(calls) for calls in batching._waiting.values())


def ask(batching: DynamicBatching[int], side: EncoderSide, lengths: Lengths) -> Embeddings:
    return batching.encode(side, lengths, lambda length: length)


def test_what_waits_is_one_batch_within_the_budget() -> None:
    network = Network()
    batching: DynamicBatching[int] = DynamicBatching(at_once(network.run), budget=10)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, batching, "query", [1])]
        assert network.begun.wait(30)
        for at, lengths in enumerate(([4], [3, 2], [2], [1])):
            asked.append(pool.submit(ask, batching, "query", lengths))
            eventually(lambda count=at + 1: waiting(batching) == count)
        network.go.set()
        answers = [one.result(30) for one in asked]
    # The one that found it free began at once; of the others those that fit went together.
    assert network.batches == [("query", [1]), ("query", [4, 3, 2]), ("query", [2, 1])]
    assert all(map(same, answers, ([1], [4], [3, 2], [2], [1])))


def test_sides_take_turns_and_a_long_call_lets_others_in_between() -> None:
    network = Network()
    batching: DynamicBatching[int] = DynamicBatching(at_once(network.run), budget=4)
    with ThreadPoolExecutor(4) as pool:
        long = pool.submit(ask, batching, "document", [3, 4, 2])
        assert network.begun.wait(30)
        query = pool.submit(ask, batching, "query", [1])
        eventually(lambda: waiting(batching) == 1)
        network.go.set()
        assert same(query.result(30), [1])
        assert same(long.result(30), [3, 4, 2])
    assert network.batches[:2] == [("document", [4]), ("query", [1])]


def test_the_error_of_one_call_is_not_the_others() -> None:
    network = Network()
    batching: DynamicBatching[int] = DynamicBatching(at_once(network.run), budget=100)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, batching, "query", [1])
        assert network.begun.wait(30)
        bad = pool.submit(ask, batching, "query", [13])
        good = pool.submit(ask, batching, "query", [7])
        eventually(lambda: waiting(batching) == 2)
        network.go.set()
        assert same(first.result(30), [1]) and same(good.result(30), [7])
        with pytest.raises(ValueError, match="cannot be encoded"):
            bad.result(30)
    assert same(ask(batching, "query", [2]), [2])  # it goes on


def test_a_call_that_nobody_wants_any_more_is_not_run() -> None:
    network = Network()
    batching: DynamicBatching[int] = DynamicBatching(at_once(network.run), budget=100)
    gone = threading.Event()

    def asked_by_a_client() -> Embeddings:
        with cancelled_by(gone):
            return ask(batching, "query", [5])

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, batching, "query", [1])
        assert network.begun.wait(30)
        unwanted = pool.submit(asked_by_a_client)
        eventually(lambda: waiting(batching) == 1)
        gone.set()
        network.go.set()
        assert same(first.result(30), [1])
        with pytest.raises(CancelledError):
            unwanted.result(30)
    assert network.batches == [("query", [1])]
    assert same(ask(batching, "query", [2]), [2])


def test_an_interrupted_thread_leaves_the_others_calls_to_the_next() -> None:
    network = Network()
    interrupt = threading.Event()

    def run(side: EncoderSide, items: Lengths) -> Embeddings:
        made = network.run(side, items)
        if interrupt.is_set() and items[0] == 2:
            interrupt.clear()
            raise KeyboardInterrupt
        return made

    batching: DynamicBatching[int] = DynamicBatching(at_once(run), budget=100)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, batching, "query", [1])
        assert network.begun.wait(30)
        interrupted = pool.submit(ask, batching, "query", [2])
        eventually(lambda: waiting(batching) == 1)
        other = pool.submit(ask, batching, "query", [3])
        eventually(lambda: waiting(batching) == 2)
        interrupt.set()
        network.go.set()
        assert same(first.result(30), [1]) and same(other.result(30), [3])
        assert isinstance(interrupted.exception(30), KeyboardInterrupt)
    assert same(ask(batching, "query", [4]), [4])


def test_many_threads_get_their_own() -> None:
    def run(side: EncoderSide, items: Lengths) -> Embeddings:
        time.sleep(0.0005)
        sizes.append(len(items))
        return made_of(items)

    sizes: list[int] = []
    batching: DynamicBatching[int] = DynamicBatching(at_once(run), budget=30)
    calls = [[1 + (at * 7 + n) % 9 for n in range(at % 5)] for at in range(400)]
    with ThreadPoolExecutor(16) as pool:
        sides: list[EncoderSide] = ["query", "document"]
        answers = pool.map(lambda at: ask(batching, sides[at % 2], calls[at]), range(400))
        assert all(map(same, answers, calls))
    assert max(sizes) > 4  # more than any call has
    assert not batching._busy


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.data())
@settings(max_examples=100)
def test_parts_assembled_are_the_whole(lengths: list[int], data: st.DataObject) -> None:
    whole = made_of(lengths)
    order = data.draw(st.permutations(range(len(lengths))))
    cut = data.draw(st.integers(0, len(lengths)))
    places = [np.array(order[:cut], np.int64), np.array(order[cut:], np.int64)]
    parts = [made_of([lengths[at] for at in place]) for place in places]
    assert same(assembled(places, parts), lengths)
    assert same(part_of(whole, cut, len(lengths)), lengths[cut:])


class Ahead:
    """Begins batches, and waits for them only when it is asked for their embeddings."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def run(self, side: EncoderSide, items: Lengths) -> Callable[[], Embeddings]:
        name = ",".join(map(str, items))
        self.done.append(f"begun {name}")

        def later() -> Embeddings:
            self.done.append(f"waited {name}")
            return made_of(items)

        return later


def test_a_long_call_begins_its_next_piece_before_it_waits() -> None:
    network = Ahead()
    batching: DynamicBatching[int] = DynamicBatching(network.run, budget=4)
    assert same(ask(batching, "document", [4, 3, 2]), [4, 3, 2])
    assert network.done == ["begun 4", "begun 3", "waited 4", "begun 2", "waited 3", "waited 2"]


def test_a_short_call_is_done_before_the_next_is_begun() -> None:
    network = Ahead()
    batching: DynamicBatching[int] = DynamicBatching(network.run, budget=9)
    assert same(ask(batching, "query", [4, 3]), [4, 3])
    assert network.done == ["begun 4,3", "waited 4,3"]


def test_who_shares_a_batch_waits_for_it_once() -> None:
    network = Ahead()
    once = _Once(network.run("query", [1, 2]))
    with ThreadPoolExecutor(4) as threads:
        made = [future.result() for future in [threads.submit(once) for _ in range(8)]]
    assert all(one is made[0] for one in made)
    assert network.done == ["begun 1,2", "waited 1,2"]
