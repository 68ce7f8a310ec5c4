"""The table of all endpoints for programs."""

from __future__ import annotations

from retrieval.server import documents, models, searching, text_embeddings, vector_stores, viewing
from retrieval.server.indexes import Indexes
from retrieval.server.metrics import Metrics
from retrieval.server.openapi import Endpoint
from retrieval.server.paths import REST
from retrieval.server.requests import Limits


def endpoints(
    indexes: Indexes, limits: Limits, metrics: Metrics, *, read_only: bool
) -> list[Endpoint]:
    """All endpoints, except those for monitoring."""
    search = searching.Searching(indexes, limits)
    held = documents.Documents(indexes, limits, read_only=read_only)
    shown = viewing.Viewing(indexes, limits)
    model = models.Models(indexes, limits, metrics)
    stores = vector_stores.VectorStores(indexes, limits)
    rerank = {"query": "who waits", "documents": ["Writers wait for the lock.", "Readers do not."]}
    at = "/v1/indexes/{name}"
    return [
        Endpoint(
            "GET",
            "/v1/search",
            "Search the default index.",
            search.quick,
            query=searching.QUICK,
            example={"q": "who waits"},
        ),
        Endpoint("GET", "/v1/indexes", "The names of the indexes.", held.names),
        Endpoint(
            "POST",
            f"{at}/search",
            "Search an index.",
            search.search,
            body=searching.SEARCH,
            example={"query": "who waits", "k": 3},
        ),
        Endpoint(
            "GET",
            f"{at}/view/{{id:{REST}}}",
            "How a document is shown: its structure, or its colours.",
            shown.view,
        ),
        Endpoint(
            "GET",
            f"{at}/pages/{{id:{REST}}}",
            "A picture of a page of a PDF file.",
            shown.page,
            query=viewing.PAGE,
            example={"page": "1", "width": "300"},
            answer="image/png",
        ),
        Endpoint(
            "GET",
            f"{at}/related/{{id:{REST}}}",
            "Passages elsewhere that are similar to the text at a line.",
            shown.related,
            query=viewing.RELATED,
            example={"line": "1"},
        ),
        Endpoint("GET", f"{at}/status", "The status of an index.", held.status),
        Endpoint("GET", f"{at}/overview", "Documents by folder and by metadata.", shown.overview),
        Endpoint("GET", f"{at}/left-out", "Files that are not read, and why.", shown.left_out),
        Endpoint(
            "GET",
            f"{at}/measure",
            "What approximate search misses; takes seconds.",
            shown.measure,
            query=viewing.MEASURE,
            example={"queries": "2"},
        ),
        Endpoint(
            "GET",
            f"{at}/documents",
            "List documents, in the order of their ids.",
            held.listed,
            query=documents.LIST,
            example={"limit": "2"},
            lines=True,
        ),
        Endpoint(
            "POST",
            f"{at}/documents",
            "Add documents, or replace those with the same ids.",
            held.add,
            body=documents.ADD,
            line=documents.DOCUMENT,
            lines=True,
            example={
                "documents": [{"id": "note-1", "text": "Writers wait.", "metadata": {"n": 1}}]
            },
            writes=True,
        ),
        Endpoint(
            "DELETE",
            f"{at}/documents",
            "Delete the document with an id, or those that match a filter.",
            held.delete,
            query=documents.DELETE,
            example={"id": "note-1"},
            writes=True,
        ),
        Endpoint("GET", f"{at}/documents/{{id:{REST}}}", "A document with its text.", held.get),
        Endpoint(
            "DELETE",
            f"{at}/documents/{{id:{REST}}}",
            "Delete a document.",
            held.delete_one,
            writes=True,
        ),
        Endpoint("GET", "/v1/models", "The encoder, in OpenAI's list of models.", model.list),
        Endpoint(
            "GET",
            f"/v1/models/{{id:{REST}}}",
            "The encoder by its name, in OpenAI's form.",
            model.one,
        ),
        Endpoint(
            "POST",
            "/v1/vector_stores/{name}/search",
            "Search an index, in OpenAI's form.",
            stores.search,
            body=vector_stores.SEARCH,
            example={
                "query": "who waits",
                "filters": {"type": "eq", "key": "kind", "value": "page"},
                "max_num_results": 3,
            },
        ),
        Endpoint(
            "POST",
            "/embed",
            "Vectors of texts, in text-embeddings-inference's form.",
            model.embed,
            body=text_embeddings.EMBED,
            example={"inputs": ["Writers wait.", "Readers do not."]},
            answer="array",
        ),
        Endpoint(
            "POST",
            "/v1/embeddings",
            "Vectors of texts, in OpenAI's form.",
            model.embeddings,
            body=models.EMBED,
            example={"input": ["Writers wait.", "Readers do not."]},
        ),
        *(
            Endpoint(
                "POST",
                path,
                "Texts ordered by how well they answer a query.",
                model.rerank,
                body=models.RERANK,
                example=rerank,
            )
            for path in ("/rerank", "/v1/rerank", "/v2/rerank")
        ),
    ]
