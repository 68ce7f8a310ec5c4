"""What clients of other services are answered: OpenAI's, Cohere's, text-embeddings-inference's."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import pytest

from tests.index.fake_encoder import FakeEncoder
from tests.server.conftest import Client

STORE = "/v1/vector_stores/notes"


def test_embeddings_are_those_of_the_encoder(client: Client) -> None:
    texts = ["who waits", "take the lock now"]
    expected = FakeEncoder().encode_documents(texts).dense
    assert expected is not None
    found = client.post("/v1/embeddings", {"input": texts, "model": "fake-words"}).json
    vectors = [one["embedding"] for one in found["data"]]
    assert np.array_equal(np.array(vectors, np.float32), expected)
    assert [one["index"] for one in found["data"]] == [0, 1]
    assert found["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    packed = client.post("/v1/embeddings", {"input": texts[0], "encoding_format": "base64"}).json
    row = np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), "<f4")
    assert np.array_equal(row, expected[0])
    (model,) = client.get("/v1/models").json["data"]
    assert model["id"] == "fake-words"
    assert client.get("/v1/models/fake-words").json == model
    refused = client.get("/v1/models/org/other")
    assert refused.status == 404 and "there is no model 'org/other'" in refused.json["detail"]


def test_rerank_orders_by_late_interaction(client: Client) -> None:
    documents = ["readers never do", {"text": "who waits"}, "who reads"]
    body = {"query": "who waits", "documents": documents}
    found = client.post("/v1/rerank", body).json["results"]
    assert [one["index"] for one in found] == [1, 2, 0]
    scores = [one["relevance_score"] for one in found]
    assert math.isclose(scores[0], 1.0, abs_tol=1e-5)
    assert all(0 <= score <= 1 for score in scores)
    short = client.post("/rerank", {**body, "top_n": 1, "return_documents": True}).json
    assert [one["document"] for one in short["results"]] == [{"text": "who waits"}]


def test_embed_answers_as_text_embeddings_inference(client: Client) -> None:
    texts = ["who waits", "take the lock now"]
    for name, made in (
        ("document", FakeEncoder().encode_documents(texts)),
        ("query", FakeEncoder().encode_queries(texts)),
    ):
        found = client.post("/embed", {"inputs": texts, "prompt_name": name}).json
        assert np.array_equal(np.array(found, np.float32), made.dense)
    (one,) = client.post("/embed", {"inputs": texts[0], "truncate": False, "normalize": True}).json
    assert len(one) == 32


def test_rerank_answers_as_text_embeddings_inference(client: Client) -> None:
    body = {"query": "who waits", "texts": ["readers never do", "who waits", ""]}
    found = client.post("/rerank", {**body, "return_text": True}).json
    assert found[0]["index"] == 1
    assert math.isclose(found[0]["score"], 1.0, abs_tol=1e-5)
    assert found[0]["text"] == "who waits"
    raw = client.post("/rerank", {**body, "raw_scores": True}).json
    assert [one["index"] for one in raw] == [one["index"] for one in found]
    assert math.isclose(raw[0]["score"], 2.0, abs_tol=1e-5)  # the sum of two cosines
    assert "text" not in raw[0]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": "eq", "key": "kind", "value": "code"}, {"src/lock.py"}),
        ({"type": "ne", "key": "kind", "value": "code"}, {"locks.md", "odd/ä?#%2F"}),
        ({"type": "in", "key": "kind", "value": ["code", "page"]}, {"src/lock.py", "locks.md"}),
        ({"type": "nin", "key": "kind", "value": ["code"]}, {"locks.md", "odd/ä?#%2F"}),
        ({"type": "gt", "key": "n", "value": 0}, {"locks.md"}),
        ({"type": "lt", "key": "n", "value": 1}, set()),
        ({"type": "lte", "key": "n", "value": 1}, {"locks.md"}),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "eq", "key": "kind", "value": "code"},
                    {"type": "and", "filters": [{"type": "gte", "key": "n", "value": 1}]},
                ],
            },
            {"src/lock.py", "locks.md"},
        ),
    ],
)
def test_filters_of_vector_stores(
    client: Client, filters: dict[str, Any], expected: set[str]
) -> None:
    found = client.post(f"{STORE}/search", {"query": "lock waits", "filters": filters}).json
    assert {one["file_id"] for one in found["data"]} == expected


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({}, "has the type None"),
        ({"type": ["eq"]}, "has the type"),
        ({"type": "eq", "value": 1}, "has the key None"),
        ({"type": "eq", "key": "$where", "value": 1}, "has the key"),
        ({"type": "eq", "key": "n"}, "has no value"),
        ({"type": "eq", "key": "n", "value": 1, "x": 1}, "unknown part 'x'"),
        ({"type": "and", "filters": []}, "no list"),
        ({"type": "and", "filters": [5]}, "filters has 5"),
        ({"type": "gt", "key": "n", "value": [1]}, "'n'"),
        ({"type": "eq", "key": "n", "value": {"a": 1}}, "'n'"),
    ],
)
def test_what_is_no_filter_of_vector_stores_is_said(
    client: Client, filters: dict[str, Any], said: str
) -> None:
    refused = client.post(f"{STORE}/search", {"query": "x", "filters": filters})
    assert refused.status == 400
    assert said in refused.detail


def test_filters_may_not_lie_too_deep(client: Client) -> None:
    filters: dict[str, Any] = {"type": "eq", "key": "n", "value": 1}
    for _ in range(30):
        filters = {"type": "and", "filters": [filters]}
    assert "levels" in client.post(f"{STORE}/search", {"query": "x", "filters": filters}).detail


def test_results_of_a_vector_store_are_documents_by_relevance(client: Client) -> None:
    both = client.post(f"{STORE}/search", {"query": ["who waits", "take lock"]}).json
    assert both["search_query"] == ["who waits", "take lock"]
    assert both["object"] == "vector_store.search_results.page"
    ids = [one["file_id"] for one in both["data"]]
    assert len(ids) == len(set(ids))
    scores = [one["score"] for one in both["data"]]
    assert scores == sorted(scores, reverse=True)
    least = scores[0]
    body = {"query": ["who waits", "take lock"], "ranking_options": {"score_threshold": least}}
    assert len(client.post(f"{STORE}/search", body).json["data"]) == scores.count(least)


@pytest.mark.slow
def test_the_client_of_openai_is_served(client: Client) -> None:
    openai = pytest.importorskip("openai", reason="pip install openai")
    base = f"http://127.0.0.1:{client.port}"
    with openai.OpenAI(base_url=f"{base}/v1", api_key="none") as one:
        (model,) = one.models.list().data
        assert model.id == "fake-words"
        packed = one.embeddings.create(model=model.id, input=["who waits"]).data[0].embedding
        plain = one.embeddings.create(
            model=model.id, input="who waits", encoding_format="float"
        ).data[0]
        assert np.allclose(packed, plain.embedding)
        with pytest.raises(openai.NotFoundError, match="there is 'fake-words'"):
            one.embeddings.create(model="other", input="x")
        page = one.vector_stores.search(
            "notes",
            query="who waits",
            filters={
                "type": "and",
                "filters": [
                    {"type": "eq", "key": "kind", "value": "page"},
                    {"type": "gte", "key": "n", "value": 1},
                ],
            },
            max_num_results=5,
            ranking_options={"ranker": "auto", "score_threshold": 0.0},
            rewrite_query=False,
        )
        (result,) = page.data
        assert (result.file_id, result.filename) == ("locks.md", "Locks")
        assert result.attributes == {"kind": "page", "n": 1}
        assert "Who comes second waits." in result.content[0].text
        with pytest.raises(openai.BadRequestError, match="choose from eq, ne"):
            one.vector_stores.search("notes", query="x", filters={"type": "like"})


@pytest.mark.slow
def test_the_clients_of_cohere_are_served(client: Client) -> None:
    cohere = pytest.importorskip("cohere", reason="pip install cohere")
    base = f"http://127.0.0.1:{client.port}"
    for kind in (cohere.Client, cohere.ClientV2):
        with kind(base_url=base, api_key="none") as other:
            found = other.rerank(query="who", documents=["no", "who"], model="fake-words", top_n=1)
        assert [result.index for result in found.results] == [1]
