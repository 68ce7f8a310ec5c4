"""Systems by the names that users give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.systems.bm25 import Bm25s
from retrieval.eval.systems.existing_index import ExistingIndex
from retrieval.eval.systems.run_file import RunFile
from retrieval.eval.systems.sentence_transformers import SentenceTransformerSystem
from retrieval.eval.systems.shared_index import IndexSystem, SharedIndex
from retrieval.eval.systems.system import System
from retrieval.eval.systems.variants import (
    PASSAGE_TOKENS,
    Build,
    Variant,
    labelled,
    parse_variant,
    shortened,
)
from retrieval.types import RETRIEVERS, Encoder, Retriever


class _SharedIndexes:
    """The encoders and the engines of one evaluation: each is there once."""

    def __init__(self) -> None:
        self._encoders: dict[str | None, Encoder] = {}
        self._engines: dict[tuple[str, Build], SharedIndex] = {}

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
            self._engines[key] = SharedIndex(encoder, build)
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
            `index:PLACE`, `index:LABEL=PLACE`, `run:FILE`, `run:LABEL=FILE`, or a retriever and
            its settings as in `late:bits=2`.

    Raises:
        InputError: a specification cannot be used, or two systems have one name.
        EncoderError: an encoder cannot be loaded.
        MissingDependency: a package is needed.
    """
    for given in (retrievers, specs):
        if isinstance(given, str):
            raise InputError(f"one name, {given!r}, was given; give a list of them")
    unknown = next((name for name in retrievers if name not in RETRIEVERS), None)
    if unknown is not None:
        raise InputError(f"retriever {unknown!r} is unknown; choose from {', '.join(RETRIEVERS)}")
    engines = _SharedIndexes()
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


def _system(
    spec: str, retrievers: Sequence[Retriever], engines: _SharedIndexes
) -> Sequence[System]:
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
    if kind == "index" and rest:
        label, equals, named = rest.partition("=")
        place = named if equals else rest
        return [ExistingIndex(place, one, label if equals else None) for one in retrievers]
    if kind == "run" and rest:
        name, equals, file = rest.partition("=")
        return [RunFile(Path(file), name) if equals else RunFile(Path(rest))]
    raise InputError(
        f"system {spec!r} is unknown; give bm25s, st:NAME, encoder:NAME, index:PLACE, run:FILE, "
        f"run:LABEL=FILE, or a retriever ({', '.join(RETRIEVERS)}) with settings, as in late:bits=2"
    )
