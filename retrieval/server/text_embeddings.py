"""The API of text-embeddings-inference: `POST /embed`, and its form of `/rerank`.

https://huggingface.github.io/text-embeddings-inference/
"""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from retrieval.errors import InputError
from retrieval.server.answers import Json
from retrieval.server.indexes import Indexes
from retrieval.server.metrics import Metrics
from retrieval.server.problems import Problem
from retrieval.server.requests import Limits, arguments_of
from retrieval.service.arguments import Argument, checked
from retrieval.service.scoring import embed, late_scores, rerank
from retrieval.types import Encoder, EncoderSide

MOST_INPUTS = 256
MOST_TEXTS = 1000
MOST_CHARACTERS = 200_000
"""Maximum characters of a text to encode; the encoder truncates it to its own length."""

EMBED = (
    Argument(
        "inputs",
        "texts",
        "one or several texts",
        required=True,
        most=MOST_INPUTS,
        longest=MOST_CHARACTERS,
    ),
    Argument("normalize", "boolean", "vectors have unit length", default=True),
    Argument(
        "truncate",
        "boolean",
        "whether to truncate texts that are too long, or refuse them",
        default=True,
    ),
    Argument("truncation_direction", "string", "where to truncate", choices=("Right", "right")),
    Argument(
        "prompt_name",
        "string",
        "the side to encode",
        default="document",
        choices=("query", "document", "passage"),
    ),
    Argument(
        "dimensions", "integer", "dimensions of vectors, which have to be the model's", least=1
    ),
)
RERANK = (
    Argument("query", "string", "what to look for", required=True),
    Argument("texts", "strings", "texts", required=True, most=MOST_TEXTS, longest=MOST_CHARACTERS),
    Argument("raw_scores", "boolean", "late interaction's sums, not 0 to 1", default=False),
    Argument("return_text", "boolean", "whether to return the texts", default=False),
    Argument("truncate", "boolean", "texts that are too long are truncated", default=True),
    Argument("truncation_direction", "string", "where to truncate", choices=("Right", "right")),
)


class TextEmbeddings:
    """Handlers of the routes; the model is that of the default index."""

    def __init__(self, indexes: Indexes, limits: Limits, metrics: Metrics) -> None:
        self._indexes = indexes
        self._limits = limits
        self._tokens = metrics.tokens

    async def embed(self, request: Request) -> Response:
        """Vectors of texts: a list of lists of numbers."""
        values = await arguments_of(request, self._limits, EMBED)
        texts = [values["inputs"]] if isinstance(values["inputs"], str) else values["inputs"]
        if not texts or not all(texts):
            raise InputError("inputs has an empty text, or none at all; send texts")
        if not values["normalize"]:
            raise InputError("normalize is false; the model's vectors have unit length")
        side: EncoderSide = "query" if values["prompt_name"] == "query" else "document"

        def work() -> list[list[float]]:
            with self._indexes.using() as index:
                encoder = index.encoder
                check_dimensions(encoder, values["dimensions"])
                if not values["truncate"]:
                    _check_lengths(encoder, texts)
                vectors, count = embed(encoder, texts, side)
            self._tokens.labels(request.url.path).inc(count)
            rows: list[list[float]] = vectors.tolist()
            return rows

        return Json(await self._limits.in_thread(request, work))

    async def rerank(self, request: Request, given: dict[str, Any]) -> Response:
        """Texts ordered by how well they answer a query: a list of index and score."""
        values = checked(RERANK, given)
        query, texts = values["query"], values["texts"]
        if not texts or not query.strip():
            raise InputError("the query or the list of texts is empty; give both")

        def work() -> list[dict[str, Any]]:
            with self._indexes.using() as index:
                encoder = index.encoder
                if not values["truncate"]:
                    _check_lengths(encoder, texts)
                scored = late_scores if values["raw_scores"] else rerank
                scores, count = scored(encoder, query, texts)
            self._tokens.labels(request.url.path).inc(count)
            return [
                {"index": int(at), "score": float(scores[at])}
                | ({"text": texts[at]} if values["return_text"] else {})
                for at in np.argsort(-scores, kind="stable")
            ]

        return Json(await self._limits.in_thread(request, work))


def check_dimensions(encoder: Encoder, wanted: int | None) -> None:
    """Refuse dimensions other than the encoder's."""
    if wanted not in (None, encoder.dense_dim):
        raise InputError(f"dimensions is {wanted}; {encoder.name} has {encoder.dense_dim}")


def _check_lengths(encoder: Encoder, texts: list[str]) -> None:
    """Refuse a text that the encoder would truncate."""
    for at, text in enumerate(texts):
        tokens = len(encoder.token_spans(text))
        if tokens > encoder.max_tokens:
            raise Problem(
                413,
                f"text {at} has {tokens} tokens and {encoder.name} reads {encoder.max_tokens}; "
                "send less, or leave truncate as it is",
            )
