"""Retrievers of this package's own index, which several of them share."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from retrieval import __version__
from retrieval.errors import InputError
from retrieval.eval.datasets import Collection
from retrieval.eval.runs import run_documents
from retrieval.eval.systems.system import (
    TIMED_HITS,
    Corpus,
    Cost,
    Ranked,
    Settings,
    TimedSearch,
    forget_built,
    read_built,
    short_digest,
    with_progress,
    write_built,
)
from retrieval.eval.systems.variants import (
    Build,
    Variant,
)
from retrieval.files.whole import write_whole
from retrieval.index import Index
from retrieval.store import Store
from retrieval.types import Encoder, Hybrid, ProgressCallback


class SharedIndex:
    """An index of a collection that several retrievers share."""

    def __init__(self, encoder: Encoder, build: Build | None = None) -> None:
        self.encoder = encoder
        build = build or Build()
        self.build = replace(build, passage_tokens=min(build.passage_tokens, encoder.max_tokens))
        self._index: Index | None = None
        self._cost = Cost()
        self._of = ""

    def identity(self) -> str:
        """The encoder and how the index is built."""
        return f"{__version__} {self.encoder.fingerprint} {self.build}"

    def open(self, collection: Corpus, folder: Path, progress: ProgressCallback | None) -> Cost:
        """Build the collection's index in the folder, go on with it, or open it as it is.

        What was encoded for another version of the collection is not encoded again where a
        document is the same.
        """
        if self._index is not None and self._of == collection.sha256:
            return self._cost
        self.close()
        key = f"{self.identity()} {collection.sha256}"
        place = folder / f"index-{short_digest(self.identity())}"
        done = read_built(place, key)
        if done is None:
            done = self._build(collection, place, key, progress)
        self._index = Index.open(place / "index", encoder=self.encoder)
        self._cost, self._of = done, collection.sha256
        return done

    def _build(
        self, collection: Corpus, place: Path, key: str, progress: ProgressCallback | None
    ) -> Cost:
        fresh = not (place / "index").exists()
        same = _begun_as(place) == key
        if not fresh and not same and self.build.compressed:
            shutil.rmtree(place)  # the codec was trained on other documents
            fresh = True
        place.mkdir(parents=True, exist_ok=True)
        forget_built(place)
        # Nobody's until it is done: what is there is of two versions of the collection.
        write_whole(place / "begun", key if fresh or same else "")
        self.encoder.encode_queries(["warm up"])
        started = time.perf_counter()
        with (
            Index.open(place / "index", encoder=self.encoder)
            if not fresh
            else Index.create(
                place / "index",
                encoder=self.encoder,
                passage_tokens=self.build.passage_tokens,
                late=self.build.late(len(collection.documents)),
            )
        ) as index:
            with index.writing() as writer:
                for document in with_progress(collection, progress):
                    writer.put(document)
            if not fresh and not same:  # of another version of the collection: texts decide
                index.delete(_strange(place / "index", collection))
                index.compact()
            if self.build.compressed:
                index.compact()  # what came after the codec was trained is compressed, too
            seconds = time.perf_counter() - started
            size = index.status().bytes
        cost = Cost(seconds, writer.tokens / seconds, size) if fresh else Cost(index_bytes=size)
        write_whole(place / "begun", key)
        write_built(place, key, cost)
        return cost

    @property
    def index(self) -> Index:
        """The open index."""
        if self._index is None:
            raise InputError("no collection is indexed yet; call `index` first")
        return self._index

    def close(self) -> None:
        """Let go of the index; its files stay."""
        if self._index is not None:
            self._index.close()
            self._index = None


class IndexSystem:
    """One retriever of our index; a document scores as its best passage (MaxP)."""

    def __init__(self, engine: SharedIndex, variant: Variant) -> None:
        self.name = variant.name
        self.variant = variant
        self._engine = engine
        self._retriever = variant.retriever
        self._hybrid = variant.hybrid

    @property
    def encoder(self) -> Encoder:
        """What the index is encoded with."""
        return self._engine.encoder

    def identity(self) -> str:
        """The retriever, the encoder, how the index is built and asked."""
        return f"{self._retriever} {self._hybrid or ''} {self._engine.identity()}"

    def settings(self) -> Settings:
        """Passages are cut; nothing is dropped."""
        build, encoder = self._engine.build, self._engine.encoder
        said = [
            f"encoder {encoder.name} {encoder.fingerprint[:12]}",
            f"passages of {build.passage_tokens} tokens",
        ]
        if self._retriever in ("late", "hybrid") and encoder.token_dim is not None:
            said.append(f"token vectors of {encoder.token_dim} components, {build.description()}")
        if self._retriever == "hybrid":
            how = self._hybrid or Hybrid()
            weights = ", ".join(f"{name} {weight:g}" for name, weight in how.weights.items())
            said.append(f"{how.fusion} of {how.candidates} candidates each, weights {weights}")
        return Settings(passage_tokens=build.passage_tokens, description="; ".join(said))

    def index(
        self, collection: Collection, folder: Path, progress: ProgressCallback | None
    ) -> Cost:
        """Open the index that the engine's retrievers share, built if need be."""
        return self._engine.open(collection, folder, progress)

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        """The k best documents for each query."""
        index, retriever = self._engine.index, self._retriever
        return run_documents(index, queries, retriever=retriever, k=k, hybrid=self._hybrid)

    def timed_search(self) -> TimedSearch:
        """One search, for the best passages, without highlights."""
        index, retriever, hybrid = self._engine.index, self._retriever, self._hybrid

        def ask(text: str) -> object:
            return index.search(
                text, TIMED_HITS, retriever=retriever, highlights=False, hybrid=hybrid
            )

        return ask

    def close(self) -> None:
        """Let go of the index."""
        self._engine.close()


def _strange(index: Path, collection: Corpus) -> list[str]:
    """Ids of documents that the index has and the collection lacks."""
    store = Store(index)
    try:
        numbers = store.numbers().tolist()
        ids = [row.id for row in store.documents(numbers).values()]
    finally:
        store.close()
    known = {document.id for document in collection.documents}
    return [id for id in ids if id not in known]


def _begun_as(place: Path) -> str:
    try:
        return (place / "begun").read_text(encoding="utf-8")
    except OSError:
        return ""
