"""Haystack's filters mean what its own `document_matches_filter` makes of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("haystack")

from haystack.dataclasses import Document
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.integrations.haystack import IndexDocumentStore
from retrieval.integrations.haystack.filters import as_filter
from tests.indexes.filter_evaluator import database

SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "2024-01-01"])
SCALARS |= st.sampled_from(["2024-01-01T00:00:00", "2023-12-31T23:00:00", "b"])
VALUES = SCALARS | st.lists(SCALARS, max_size=2)
METAS = st.dictionaries(st.sampled_from(["x", "y", "id", "title"]), VALUES, max_size=3)
FIELDS = st.sampled_from(["meta.x", "x", "meta.y", "meta.id", "meta.title", "content", "id"])


def same_types(meta: dict[str, Any], filters: dict[str, Any]) -> bool:
    """Whether no comparison is of two types, which Python may call equal and an index does not."""
    conditions = filters.get("conditions")
    if conditions is not None:
        return all(same_types(meta, one) for one in conditions)
    wanted = filters["value"] if isinstance(filters["value"], list) else [filters["value"]]
    held = [v for one in meta.values() for v in (one if isinstance(one, list) else [one])]
    return not any(isinstance(v, bool) for v in [*wanted, *held])


COMPARISONS = st.one_of(
    st.fixed_dictionaries(
        {"field": FIELDS, "operator": st.sampled_from(["==", "!="]), "value": VALUES}
    ),
    st.fixed_dictionaries(
        {
            "field": FIELDS,
            "operator": st.sampled_from(["in", "not in"]),
            "value": st.lists(VALUES, max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": FIELDS,
            "operator": st.sampled_from([">", ">=", "<", "<="]),
            "value": st.none() | st.integers(-2, 3) | st.just("2024-01-01T00:00:00"),
        }
    ),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.fixed_dictionaries(
        {
            "operator": st.sampled_from(["AND", "OR", "NOT"]),
            "conditions": st.lists(inner, max_size=3),
        }
    ),
    max_leaves=4,
)


@pytest.mark.slow
@settings(max_examples=400)
@given(st.lists(METAS, min_size=1, max_size=3), FILTERS)
def test_filters_mean_what_haystack_means(
    metas: list[dict[str, Any]], filters: dict[str, Any]
) -> None:
    documents = [Document(id=f"d{n}", content="text", meta=m) for n, m in enumerate(metas)]
    expected = []
    for number, document in enumerate(documents):
        if not same_types(document.meta, filters):
            return
        try:
            if document_matches_filter(filters, document):
                expected.append(number)
        except (FilterError, TypeError):  # compares texts with numbers, and the like
            return
    rows = [{"id": d.id, "title": "", "text": d.content, "metadata": d.meta} for d in documents]
    where = as_filter(filters)
    assert where is not None
    sql, bound = where.to_sql()
    asked = f"SELECT number FROM documents AS d WHERE {sql} ORDER BY number"
    assert [number for (number,) in database(rows).execute(asked, bound)] == expected


def test_filters_of_times_and_lists(store: IndexDocumentStore) -> None:
    stamps = ["2024-03-01T12:00+02:00", "2024-03-01T10:00:00Z", "2024-03-02"]
    store.write_documents(
        [Document(id=f"t{n}", content="t", meta={"at": at}) for n, at in enumerate(stamps)]
    )

    def ids(field: str, operator: str, value: Any) -> list[str]:
        asked = {"field": field, "operator": operator, "value": value}
        return [document.id for document in store.filter_documents(asked)]

    assert ids("meta.at", "==", "2024-03-01T10:00:00+00:00") == ["t0", "t1"]
    assert ids("meta.at", ">", datetime(2024, 3, 1, 10, tzinfo=UTC)) == ["t2"]
    assert ids("meta.tags", "==", ["rope", "x"]) == ["c"]
    assert ids("meta.tags", "==", "rope") == []  # a list is no text
    assert ids("meta.tags", "in", [["x"], ["rope", "x"]]) == ["c"]
    assert ids("meta.year", "in", list(range(5000))) == ["a", "b"]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"field": 3, "operator": "==", "value": 1}, "expected a field that is a text"),
        ({"field": "x", "operator": "~", "value": 1}, "expected an operator: ==, !="),
        ({"field": "embedding", "operator": "==", "value": 1}, "a field of the metadata, id or"),
        ({"field": "x", "operator": ">", "value": "tall"}, "a number, or a date or time of ISO"),
        ({"field": "x", "operator": "==", "value": {"y": 1}}, "give a text, a number"),
        ({"field": "a`b", "operator": "==", "value": 1}, "expected a field without backquotes"),
        ({"operator": "XOR", "conditions": []}, "found 'XOR' in the filter, expected AND, OR or"),
        ({"operator": "AND", "conditions": ["x"]}, "expected a dict with field"),
        ({"operator": "AND", "conditions": 3}, "expected a key 'conditions' with a list"),
    ],
)
def test_filters_that_are_none(
    store: IndexDocumentStore, filters: dict[str, Any], message: str
) -> None:
    with pytest.raises(FilterError, match=message):
        store.filter_documents(filters)
