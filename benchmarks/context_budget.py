"""How much of a passage's tokens its context may take, and whether the context's vectors are kept.

    python benchmarks/context_budget.py COLLECTION... --work FOLDER --out FILE.json

A COLLECTION is what `long_context.py` takes. Each is indexed with several shares of a passage's 256
tokens for its context, and once more with the default share and without the context's token
vectors: the encoder has read the context then, but late interaction matches the passage alone.
`vectors` counts the token vectors of the index, `of_context` those of contexts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json
from long_context import EXACT, Sections, read_collection, search_run

from retrieval import Index
from retrieval.encoders import load_encoder
from retrieval.eval import means
from retrieval.index import context_builder
from retrieval.index.context_builder import CONTEXT_SHARE, ContextBuilder
from retrieval.ragged import offsets_of
from retrieval.types import RETRIEVERS, Context, Embeddings, Encoder

SHARES = (0.0, 0.03125, 0.0625, 0.125, 0.25, 0.5)


class ContextCountingEncoder:
    """An encoder that knows which token vectors belong to contexts, and can leave them out.

    Attributes:
        contexts: texts that precede passages.
        vectors: token vectors returned so far.
        of_context: token vectors of contexts seen so far.
    """

    def __init__(self, encoder: Encoder, *, keep: bool) -> None:
        """Args: the encoder to wrap; whether to keep the vectors of contexts."""
        self._encoder, self._keep = encoder, keep
        self.contexts: set[str] = set()
        self.vectors = self.of_context = 0
        for name in ("name", "fingerprint", "dense_dim", "token_dim", "max_tokens", "source"):
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))
        self.token_spans, self.encode_queries = encoder.token_spans, encoder.encode_queries

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """The encoder's vectors, with or without those of contexts."""
        embeddings = self._encoder.encode_documents(texts)
        assert embeddings.tokens is not None and embeddings.offsets is not None
        keep_by_text = []
        for text in texts:
            context_chars = max(
                (n for n in map(len, self.contexts) if text[:n] in self.contexts), default=0
            )
            spans = self._encoder.vector_spans(text, "document")  # type: ignore[attr-defined]
            keep_by_text.append(~((spans[:, 1] <= context_chars) & (spans[:, 1] > spans[:, 0])))
        keep = np.concatenate(keep_by_text)
        self.of_context += int((~keep).sum())
        self.vectors += len(keep) if self._keep else int(keep.sum())
        if self._keep:
            return embeddings
        return replace(
            embeddings,
            tokens=embeddings.tokens[keep],
            offsets=offsets_of([int(k.sum()) for k in keep_by_text]),
        )


def main() -> None:
    """Measure every collection and share."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+")
    parser.add_argument("--documents", type=int, default=2000, help="of a collection, at most")
    parser.add_argument("--queries", type=int, default=500, help="of a collection, at most")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder()
    result: dict[str, Any] = environment(["numpy", "onnxruntime", "tokenizers"]) | {"rows": []}
    for source in args.collections:
        collection = read_collection(source, args.documents, args.queries)
        for share, keep in [*((share, True) for share in SHARES), (CONTEXT_SHARE, False)]:
            row = measure(collection, encoder, share, args.work, keep=keep)
            result["rows"].append(row)
            write_json(args.out, result)
            print(json.dumps(row), flush=True)


def measure(
    collection: Sections, encoder: Encoder, share: float, work: Path, *, keep: bool
) -> dict[str, Any]:
    """One row: how a collection was indexed, and nDCG@10 of each retriever."""
    dataset = collection.dataset
    counting_encoder = ContextCountingEncoder(encoder, keep=keep)
    build_context = ContextBuilder.before

    def build_and_record(
        self: ContextBuilder, title: str, path: str | None, context: Context, text: str
    ) -> str:
        context_text = build_context(self, title, path, context, text)
        counting_encoder.contexts.add(context_text)
        return context_text

    with (
        TemporaryDirectory(dir=work) as folder,
        patch.object(context_builder, "CONTEXT_SHARE", share),
        patch.object(ContextBuilder, "before", build_and_record),
        Index.create(Path(folder) / "index", encoder=counting_encoder, late=EXACT) as index,
    ):
        index.add(dataset.documents)
        row: dict[str, Any] = {
            "collection": dataset.name,
            "documents": len(dataset.documents),
            "passages": index.status().passages,
            "queries": len(dataset.queries),
            "share": share,
            "token_vectors_of_context": "kept" if keep else "left out",
            "vectors": counting_encoder.vectors,
            "of_context": counting_encoder.of_context,
        }
        for retriever in RETRIEVERS:
            run = search_run(index, collection, retriever)
            row[retriever] = round(means(dataset.qrels, run)["nDCG@10"], 4)
    return row


if __name__ == "__main__":
    run_main(main)
