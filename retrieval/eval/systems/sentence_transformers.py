"""Models of sentence-transformers, which read whole documents, as a baseline."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError, MissingDependency
from retrieval.eval.datasets import Collection
from retrieval.eval.systems.system import (
    TIMED_HITS,
    Cost,
    Ranked,
    Settings,
    TimedSearch,
    read_built,
    short_digest,
    title_and_text,
    with_progress,
    write_built,
)
from retrieval.files.vector_cache import VectorCache, digest
from retrieval.types import ProgressCallback

SAVE_SECONDS = 60.0
"""So often what a model has encoded is put on the disk."""

_QUERIES_AT_ONCE = 64
_TEXTS_AT_ONCE = 1024
_COUNTED_AT_ONCE = 32
_MODEL_FILES = {".safetensors", ".bin", ".json", ".txt", ".model"}


class SentenceTransformerSystem:
    """A sentence-transformers model; whole documents, cut off where the model stops reading."""

    def __init__(self, source: str, name: str) -> None:
        """Load the model at a folder or Hub id; the name is for tables."""
        try:
            import sentence_transformers
        except ImportError:
            raise MissingDependency(
                f"st:{source} needs sentence-transformers: pip install 'modernbert-retrieval[st]'"
            ) from None
        try:
            self._model = sentence_transformers.SentenceTransformer(source)
        except (OSError, ValueError) as wrong:
            reason = " ".join(str(wrong).split())[:200]
            raise InputError(
                f"st:{source} cannot be loaded ({reason}); give a folder or Hub id of a "
                "sentence-transformers model"
            ) from wrong
        self.name = name
        # By what is in its files: a folder may be moved, and another one may have its name.
        self._weights = _digest(Path(source)) if Path(source).is_dir() else source
        self._identity = f"{sentence_transformers.__version__} {self._weights}"
        dim = self._model.get_embedding_dimension()
        if dim is None:
            raise InputError(f"st:{source} does not say how many dimensions its vectors have")
        self._dim = int(dim)
        self._ids: list[str] = []
        self._vectors: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def identity(self) -> str:
        """The package's version and the digest of the model's files, or its Hub id."""
        return f"{self._identity} {self._model.max_seq_length}"

    def settings(self) -> Settings:
        """The model's own limit and prompts."""
        limit = self._model.max_seq_length
        prompts = {name: text for name, text in self._model.prompts.items() if text}
        most = None if limit is None else int(limit)
        cut = "whole documents" if most is None else f"documents cut off at {most:,} tokens"
        said = f"{cut}; model {self._weights[:12]}, {self._vectors.shape[1]} dimensions"
        return Settings(max_tokens=most, prompts=prompts, description=said)

    def index(
        self, collection: Collection, folder: Path, progress: ProgressCallback | None
    ) -> Cost:
        """Encode whole documents; the vectors are kept in the folder, by the texts' digests."""
        key = f"{self.identity()} {collection.sha256}"
        place = folder / f"vectors-{short_digest(self.identity())}"
        done = read_built(place, key)
        cache = VectorCache(place, self._dim, np.float32)
        begun = len(cache) > 0
        if done is None:
            self._model.encode_document(["warm up"])
        seconds, tokens = self._encode_all(collection, progress, cache)
        if done is not None:
            return done
        cost = Cost(seconds, tokens / seconds if tokens else None, self._vectors.nbytes)
        if begun:
            cost = Cost(index_bytes=cost.index_bytes)
        write_built(place, key, cost)
        return cost

    def _encode_all(
        self,
        collection: Collection,
        progress: ProgressCallback | None,
        cache: VectorCache[np.float32],
    ) -> tuple[float, int]:
        """Take the ids and vectors of all documents; what is not kept is encoded, and kept.

        Returns:
            The seconds that encoding took, and the tokens encoded.
        """
        self._ids, seconds, tokens = [], 0.0, 0
        blocks: list[NDArray[np.float32]] = []
        saved = time.monotonic()
        for texts in _batches(self._take(collection, progress), _TEXTS_AT_ONCE):
            keys = [digest(text) for text in texts]
            found = dict(zip(keys, cache.get(keys), strict=True))
            new = {key: text for key, text in zip(keys, texts, strict=True) if found[key] is None}
            if new:
                started = time.perf_counter()
                vectors = self._encode(list(new.values()))
                seconds += time.perf_counter() - started
                tokens += self._tokens(list(new.values()))
                for key, vector in zip(new, vectors[:, None], strict=True):
                    found[key] = vector
                    cache.add(key, vector)
            blocks += [vector for key in keys if (vector := found[key]) is not None]
            if time.monotonic() - saved > SAVE_SECONDS:
                cache.commit()
                saved = time.monotonic()
        cache.commit()
        self._vectors = np.concatenate(blocks)
        return seconds, tokens

    def _take(self, collection: Collection, progress: ProgressCallback | None) -> Iterator[str]:
        for document in with_progress(collection, progress):
            self._ids.append(document.id)
            yield title_and_text(document)

    def _tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the model reads of them; 0 if it does not say."""
        found = 0
        for some in _batches(texts, _COUNTED_AT_ONCE):
            mask = self._model.preprocess(some).get("attention_mask")
            found += 0 if mask is None else int(mask.sum())
        return found

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = self._model.encode_document(
            texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(found, np.float32)

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        """The k documents nearest to each query, by cosine; all are compared."""
        ids = list(queries)
        run: Ranked = {}
        for first in range(0, len(ids), _QUERIES_AT_ONCE):
            some = ids[first : first + _QUERIES_AT_ONCE]
            vectors = self._model.encode_query(
                [queries[id] for id in some], normalize_embeddings=True, show_progress_bar=False
            )
            scores = np.asarray(vectors, np.float32) @ self._vectors.T
            _check_finite(scores, self.name)
            for id, row in zip(some, scores, strict=True):
                best = _largest(row, k)
                run[id] = {self._ids[at]: float(row[at]) for at in best.tolist()}
        return run

    def timed_search(self) -> TimedSearch:
        """One query, for the best documents."""
        return lambda text: self.search({"": text}, TIMED_HITS)

    def close(self) -> None:
        """Forget the collection."""
        self._ids, self._vectors = [], np.empty((0, 0), np.float32)


def _largest(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Places of the k largest, best first."""
    some = np.argpartition(-scores, k - 1)[:k] if k < len(scores) else np.arange(len(scores))
    return np.asarray(some[np.argsort(-scores[some], kind="stable")], np.int64)


def _check_finite(scores: NDArray[np.float32], name: str) -> None:
    unusable = int(np.count_nonzero(~np.isfinite(scores)))
    if unusable:
        raise InputError(
            f"{unusable} of {scores.size} scores of {name} are NaN or infinite; the model is broken"
        )


def _batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Consecutive lists of `size` texts; the last may be shorter."""
    left = iter(texts)
    while batch := list(itertools.islice(left, size)):
        yield batch


def _digest(folder: Path) -> str:
    """SHA-256 of a model's weights, tokenizer and configuration, as 64 hexadecimal digits."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _MODEL_FILES and path.is_file():
            with path.open("rb") as file:
                own = hashlib.file_digest(file, "sha256").hexdigest()
            found.update(f"{path.relative_to(folder).as_posix()} {own}\n".encode())
    return found.hexdigest()
