"""Endpoints of other services: OpenAI's embeddings and models, Cohere's and Jina's rerank.

https://platform.openai.com/docs/api-reference/embeddings, https://docs.cohere.com/reference/rerank,
https://jina.ai/reranker. The model is that of the default index.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from retrieval.errors import InputError
from retrieval.server.answers import Json
from retrieval.server.indexes import Indexes
from retrieval.server.metrics import Metrics
from retrieval.server.problems import Problem
from retrieval.server.requests import Limits, body_of, query_of
from retrieval.server.text_embeddings import (
    MOST_CHARACTERS,
    MOST_INPUTS,
    MOST_TEXTS,
    TextEmbeddings,
    check_dimensions,
)
from retrieval.service.arguments import Argument, checked
from retrieval.service.scoring import embed, rerank
from retrieval.types import Encoder, EncoderSide

_MODEL = Argument("model", "string", "the model's name, if any")
EMBED = (
    Argument(
        "input",
        "texts",
        "one or several texts",
        required=True,
        most=MOST_INPUTS,
        longest=MOST_CHARACTERS,
    ),
    _MODEL,
    Argument(
        "encoding_format",
        "string",
        "format of vectors",
        default="float",
        choices=("float", "base64"),
    ),
    Argument(
        "dimensions", "integer", "dimensions of vectors, which have to be the model's", least=1
    ),
    Argument(
        "input_type",
        "string",
        "the side to encode",
        default="document",
        choices=("query", "document"),
    ),
    Argument("user", "string", "ignored"),
)
RERANK = (
    Argument("query", "string", "what to look for", required=True),
    Argument(
        "documents",
        "records",
        "texts, or objects that have a `text`",
        required=True,
        most=MOST_TEXTS,
        longest=MOST_CHARACTERS,
    ),
    _MODEL,
    Argument("top_n", "integer", "how many results; all if not given", least=1),
    Argument("return_documents", "boolean", "whether to return the documents", default=False),
)


class Models:
    """Handlers of the routes."""

    def __init__(self, indexes: Indexes, limits: Limits, metrics: Metrics) -> None:
        self._indexes = indexes
        self._limits = limits
        self._tokens = metrics.tokens
        self._text_embeddings = TextEmbeddings(indexes, limits, metrics)

    async def list(self, request: Request) -> Response:
        """The one model."""
        query_of(request, ())
        model = await self._limits.in_thread(request, self._model)
        return Json({"object": "list", "data": [model]})

    async def one(self, request: Request) -> Response:
        """The model of this name."""
        query_of(request, ())
        model = await self._limits.in_thread(request, self._model)
        asked = request.path_params["id"]
        if asked != model["id"]:
            raise Problem(404, f"there is no model {asked!r:.80}; there is {model['id']!r}")
        return Json(model)

    def _model(self) -> dict[str, Any]:
        with self._indexes.using() as index:
            name = index.status().encoder
        return {"id": name, "object": "model", "created": 0, "owned_by": "retrieval"}

    async def embeddings(self, request: Request) -> Response:
        """Vectors of texts, in OpenAI's form."""
        given = await body_of(request, self._limits)
        if isinstance(given, dict) and _is_token_ids(given.get("input")):
            raise Problem(
                400,
                "input contains token ids of another model's tokenizer; send texts "
                "(LangChain's OpenAIEmbeddings: check_embedding_ctx_length=False)",
            )
        values = checked(EMBED, _an_object(given))
        texts = [values["input"]] if isinstance(values["input"], str) else values["input"]
        if not texts or not all(texts):
            raise InputError("input has an empty text, or none at all; send texts")
        side: EncoderSide = "query" if values["input_type"] == "query" else "document"

        def work() -> dict[str, Any]:
            with self._indexes.using() as index:
                encoder = self._encoder(index.encoder, values["model"])
                check_dimensions(encoder, values["dimensions"])
                vectors, count = embed(encoder, texts, side)
            self._tokens.labels(request.url.path).inc(count)
            if values["encoding_format"] == "base64":
                rows: list[Any] = [
                    base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors
                ]
            else:
                rows = vectors.tolist()
            return {
                "object": "list",
                "model": encoder.name,
                "data": [
                    {"object": "embedding", "index": at, "embedding": row}
                    for at, row in enumerate(rows)
                ],
                "usage": {"prompt_tokens": count, "total_tokens": count},
            }

        return Json(await self._limits.in_thread(request, work))

    async def rerank(self, request: Request) -> Response:
        """Texts ordered by how well they answer a query, in Cohere's and Jina's form.

        A body with `texts` is in text-embeddings-inference's form, and so is the response.
        """
        given = _an_object(await body_of(request, self._limits))
        if "texts" in given:
            return await self._text_embeddings.rerank(request, given)
        values = checked(RERANK, given)
        texts = [one if isinstance(one, str) else one["text"] for one in values["documents"]]
        if not texts or not values["query"].strip():
            raise InputError("the query or the list of documents is empty; give both")

        def work() -> dict[str, Any]:
            with self._indexes.using() as index:
                encoder = self._encoder(index.encoder, values["model"])
                scores, count = rerank(encoder, values["query"], texts)
            self._tokens.labels(request.url.path).inc(count)
            order = np.argsort(-scores, kind="stable")[: values["top_n"] or len(texts)]
            results: list[dict[str, Any]] = [
                {"index": int(at), "relevance_score": float(scores[at])} for at in order
            ]
            if values["return_documents"]:
                for one in results:
                    one["document"] = {"text": texts[one["index"]]}
            return {"model": encoder.name, "results": results, "usage": {"total_tokens": count}}

        return Json(await self._limits.in_thread(request, work))

    async def embed(self, request: Request) -> Response:
        """Vectors of texts, in text-embeddings-inference's form."""
        return await self._text_embeddings.embed(request)

    def _encoder(self, encoder: Encoder, wanted: str | None) -> Encoder:
        if wanted not in (None, "", encoder.name):
            raise Problem(
                404, f"there is no model {ascii(wanted)[:200]}; there is {encoder.name!r}"
            )
        return encoder


def _an_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Problem(400, "the body is not a JSON object; see /openapi.json")
    return value


def _is_token_ids(value: Any) -> bool:
    """Whether this is a list of whole numbers, or of lists of them."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(one, int) for one in value) or all(
        isinstance(one, list) and one and isinstance(one[0], int) for one in value
    )
