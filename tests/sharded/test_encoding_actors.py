"""Texts of shards that actors of a Ray cluster encode: on processors here, on GPUs if any are."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders import load_encoder
from retrieval.errors import EncoderError, EncoderMismatch, InputError
from retrieval.index import Index
from retrieval.index.encoder import remember
from retrieval.sharded import Incoming, ShardedIndex
from retrieval.sharded.building import build
from retrieval.sharded.changes import Changes
from retrieval.sharded.encoding_actors import ON_GPUS, ActorKind, EncodingActors
from retrieval.sharded.executors import executor_for
from retrieval.sharded.generations import found_newest
from retrieval.sharded.place import Place
from retrieval.sharded.ray_executor import STARTED_WITH, RayCluster, ray_cluster
from retrieval.store import Settings
from retrieval.types import RETRIEVERS, Document

from .conftest import Storage
from .samples import shown

ray = pytest.importorskip("ray")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

ON_CPUS = ActorKind("cpu", 0.0, 2)
"""The same actors on processors: all but the device is as on GPUs."""

TEXTS = ["A cat sat on the mat.", "Dogs bark at night.", "", "Mice fear the cat. " * 40]
DOCUMENTS = [Document(f"d{n}", f"{TEXTS[n % 4]} Number {n} of them.") for n in range(12)]


@pytest.fixture(scope="module", autouse=True)
def address() -> Iterator[str]:
    """Of a cluster that this process is connected to."""
    before = dict(os.environ)
    os.environ.update(STARTED_WITH)
    gpus = torch.cuda.device_count()
    # Not a cluster that another process of the tests has started meanwhile.
    told: Any = ray.init(
        "local", num_cpus=2, num_gpus=gpus, include_dashboard=False, object_store_memory=100 << 20
    )
    yield told.address_info["address"]
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return remember(None, 256, None, False)[1]


@pytest.fixture(scope="module")
def actors(settings: Settings) -> Iterator[EncodingActors]:
    made = EncodingActors(settings, ON_CPUS)
    yield made
    made.stop()


def test_actors_give_what_the_network_gives(actors: EncodingActors) -> None:
    expected = load_encoder(None, device="cpu").encode_documents(TEXTS)
    encoder = pickle.loads(pickle.dumps(actors.encoder()))
    here = load_encoder(None)
    assert encoder.fingerprint == here.fingerprint and encoder.name == here.name
    assert (encoder.dense_dim, encoder.token_dim) == (here.dense_dim, here.token_dim)
    assert (encoder.token_spans(TEXTS[0]) == here.token_spans(TEXTS[0])).all()
    started = [encoder.start_documents(TEXTS) for _ in range(3)]
    for found in (*(one.result() for one in started), encoder.encode_documents(TEXTS)):
        np.testing.assert_allclose(found.dense, expected.dense, atol=1e-5)
        np.testing.assert_allclose(found.tokens, expected.tokens, atol=1e-5)
        assert (found.offsets == expected.offsets).all()
    spans = encoder.encode_spans(TEXTS[3], [(0, 18), (18, 36)])
    assert len(spans) == 2


def test_an_actor_that_is_killed_comes_back(actors: EncodingActors) -> None:
    encoder = actors.encoder()
    for one in actors._actors:
        ray.kill(one, no_restart=False)
    assert len(encoder.encode_documents(TEXTS)) == len(TEXTS)


def test_what_an_actor_raises_is_raised_here(actors: EncodingActors, settings: Settings) -> None:
    encoder = actors.encoder()
    with pytest.raises(InputError, match="span"):
        encoder.encode_spans("short", [(0, 99)])
    with pytest.raises(EncoderMismatch, match="use the same files") as raised:
        EncodingActors(replace(settings, fingerprint="0" * 64), ON_CPUS)
    assert "\n" not in str(raised.value)
    with pytest.raises(EncoderError) as lost:
        EncodingActors(replace(settings, encoder_source="/no/such/model"), ON_CPUS)
    assert "\n" not in str(lost.value)


def built(storage: Storage, tmp_path: Path, kind: ActorKind) -> ShardedIndex:
    cache = tmp_path / "cache"
    ShardedIndex.create(storage.url, shards=3, cache=cache).close()
    place = Place(storage.url, {}, cache)
    executor = RayCluster(kind)
    base = found_newest(place.storage())
    try:
        report = build(place, base, Changes(map(Incoming, DOCUMENTS)), executor=executor)[1]
    finally:
        executor.stop_encoding()
    assert report.added == len(DOCUMENTS)
    return ShardedIndex.open(storage.url, cache=cache)


def test_a_collection_is_that_of_one_index(folder: Storage, tmp_path: Path) -> None:
    """Encoded by the same network, in torch."""
    with (
        built(folder, tmp_path, ON_CPUS) as index,
        Index.create(tmp_path / "one", encoder=load_encoder(None, device="cpu")) as one,
    ):
        one.add(DOCUMENTS)
        for retriever in RETRIEVERS:
            found = index.search("what do cats do", retriever=retriever)
            assert shown(found) == shown(one.search("what do cats do", retriever=retriever))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpus_encode(folder: Storage, tmp_path: Path) -> None:
    with built(folder, tmp_path, ON_GPUS) as index:
        assert len(index) == len(DOCUMENTS)
        assert index.search("what do cats do", retriever="dense")[0].document_id


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_cluster_without_gpus_is_said(address: str, settings: Settings) -> None:
    with (
        pytest.raises(InputError, match="no machine of the Ray cluster has a GPU") as raised,
        ray_cluster(address, on_gpus=True) as cluster,
    ):
        cluster.encoder(settings)
    assert "\n" not in str(raised.value)


def test_gpus_are_those_of_a_cluster() -> None:
    with pytest.raises(InputError, match="name one with --ray"):
        executor_for(1, None, on_gpus=True)
