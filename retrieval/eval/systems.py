"""What is compared: retrievers of our index, and the baselines, by the names users give them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from retrieval import __version__
from retrieval.errors import InputError
from retrieval.eval.baselines import Bm25s, RunFile, SentenceTransformerSystem
from retrieval.eval.building import (
    ASKED,
    Ask,
    Cost,
    Indexing,
    Ranked,
    Settings,
    System,
    counted,
    read_built,
    short_digest,
    write_built,
)
from retrieval.eval.datasets import Collection
from retrieval.eval.runs import run_documents
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Retriever

__all__ = ["Engine", "IndexSystem", "System", "make_systems"]

PASSAGE_TOKENS = 256


class Engine:
    """An index of a collection that several retrievers share."""

    def __init__(self, encoder: str | None = None, passage_tokens: int = PASSAGE_TOKENS) -> None:
        from retrieval.encoders import load_encoder

        self.source = encoder
        self.encoder = load_encoder(encoder)
        self.passage_tokens = min(passage_tokens, self.encoder.max_tokens)
        self._index: Index | None = None
        self._cost = Cost()
        self._of = ""

    @property
    def retrievers(self) -> tuple[Retriever, ...]:
        """Those that the encoder has the heads for."""
        lacking = {
            "dense": self.encoder.dense_dim is None,
            "late": self.encoder.token_dim is None,
        }
        return tuple(name for name in RETRIEVERS if not lacking.get(name))

    def identity(self) -> str:
        """The encoder and how documents are cut."""
        return f"{__version__} {self.encoder.fingerprint} {self.passage_tokens}"

    def open(self, collection: Collection, folder: Path, indexing: Indexing | None) -> Cost:
        """Build the collection's index in the folder, go on with it, or open it as it is."""
        if self._index is not None and self._of == collection.sha256:
            return self._cost
        self.close()
        key = f"{self.identity()} {collection.sha256}"
        place = folder / f"index-{short_digest(self.identity())}"
        done = read_built(place, key)
        if done is None:
            done = self._build(collection, place, key, indexing)
        self._index = Index.open(place / "index", encoder=self.encoder)
        self._cost, self._of = done, collection.sha256
        return done

    def _build(
        self, collection: Collection, place: Path, key: str, indexing: Indexing | None
    ) -> Cost:
        fresh = not (place / "index").exists()
        if not fresh and _begun_as(place) != key:
            shutil.rmtree(place)
            fresh = True
        place.mkdir(parents=True, exist_ok=True)
        (place / "begun").write_text(key, encoding="utf-8")
        tokens = 0

        def encoded(_: int, so_far: int) -> None:
            nonlocal tokens
            tokens = so_far

        self.encoder.encode_queries(["warm up"])
        started = time.perf_counter()
        with (
            Index.open(place / "index", encoder=self.encoder)
            if not fresh
            else Index.create(
                place / "index", encoder=self.encoder, passage_tokens=self.passage_tokens
            )
        ) as index:
            index.add(counted(collection, indexing), progress=encoded)
            seconds = time.perf_counter() - started
            size = index.status().bytes
        cost = Cost(seconds, tokens / seconds, size) if fresh else Cost(index_bytes=size)
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

    def __init__(self, engine: Engine, retriever: Retriever, name: str | None = None) -> None:
        self.name = name or retriever
        self._engine = engine
        self._retriever = retriever

    def identity(self) -> str:
        """The retriever, the encoder and how documents are cut."""
        return f"{self._retriever} {self._engine.identity()}"

    def settings(self) -> Settings:
        """Passages are cut; nothing is dropped."""
        return Settings(passage_tokens=self._engine.passage_tokens)

    def index(self, collection: Collection, folder: Path, indexing: Indexing | None) -> Cost:
        """Open the index that the engine's retrievers share, built if need be."""
        return self._engine.open(collection, folder, indexing)

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        """The k best documents for each query."""
        return run_documents(self._engine.index, queries, retriever=self._retriever, k=k)

    def asking(self) -> Ask:
        """One search, for the best passages, without highlights."""
        index, retriever = self._engine.index, self._retriever
        return lambda text: index.search(text, ASKED, retriever=retriever, highlights=False)

    def close(self) -> None:
        """Let go of the index."""
        self._engine.close()


def make_systems(retrievers: Sequence[Retriever], specs: Sequence[str]) -> list[System]:
    """The systems that were asked for.

    Args:
        retrievers: of the embedded model's index, and of the encoders'.
        specs: `bm25s`, `st:NAME`, `encoder:NAME`, `run:FILE` or `run:NAME=FILE`.

    Raises:
        InputError: a specification cannot be used, or two systems have one name.
        EncoderError: an encoder cannot be loaded.
        MissingDependency: a package is needed.
    """
    found: list[System] = []
    if retrievers:
        engine = Engine()
        found += [IndexSystem(engine, retriever) for retriever in retrievers]
    for spec in specs:
        found += _system(spec, retrievers or RETRIEVERS)
    names = [system.name for system in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two systems are named {twice!r}; name a run as run:NAME=FILE")
    return found


def _system(spec: str, retrievers: Sequence[Retriever]) -> list[System]:
    kind, _, rest = spec.partition(":")
    if spec == "bm25s":
        return [Bm25s()]
    if kind == "st" and rest:
        return [SentenceTransformerSystem(rest)]
    if kind == "encoder" and rest:
        engine = Engine(rest)
        wanted = [name for name in retrievers if name in engine.retrievers]
        label = Path(rest).name if Path(rest).exists() else rest
        return [IndexSystem(engine, name, f"{label}/{name}") for name in wanted]
    if kind == "run" and rest:
        name, equals, file = rest.partition("=")
        return [RunFile(Path(file), name) if equals else RunFile(Path(rest))]
    raise InputError(
        f"system {spec!r} is unknown; give bm25s, st:NAME, encoder:NAME, run:FILE or run:NAME=FILE"
    )


def _begun_as(place: Path) -> str:
    try:
        return (place / "begun").read_text(encoding="utf-8")
    except OSError:
        return ""
