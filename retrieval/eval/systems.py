"""What is compared: retrievers of our index, and the baselines, by the names users give them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from retrieval import __version__
from retrieval.errors import InputError
from retrieval.eval.baselines import Bm25s, RunFile, SentenceTransformerSystem
from retrieval.eval.building import (
    ASKED,
    Ask,
    Cost,
    Ranked,
    Settings,
    System,
    counted,
    forget_built,
    read_built,
    short_digest,
    write_built,
)
from retrieval.eval.datasets import Collection
from retrieval.eval.runs import run_documents
from retrieval.eval.variants import (
    PASSAGE_TOKENS,
    Build,
    Variant,
    labelled,
    parse_variant,
    shortened,
)
from retrieval.files.whole import write_whole
from retrieval.index import Index
from retrieval.store import Store
from retrieval.types import RETRIEVERS, Encoder, Hybrid, ProgressCallback, Retriever

__all__ = ["Engine", "IndexSystem", "System", "make_systems"]


class Engine:
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

    def open(self, collection: Collection, folder: Path, progress: ProgressCallback | None) -> Cost:
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
        self, collection: Collection, place: Path, key: str, progress: ProgressCallback | None
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
                for document in counted(collection, progress):
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

    def __init__(self, engine: Engine, variant: Variant) -> None:
        self.name = variant.name
        self._engine = engine
        self._retriever = variant.retriever
        self._hybrid = variant.hybrid

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
            said.append(f"token vectors of {encoder.token_dim} components, {build.said()}")
        if self._retriever == "hybrid":
            how = self._hybrid or Hybrid()
            weights = ", ".join(f"{name} {weight:g}" for name, weight in how.weights.items())
            said.append(f"{how.fusion} of {how.candidates} candidates each, weights {weights}")
        return Settings(passage_tokens=build.passage_tokens, said="; ".join(said))

    def index(
        self, collection: Collection, folder: Path, progress: ProgressCallback | None
    ) -> Cost:
        """Open the index that the engine's retrievers share, built if need be."""
        return self._engine.open(collection, folder, progress)

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        """The k best documents for each query."""
        index, retriever = self._engine.index, self._retriever
        return run_documents(index, queries, retriever=retriever, k=k, hybrid=self._hybrid)

    def asking(self) -> Ask:
        """One search, for the best passages, without highlights."""
        index, retriever, hybrid = self._engine.index, self._retriever, self._hybrid

        def ask(text: str) -> object:
            return index.search(text, ASKED, retriever=retriever, highlights=False, hybrid=hybrid)

        return ask

    def close(self) -> None:
        """Let go of the index."""
        self._engine.close()


class _Engines:
    """The encoders and the engines of one evaluation: each is there once."""

    def __init__(self) -> None:
        self._encoders: dict[str | None, Encoder] = {}
        self._engines: dict[tuple[str, Build], Engine] = {}

    def encoder(self, source: str | None) -> Encoder:
        """The encoder at a folder or Hub id; None is the embedded model."""
        from retrieval.encoders import load_encoder

        if source not in self._encoders:
            self._encoders[source] = load_encoder(source)
        return self._encoders[source]

    def system(self, variant: Variant) -> IndexSystem:
        """The variant, on an index that it may share.

        Raises:
            InputError: the encoder lacks what the variant asks for.
        """
        source = None if variant.encoder is None else labelled(variant.encoder)[1]
        plain = self.encoder(source)
        wanted = variant.passage_tokens
        if wanted is not None and wanted > plain.max_tokens:
            raise InputError(
                f"system {variant.name!r}: encoder {plain.name!r} reads {plain.max_tokens:,} "
                f"tokens, not {wanted:,}; give passage_tokens of at most {plain.max_tokens:,}"
            )
        if variant.retriever not in retrievers_of(plain):
            raise InputError(
                f"system {variant.name!r}: encoder {plain.name!r} lacks the head for it; it has "
                f"{', '.join(retrievers_of(plain))}"
            )
        encoder = shortened(plain, variant.dims)
        build = Build(wanted or PASSAGE_TOKENS, variant.bits, variant.pooling or 1)
        key = (encoder.fingerprint, build)
        if key not in self._engines:
            self._engines[key] = Engine(encoder, build)
        return IndexSystem(self._engines[key], variant)


def retrievers_of(encoder: Encoder) -> tuple[Retriever, ...]:
    """Those that the encoder has the heads for."""
    lacking = {"dense": encoder.dense_dim is None, "late": encoder.token_dim is None}
    return tuple(name for name in RETRIEVERS if not lacking.get(name))


def make_systems(retrievers: Sequence[Retriever], specs: Sequence[str]) -> list[System]:
    """The systems that were asked for.

    Args:
        retrievers: of the embedded model's index, and of the encoders'.
        specs: `bm25s`, `st:NAME`, `st:LABEL=NAME`, `encoder:NAME`, `encoder:LABEL=NAME`,
            `run:FILE`, `run:LABEL=FILE`, or a retriever and its settings as in `late:bits=2`.

    Raises:
        InputError: a specification cannot be used, or two systems have one name.
        EncoderError: an encoder cannot be loaded.
        MissingDependency: a package is needed.
    """
    engines = _Engines()
    found: list[System] = [engines.system(Variant(retriever)) for retriever in retrievers]
    for spec in specs:
        found += _system(spec, retrievers or RETRIEVERS, engines)
    names = [system.name for system in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"two systems are named {twice!r}; give one, or name it as in run:LABEL=FILE, "
            "st:LABEL=NAME, encoder:LABEL=NAME"
        )
    return found


def _system(spec: str, retrievers: Sequence[Retriever], engines: _Engines) -> Sequence[System]:
    variant = parse_variant(spec)
    if variant is not None:
        return [engines.system(variant)]
    kind, _, rest = spec.partition(":")
    if spec == "bm25s":
        return [Bm25s()]
    if kind == "st" and rest:
        label, source = labelled(rest)
        return [SentenceTransformerSystem(source, label)]
    if kind == "encoder" and rest:
        has = retrievers_of(engines.encoder(labelled(rest)[1]))
        wanted = [name for name in retrievers if name in has]
        return [engines.system(Variant(name, encoder=rest)) for name in wanted]
    if kind == "run" and rest:
        name, equals, file = rest.partition("=")
        return [RunFile(Path(file), name) if equals else RunFile(Path(rest))]
    raise InputError(
        f"system {spec!r} is unknown; give bm25s, st:NAME, encoder:NAME, run:FILE, run:LABEL=FILE, "
        f"or a retriever ({', '.join(RETRIEVERS)}) with settings, as in late:bits=2"
    )


def _strange(index: Path, collection: Collection) -> list[str]:
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
