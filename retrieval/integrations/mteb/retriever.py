"""An index and one of its retrievers for MTEB's search protocol."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mteb.models import ModelMeta

from retrieval.errors import InputError
from retrieval.eval.datasets import Documents
from retrieval.eval.datasets.from_mteb import documents_of, query_texts
from retrieval.eval.results import file_name
from retrieval.eval.runs import run_documents, with_ties
from retrieval.eval.systems import SharedIndex
from retrieval.eval.systems.by_name import retrievers_of
from retrieval.eval.systems.system import title_and_text
from retrieval.eval.systems.variants import PASSAGE_TOKENS, Build
from retrieval.integrations.mteb.meta import as_encoder, model_meta
from retrieval.types import Encoder, Hybrid, Retriever

_AT_ONCE = 256

Scores = dict[str, dict[str, float]]
"""Score by document id, by query id."""


@dataclass(frozen=True, slots=True)
class _Corpus:
    documents: Documents
    sha256: str


class RetrieverModel:
    """A retriever of an index of passages; a document scores as its best passage.

    It uses the same documents, passages and order as `retrieval eval`, and gives the same figures.
    If a task has documents to be reranked, only they are searched.

    Attributes:
        mteb_model_meta: what MTEB records of it.
    """

    def __init__(
        self,
        encoder: Encoder | str | Path | None = None,
        retriever: Retriever = "hybrid",
        *,
        folder: str | Path | None = None,
        hybrid: Hybrid | None = None,
        passage_tokens: int = PASSAGE_TOKENS,
    ) -> None:
        """Set the encoder, or a source for `load_encoder`; None is the embedded model.

        Args:
            retriever: the retriever.
            folder: for the tasks' indexes, which are kept there and reused by all retrievers of one
                encoder; None is a temporary one.
            hybrid: how `hybrid` fuses.
            passage_tokens: maximum length of passages.

        Raises:
            InputError: the encoder lacks the head that the retriever needs.
        """
        self.encoder = as_encoder(encoder)
        known = retrievers_of(self.encoder)
        if retriever not in known:
            raise InputError(
                f"retriever {retriever!r} cannot be used with {self.encoder.name!r}; choose from "
                f"{', '.join(known)}"
            )
        self.retriever: Retriever = retriever
        settings: dict[str, Any] = {}
        if hybrid is not None and hybrid != Hybrid():
            settings["hybrid"] = str(hybrid)
        if passage_tokens != PASSAGE_TOKENS:
            settings["passage_tokens"] = passage_tokens
        self.mteb_model_meta: ModelMeta = model_meta(self.encoder, retriever, settings=settings)
        self._hybrid = hybrid
        self._folder = None if folder is None else Path(folder)
        self._forget: weakref.finalize[..., Any] | None = None
        self._shared = SharedIndex(self.encoder, Build(passage_tokens))

    def index(
        self, corpus: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, **kwargs: Any
    ) -> None:
        """Index the corpus of a task, a `datasets.Dataset`, or open an existing index."""
        digest = hashlib.sha256()
        seen: set[str] = set()
        repeated: set[str] = set()
        for document in documents_of(corpus):
            digest.update(f"{document.id}\0{title_and_text(document)}\0".encode())
            (repeated if document.id in seen else seen).add(document.id)
        documents = Documents(lambda: documents_of(corpus), len(seen), frozenset(repeated))
        place = self._place() / file_name(f"{task_metadata.name}-{hf_subset}-{hf_split}")
        place.mkdir(parents=True, exist_ok=True)
        self._shared.open(_Corpus(documents, digest.hexdigest()), place, None)

    def search(
        self,
        queries: Any,
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> Scores:
        """The best documents for each query, and those that tie with the last.

        Args:
            queries: a `datasets.Dataset`: id, text or conversation, perhaps instruction.
            top_k: documents wanted.
            top_ranked: the documents to rerank, by query id; all of them are scored.

        Returns:
            The scores of every query; one without words has none.
        """
        asked = dict(zip(map(str, queries["id"]), query_texts(queries), strict=True))
        found: Scores = {id: {} for id in asked}
        ids = [id for id, text in asked.items() if text.strip()]
        for first in range(0, len(ids), _AT_ONCE):
            some = {id: asked[id] for id in ids[first : first + _AT_ONCE]}
            if top_ranked is None:
                found |= self._search(some, top_k)
            else:
                found |= self._reranked(some, {id: top_ranked.get(id, ()) for id in some})
        return {id: in_single_precision(scores) for id, scores in found.items()}

    def close(self) -> None:
        """Close the index, and delete a temporary folder."""
        self._shared.close()
        if self._forget is not None:
            self._forget()
            self._forget = None
            self._folder = None

    def _search(self, queries: Mapping[str, str], k: int) -> Scores:
        # One more, for tasks that drop the document with the query's own id.
        found = self._run(queries, k + 1)
        return {id: own if id in own else with_ties(own, k) for id, own in found.items()}

    def _reranked(self, queries: Mapping[str, str], among: Mapping[str, Sequence[str]]) -> Scores:
        some = {id: text for id, text in queries.items() if among[id]}
        most = max((len(documents) for documents in among.values()), default=0)
        found = self._run(some, most, among) if some else {}
        for id, scores in found.items():
            last = min(scores.values(), default=0.0) - 1
            scores.update(dict.fromkeys((one for one in among[id] if one not in scores), last))
        return found

    def _run(
        self, queries: Mapping[str, str], k: int, among: Mapping[str, Sequence[str]] | None = None
    ) -> Scores:
        return run_documents(
            self._shared.index,
            queries,
            retriever=self.retriever,
            k=k,
            hybrid=self._hybrid,
            among=among,
        )

    def _place(self) -> Path:
        """The given folder, or a temporary one, which is deleted with the model."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="retrieval-mteb-"))
            self._forget = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder


def in_single_precision(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores in trec_eval's precision; MTEB's reciprocal rank would see finer differences."""
    return {document: float(np.float32(score)) for document, score in scores.items()}
