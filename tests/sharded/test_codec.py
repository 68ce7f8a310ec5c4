"""The codec that shards share, whichever of them is written first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import StorageError
from retrieval.index.writing.codecs import codec_in_use
from retrieval.indexes import LateCodec, train_codec
from retrieval.sharded import Incoming, ShardedIndex
from retrieval.sharded.building import BuildReport, build
from retrieval.sharded.changes import Changes
from retrieval.sharded.executors import InProcess
from retrieval.sharded.generations import found_newest
from retrieval.sharded.partition import shard_of
from retrieval.sharded.place import Place
from retrieval.types import Document, LateOptions

from ..index.fake_encoder import FakeEncoder
from .conftest import Storage
from .made import create, object_storage, reopen
from .samples import QUERIES, documents

LATE = LateOptions(exact_passages=20)


class InOrder(InProcess):
    """Runs the tasks of each call in an order of its own; may fail before the second call."""

    def __init__(self, order: Callable[[int], list[int]], *, calls: int = 9) -> None:
        self.order = order
        self.calls = calls
        self.ran: list[int] = []

    def run(
        self, function: Callable[[Any], Any], tasks: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        if not self.calls:
            raise StorageError("the build ends here (injected)")
        self.calls -= bool(tasks)
        self.ran.append(len(tasks))
        for number in self.order(len(tasks)):
            yield number, function(tasks[number])


def written(
    storage: Storage, tmp_path: Path, executor: InProcess, several: Sequence[Document]
) -> BuildReport:
    place = Place(storage.url, storage.options, tmp_path / "cache")
    base = found_newest(place.storage())
    changes = Changes(map(Incoming, several))
    return build(place, base, changes, encoder=FakeEncoder(), executor=executor)[1]


def codecs(index: ShardedIndex) -> set[str | None]:
    """The keys of what the shards store token vectors by."""
    with index._using() as generation:
        found = [codec_in_use(s.snapshot.late.segments) for s in generation.shards.values()]
    return {None if codec is None else codec.key for codec in found}


@pytest.mark.parametrize(
    ("order", "taking"),
    [
        (range, 0),
        (lambda n: list(reversed(range(n))), 3),
        (lambda n: sorted(range(n), key=lambda at: (at != 2, at)), 1),
    ],
)
def test_whoever_ends_before_the_codec_is_trained_takes_it_then(
    storage: Storage, tmp_path: Path, order: Any, taking: int
) -> None:
    with create(storage, tmp_path, shards=4, late=LATE):
        pass
    executor = InOrder(order)
    report = written(storage, tmp_path, executor, documents())
    assert (report.added, report.shards) == (90, 4)
    assert [ran for ran in executor.ran if ran] == [4] + [taking] * bool(taking)
    with reopen(storage, tmp_path, "elsewhere") as index:
        manifest = found_newest(object_storage(storage))
        assert manifest.codec is not None and codecs(index) == {manifest.codec.key}
        assert len(index) == 90
        assert all(index.search(query, retriever="late") for query in QUERIES)
    assert list(object_storage(storage).objects("building")) == []


def test_a_build_that_ends_before_the_codec_is_taken_goes_on(
    storage: Storage, tmp_path: Path
) -> None:
    with create(storage, tmp_path, shards=4, late=LATE):
        pass
    backwards = InOrder(lambda n: list(reversed(range(n))), calls=1)
    with pytest.raises(StorageError, match="ends here"):
        written(storage, tmp_path, backwards, documents())
    with reopen(storage, tmp_path) as before:
        assert (before.generation, len(before)) == (1, 0)
    encoder = FakeEncoder()
    with ShardedIndex.open(
        storage.url, encoder=encoder, cache=tmp_path / "cache", options=storage.options
    ) as index:
        assert index.add(documents()).added == 90
        assert not encoder.encoded
        assert len(codecs(index)) == 1 and None not in codecs(index)


def test_shards_that_did_not_change_take_a_new_codec(storage: Storage, tmp_path: Path) -> None:
    """Of a collection that was kept exactly one shard outgrows that."""
    with create(storage, tmp_path, shards=3, late=LateOptions(exact_passages=60)) as index:
        index.add(documents(30))
        assert codecs(index) == {None}
        more = [Document(f"new{n}", f"w{n % 9} w{n}") for n in range(240)]
        more = [one for one in more if shard_of(one.id, 3) == 1]
        assert index.add(more).shards == 3
        assert len(codecs(index)) == 1 and None not in codecs(index)
        with closing(reopen(storage, tmp_path, "elsewhere")) as other:
            assert codecs(other) == codecs(index)


@pytest.mark.parametrize("most", [1 << 25, 2000, 1])
def test_no_token_vector_is_compressed_twice(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """The codec is trained once: on all documents of its shard, on a sample, or after the rest."""
    monkeypatch.setattr("retrieval.index.writing.writer.COMMIT_CHANGES", 4)
    monkeypatch.setattr("retrieval.sharded.training_sample.SAMPLE_BYTES", most)
    trained: list[int] = []

    def train(*args: Any, **options: Any) -> LateCodec:
        codec = train_codec(*args, **options)
        trained.append(codec.trained_tokens)
        return codec

    for module in ("compressing", "codecs"):
        monkeypatch.setattr(f"retrieval.index.writing.{module}.train_codec", train)
    with create(storage, tmp_path, shards=2, late=LateOptions(exact_passages=5)) as index:
        index.add(documents())
        assert len(index) == 90
        assert len(trained) == 1
        with index._using() as generation:
            tokens = [
                sum(segment.tokens for segment in shard.snapshot.late.segments)
                for shard in generation.shards.values()
            ]
        counts = index.status().documents_by_shard
        own = tokens[counts.index(max(counts))]
        assert trained[0] == own if most != 2000 else 0.6 * own < trained[0] < 1.6 * own
        assert len(codecs(index)) == 1 and None not in codecs(index)


@pytest.mark.parametrize("most", [1 << 25, 2000])
@pytest.mark.parametrize("prefix", ["", "moved/"])
def test_a_shard_that_does_not_grow_stays_exact(
    folder: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, prefix: str
) -> None:
    """Whether all of its documents are replaced by others, or changed."""
    monkeypatch.setattr("retrieval.sharded.training_sample.SAMPLE_BYTES", most)
    with create(folder, tmp_path, shards=2, late=LateOptions(exact_passages=25)) as index:
        index.add(documents(40))
        assert codecs(index) == {None}
        others = [Document(prefix + one.id, one.text + " w9") for one in documents(40)]
        index.change(Changes(map(Incoming, others), mirror=True))
        assert len(index) == 40 and codecs(index) == {None}


def test_the_shard_with_most_passages_trains(folder: Storage, tmp_path: Path) -> None:
    """Another one has more documents."""
    ids = [f"d{n}" for n in range(60)]
    few = next(id for id in ids if shard_of(id, 2) == 1)
    text = "\n\n".join(f"w{n} w{n % 7} w{n % 11}" for n in range(600))
    several = [Document(id, "w1 w2 w3") for id in ids if shard_of(id, 2) == 0]
    late = LateOptions(exact_passages=40)
    with create(folder, tmp_path, 2, passage_tokens=32, late=late) as index:
        index.add([*several, Document(few, text)])
        assert index.status().documents_by_shard[0] > 20
        assert len(codecs(index)) == 1 and None not in codecs(index)
