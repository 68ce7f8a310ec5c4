"""Variants of a retriever: how its index is built and asked, by the settings that users type.

`late:dims=48,bits=2` is late interaction on the first 48 components of 2 bits each.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.indexes import token_dim_problem
from retrieval.types import (
    FUSIONS,
    RETRIEVERS,
    Embeddings,
    Encoder,
    Hybrid,
    LateOptions,
    Retriever,
)

PASSAGE_TOKENS = 256

EXACT = 8
"""Bits of a component where nothing is compressed."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A retriever and what was asked of it; None is the default of the index.

    Attributes:
        encoder: a folder, a Hub id, or either after `LABEL=`; None is the embedded model.
        passage_tokens: the longest passage.
        dims: of each token vector the first so many components are kept.
        bits: of each component of a token vector: 8 (nothing is compressed), 4 or 2.
        pooling: of so many token vectors of a passage one is left.
        fusion: of `indexes.fuse`.
        candidates: passages that each retriever proposes to hybrid.
        lexical, dense, late: their weights in hybrid.
    """

    retriever: Retriever
    encoder: str | None = None
    passage_tokens: int | None = None
    dims: int | None = None
    bits: int | None = None
    pooling: int | None = None
    fusion: str | None = None
    candidates: int | None = None
    lexical: float | None = None
    dense: float | None = None
    late: float | None = None

    @property
    def name(self) -> str:
        """In tables: `late:dims=48,bits=2`, whatever order was typed; `LABEL/late` of another."""
        said = [f"{key}={value}" for key, value in self.settings.items()]
        label = "" if self.encoder is None else f"{labelled(self.encoder)[0]}/"
        return f"{label}{self.retriever}" + (f":{','.join(said)}" if said else "")

    @property
    def settings(self) -> dict[str, str]:
        """What was asked for beside an encoder, as it is typed."""
        return {
            key: _shown(value)
            for key in _KEYS
            if key != "encoder" and (value := getattr(self, key)) is not None
        }

    @property
    def hybrid(self) -> Hybrid | None:
        """How hybrid works; None where that is the default."""
        keys = ("candidates", "fusion", "lexical", "dense", "late")
        said = {key: value for key in keys if (value := getattr(self, key)) is not None}
        found = Hybrid(**said)
        return None if found == Hybrid() else found


@dataclass(frozen=True, slots=True)
class Build:
    """How an index is built; retrievers with the same one share the index.

    Attributes:
        bits: of a component of a token vector; None leaves it to the index's size.
    """

    passage_tokens: int = PASSAGE_TOKENS
    bits: int | None = None
    pooling: int = 1

    def late(self, documents: int) -> LateOptions:
        """How an index of so many documents keeps its token vectors."""
        if self.bits is None:
            return LateOptions(pooling=self.pooling)
        if self.bits == EXACT:
            most = 10**12
            return LateOptions(exact_passages=most, list_passages=most, pooling=self.pooling)
        # A codec that was trained on the first commit's few passages would be judged by their
        # number: half of the documents give one that is like that of an index grown in use.
        exact = documents // 2
        lists = max(exact, LateOptions().list_passages)
        bits: Literal[2, 4] = 2 if self.bits == 2 else 4
        return LateOptions(
            exact_passages=exact, list_passages=lists, bits=bits, pooling=self.pooling
        )

    @property
    def compressed(self) -> bool:
        """Whether token vectors are compressed however few there are."""
        return self.bits is not None and self.bits != EXACT

    def description(self) -> str:
        """How token vectors are kept, for the protocol."""
        bits = {
            None: "8 bits, 4 bits but for few passages, 2 bits for very many",
            EXACT: "8 bits, all compared",
        }.get(self.bits, f"{self.bits} bits")
        return bits + (f", 1 of {self.pooling} left by pooling" if self.pooling > 1 else "")


@dataclass(frozen=True, slots=True)
class Shortened:
    """An encoder whose token vectors are cut to their first `dims` components, and rescaled.

    The components of the embedded model's token head began as principal axes, the largest first,
    so that the first ones hold most; of another model's they may hold no more than any others.
    """

    inner: Encoder
    dims: int

    @property
    def name(self) -> str:
        """The encoder's name."""
        return self.inner.name

    @property
    def fingerprint(self) -> str:
        """Of the encoder and how much is left of its token vectors."""
        return hashlib.sha256(f"{self.inner.fingerprint} {self.dims}".encode()).hexdigest()

    @property
    def dense_dim(self) -> int | None:
        """The encoder's own."""
        return self.inner.dense_dim

    @property
    def token_dim(self) -> int | None:
        """What is left."""
        return self.dims

    @property
    def max_tokens(self) -> int:
        """The encoder's own."""
        return self.inner.max_tokens

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """The encoder's own."""
        return self.inner.token_spans(text)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """The encoder's, with shorter token vectors."""
        return self._cut(self.inner.encode_documents(texts))

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """The encoder's, with shorter token vectors."""
        return self._cut(self.inner.encode_queries(texts))

    def _cut(self, found: Embeddings) -> Embeddings:
        assert found.tokens is not None
        tokens = np.ascontiguousarray(found.tokens[:, : self.dims])
        left = np.linalg.norm(tokens, axis=1, keepdims=True)
        # A vector is as long as before: of a query's, the length says what the token counts.
        tokens *= np.linalg.norm(found.tokens, axis=1, keepdims=True) / np.where(left > 0, left, 1)
        return replace(found, tokens=tokens)


def shortened(encoder: Encoder, dims: int | None) -> Encoder:
    """The encoder with token vectors of so many components.

    Raises:
        InputError: it has no token head, or fewer components, or so many cannot be stored.
    """
    if dims is None or dims == encoder.token_dim:
        return encoder
    if encoder.token_dim is None or dims > encoder.token_dim:
        has = "no token vectors" if encoder.token_dim is None else f"{encoder.token_dim} components"
        raise InputError(f"dims={dims} cannot be kept: encoder {encoder.name!r} has {has}")
    problem = token_dim_problem(dims)
    if problem is not None:
        raise InputError(f"dims={dims} cannot be used: {problem}")
    return Shortened(encoder, dims)


def labelled(text: str) -> tuple[str, str]:
    """`LABEL=SOURCE` as both; else a folder's name or the whole text, and the text."""
    label, equals, source = text.partition("=")
    if equals and label and source and not Path(text).exists():
        return label, source
    return (Path(text).resolve().name if Path(text).exists() else text), text


def parse_variant(spec: str) -> Variant | None:
    """What `RETRIEVER` or `RETRIEVER:KEY=VALUE,...` asks for; None if no retriever is named.

    Raises:
        InputError: a key or a value cannot be used; the message names those that can.
    """
    retriever = next((name for name in RETRIEVERS if name == spec.partition(":")[0]), None)
    if retriever is None:
        return None
    given: dict[str, Any] = {}
    _, colon, settings = spec.partition(":")
    for part in settings.split(",") if colon else ():
        name, _, value = part.partition("=")
        key = _KEYS.get(name)
        if key is None or retriever not in key.of:
            known = ", ".join(f"{n}={k.takes}" for n, k in _KEYS.items() if retriever in k.of)
            raise InputError(f"system {spec!r}: {retriever} has no setting {name!r}; give {known}")
        if name in given:
            raise InputError(f"system {spec!r}: {name} is given twice; give it once")
        try:
            given[name] = key.read(value)
        except ValueError:
            raise InputError(
                f"system {spec!r}: {name}={value} cannot be used; give {name}={key.takes}"
            ) from None
    found = Variant(retriever, **given)
    try:
        _ = found.hybrid
    except InputError as wrong:
        raise InputError(f"system {spec!r}: {wrong}") from None
    return found


@dataclass(frozen=True, slots=True)
class _Key:
    """A setting that users type.

    Attributes:
        read: the value of a text; raises ValueError.
        takes: what it may be, for messages.
        of: the retrievers that have it.
    """

    read: Callable[[str], Any]
    takes: str
    of: frozenset[str] = field(default_factory=lambda: frozenset(RETRIEVERS))


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else -1
        if number < least or (most is not None and number > most):
            raise ValueError
        return number

    return read


def _one_of(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError
        return text

    return read


def _bits(text: str) -> int:
    return int(_one_of("8", "4", "2")(text))


def _weight(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise ValueError
    return number


def _source(text: str) -> str:
    if not text:
        raise ValueError
    return text


_LATE = frozenset({"late", "hybrid"})
_HYBRID = frozenset({"hybrid"})
_KEYS: Mapping[str, _Key] = {
    "encoder": _Key(_source, "NAME"),
    "passage_tokens": _Key(_whole(1), "N"),
    "dims": _Key(_whole(1), "N", _LATE),
    "bits": _Key(_bits, "8|4|2", _LATE),
    "pooling": _Key(_whole(1, 4), "1|2|3|4", _LATE),
    "fusion": _Key(_one_of(*FUSIONS), "|".join(FUSIONS), _HYBRID),
    "candidates": _Key(_whole(1), "N", _HYBRID),
    "lexical": _Key(_weight, "WEIGHT", _HYBRID),
    "dense": _Key(_weight, "WEIGHT", _HYBRID),
    "late": _Key(_weight, "WEIGHT", _HYBRID),
}


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
