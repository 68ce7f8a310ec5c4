"""LlamaIndex's filters mean what its own `build_metadata_filter_fn` makes of them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from retrieval.errors import FilterError
from retrieval.integrations.llama_index import IndexVectorStore
from retrieval.integrations.llama_index.filters import as_filter
from tests.indexes.filter_evaluator import database

SCALARS = st.integers(-2, 3) | st.sampled_from(["", "a", "b", "Ab", "1"]) | st.just(0.5)
HELD = st.none() | SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.just("k"), SCALARS)
METAS = st.dictionaries(st.sampled_from(["x", "y", "a.b", "id"]), HELD, max_size=3)
KEYS = st.sampled_from(["x", "y", "a.b", "id"])
LISTED = (FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL)


@st.composite
def conditions(draw: st.DrawFn) -> MetadataFilter:
    operator = draw(st.sampled_from(list(FilterOperator)))
    value: Any = draw(SCALARS)
    if operator in LISTED:
        value = draw(
            st.lists(st.integers(-2, 3), max_size=3)
            | st.lists(st.sampled_from(["", "a", "b", "Ab"]), max_size=3)
        )
    elif operator in (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE):
        value = draw(st.sampled_from(["", "a", "B"]))
    elif operator in (FilterOperator.EQ, FilterOperator.NE) and draw(st.booleans()):
        value = draw(st.none() | st.lists(st.integers(-2, 3), max_size=2))
    return MetadataFilter(key=draw(KEYS), operator=operator, value=value)


@pytest.mark.slow
@settings(max_examples=400)
@given(
    st.lists(METAS, min_size=1, max_size=3),
    st.lists(conditions(), min_size=1, max_size=3),
    st.sampled_from([*FilterCondition, None]),
)
def test_filters_mean_what_llama_index_means(
    metas: list[dict[str, Any]], asked: list[MetadataFilter], condition: FilterCondition | None
) -> None:
    filters = MetadataFilters(filters=asked, condition=condition)
    expected = []
    for number, meta in enumerate(metas):
        if any(isinstance(value, dict) for value in meta.values()):
            is_empty = all(one.operator == FilterOperator.IS_EMPTY for one in asked)
            if not is_empty:
                return  # Python looks through the keys of an object
        try:
            if build_metadata_filter_fn(lambda _, meta=meta: meta, filters)("any"):
                expected.append(number)
        except TypeError:  # compares texts with numbers, or seeks a part in a number
            return
    rows = [{"id": f"d{n}", "title": "", "metadata": meta} for n, meta in enumerate(metas)]
    where = as_filter(filters)
    assert where is not None
    sql, bound = where.to_sql()
    asked_sql = f"SELECT number FROM documents AS d WHERE {sql} ORDER BY number"
    assert [number for (number,) in database(rows).execute(asked_sql, bound)] == expected


def test_filters_may_be_nested(store: IndexVectorStore) -> None:
    inner = MetadataFilters(
        filters=[
            MetadataFilter(key="year", value=2021),
            MetadataFilter(
                key="name", value="SNAP", operator=FilterOperator.TEXT_MATCH_INSENSITIVE
            ),
        ],
        condition=FilterCondition.OR,
    )
    outer = MetadataFilters(
        filters=[inner, MetadataFilter(key="tags", value="x", operator=FilterOperator.CONTAINS)]
    )
    assert [node.node_id for node in store.get_nodes(filters=inner)] == ["a", "b"]
    assert [node.node_id for node in store.get_nodes(filters=outer)] == ["a"]
    none = MetadataFilters(filters=[outer], condition=FilterCondition.NOT)
    assert [node.node_id for node in store.get_nodes(filters=none)] == ["b", "c"]
    empty = MetadataFilters(filters=[MetadataFilters(filters=[])])
    assert len(store.get_nodes(filters=empty)) == 3


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (MetadataFilter(key="a`b", value=1), "expected a key without backquotes"),
        (MetadataFilter(key="a", value=1, operator=FilterOperator.IN), "expected a list for 'in'"),
        (MetadataFilter(key="a", value=[1], operator=FilterOperator.GT), "expected one value"),
        (MetadataFilter(key="a", value=1, operator=FilterOperator.TEXT_MATCH), "expected a text"),
    ],
)
def test_filters_that_are_none(found: MetadataFilter, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        as_filter(MetadataFilters(filters=[found]))
