"""How much of a passage's tokens its context may take, and whether its token vectors are kept.

    python benchmarks/context_budget.py COLLECTION... --work FOLDER --out FILE.json

A COLLECTION is what `long_context.py` takes. Each is indexed with several shares of a passage's 256
tokens for its context, and once more with the default share and without the token vectors that
stand for the context: the encoder has read it then, and late interaction matches the passage alone.
`vectors` are the token vectors of the index, `of_context` those of them that stand for contexts.
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
from long_context import EXACT, Sections, read, searched

from retrieval import Index
from retrieval.encoders import load_encoder
from retrieval.eval import means
from retrieval.index import context_builder
from retrieval.index.context_builder import CONTEXT_SHARE, ContextBuilder
from retrieval.ragged import offsets_of
from retrieval.types import RETRIEVERS, Context, Embeddings, Encoder

SHARES = (0.0, 0.03125, 0.0625, 0.125, 0.25, 0.5)


class Counting:
    """An encoder that knows which vectors stand for contexts, and leaves them out if it is told."""

    def __init__(self, encoder: Encoder, *, keep: bool) -> None:
        """Wrap an encoder."""
        self._encoder, self._keep = encoder, keep
        self.contexts: set[str] = set()
        self.vectors = self.of_context = 0
        for name in ("name", "fingerprint", "dense_dim", "token_dim", "max_tokens", "source"):
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))
        self.token_spans, self.encode_queries = encoder.token_spans, encoder.encode_queries

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """As the encoder does it, with or without the token vectors of the contexts."""
        made = self._encoder.encode_documents(texts)
        assert made.tokens is not None and made.offsets is not None
        kept = []
        for text in texts:
            lead = max((n for n in map(len, self.contexts) if text[:n] in self.contexts), default=0)
            spans = self._encoder.vector_spans(text, "document")  # type: ignore[attr-defined]
            kept.append(~((spans[:, 1] <= lead) & (spans[:, 1] > spans[:, 0])))
        own = np.concatenate(kept)
        self.of_context += int((~own).sum())
        self.vectors += len(own) if self._keep else int(own.sum())
        if self._keep:
            return made
        return replace(
            made, tokens=made.tokens[own], offsets=offsets_of([int(k.sum()) for k in kept])
        )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+")
    parser.add_argument("--documents", type=int, default=2000, help="of a collection, at most")
    parser.add_argument("--queries", type=int, default=500, help="of a collection, at most")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder()
    found: dict[str, Any] = environment(["numpy", "onnxruntime", "tokenizers"]) | {"rows": []}
    for source in args.collections:
        collection = read(source, args.documents, args.queries)
        for share, keep in [*((share, True) for share in SHARES), (CONTEXT_SHARE, False)]:
            row = measured(collection, encoder, share, args.work, keep=keep)
            found["rows"].append(row)
            write_json(args.out, found)
            print(json.dumps(row), flush=True)


def measured(
    collection: Sections, encoder: Encoder, share: float, work: Path, *, keep: bool
) -> dict[str, Any]:
    """One row: how a collection was indexed, and what it finds."""
    dataset = collection.dataset
    counting = Counting(encoder, keep=keep)
    before = ContextBuilder.before

    def noted(
        self: ContextBuilder, title: str, path: str | None, context: Context, text: str
    ) -> str:
        lead = before(self, title, path, context, text)
        counting.contexts.add(lead)
        return lead

    with (
        TemporaryDirectory(dir=work) as folder,
        patch.object(context_builder, "CONTEXT_SHARE", share),
        patch.object(ContextBuilder, "before", noted),
        Index.create(Path(folder) / "index", encoder=counting, late=EXACT) as index,
    ):
        index.add(dataset.documents)
        row: dict[str, Any] = {
            "collection": dataset.name,
            "documents": len(dataset.documents),
            "passages": index.status().passages,
            "queries": len(dataset.queries),
            "share": share,
            "token_vectors_of_context": "kept" if keep else "left out",
            "vectors": counting.vectors,
            "of_context": counting.of_context,
        }
        for retriever in RETRIEVERS:
            run = searched(index, collection, retriever)
            row[retriever] = round(means(dataset.qrels, run)["nDCG@10"], 4)
    return row


if __name__ == "__main__":
    run_main(main)
