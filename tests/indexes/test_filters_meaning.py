"""The where= language, as text and as dict, against an evaluator of its own in plain Python."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .filter_evaluator import (
    COLUMNS,
    MISSING,
    TEXT_TESTS,
    Document,
    Expression,
    any_element,
    combined,
    conditions,
    database,
    documents,
    equal,
    floats,
    integers,
    is_kind,
    is_one_of,
    kind,
    look_up,
    names,
    same_list,
    scalars,
    select,
    strings,
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    st.lists(documents, min_size=1, max_size=4),
    st.recursive(conditions(), combined, max_leaves=6),
    st.booleans(),
)
def test_sql_means_what_the_evaluator_means(
    docs: list[Document], expression: Expression, ascii_only: bool
) -> None:
    text, holds = expression
    found = select(database(docs, ascii_only=ascii_only), text)
    assert found == [n for n, d in enumerate(docs) if holds(d)]


# --- the same as a dict --------------------------------------------------------------------------

DICT_TEXTS = {"$contains": "contains", "$icontains": "icontains", "$startswith": "startswith"}
DICT_ORDER = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
MONGO_KINDS = {
    "string": "text",
    "number": "number",
    "bool": "boolean",
    "array": "list",
    "object": "object",
}
dotless = names.filter(lambda name: "." not in name and not name.startswith("$"))

DictExpression = tuple[dict[str, Any], Callable[[Document], bool]]


@st.composite
def dict_conditions(draw: st.DrawFn) -> DictExpression:
    path = tuple(draw(st.lists(dotless, min_size=1, max_size=3)))
    key = ".".join(path)
    if key.startswith("$"):  # an empty name before one that does
        return {"id": {"$exists": True}}, lambda d: True

    def value_of(document: Document) -> Any:
        return document[key] if key in COLUMNS else look_up(document, path)

    what = draw(
        st.sampled_from(
            [
                *("plain", "list", "$eq", "$ne", "$in", "$nin", "$all", "$size", "$type"),
                *("$exists", "$empty", *DICT_TEXTS, *DICT_ORDER),
            ]
        )
    )
    if what in ("plain", "$eq", "$ne"):
        one = draw(scalars)
        return {
            key: one if what == "plain" else {what: one}
        }, lambda d: any_element(lambda v: equal(v, one), value_of(d)) is (what != "$ne")
    if what in ("$in", "$nin"):
        many = draw(st.lists(scalars, max_size=4))
        return (
            {key: {what: many}},
            lambda d: (
                any_element(lambda v: any(equal(v, one) for one in many), value_of(d))
                is (what == "$in")
            ),
        )
    if what == "list":
        elements = draw(st.lists(scalars, max_size=2))
        return {key: draw(st.sampled_from([elements, tuple(elements), {"$eq": elements}]))}, (
            lambda d: same_list(value_of(d), elements)
        )
    if what == "$all":
        wanted = draw(st.lists(scalars, min_size=1, max_size=2))
        return {key: {"$all": wanted}}, lambda d: all(
            any_element(lambda v, one=one: equal(v, one), value_of(d)) for one in wanted
        )
    if what == "$size":
        sign, size = draw(st.sampled_from(["", *DICT_ORDER])), draw(st.integers(0, 3))
        compare = DICT_ORDER.get(sign, operator.eq)
        return {
            key: {"$size": {sign: size} if sign else size}
        }, lambda d: isinstance(value_of(d), str | list | dict) and compare(len(value_of(d)), size)
    if what == "$type":
        name = draw(st.sampled_from(sorted(MONGO_KINDS)))
        return {key: {"$type": name}}, lambda d: is_kind(value_of(d), MONGO_KINDS[name])
    if what in ("$exists", "$empty"):
        sense = draw(st.booleans())
        if what == "$exists":
            return {key: {what: sense}}, lambda d: (value_of(d) is not MISSING) is sense
        return {
            key: {what: sense}
        }, lambda d: is_one_of(value_of(d), (MISSING, None, "", [], {})) is sense
    if what in DICT_TEXTS:
        part, holds = draw(strings), TEXT_TESTS[DICT_TEXTS[what]]
        condition: dict[str, Any] = {what: part}
        test = lambda v: isinstance(v, str) and holds(v, part)  # noqa: E731
    else:
        bound, compare = draw(integers | floats | strings), DICT_ORDER[what]
        condition = {what: bound}
        test = lambda v: kind(v) is kind(bound) and bool(compare(v, bound))  # noqa: E731
    if draw(st.booleans()):
        return {key: {"$not": condition}}, lambda d: not any_element(test, value_of(d))
    return {key: condition}, lambda d: any_element(test, value_of(d))


def dicts_combined(inner: st.SearchStrategy[DictExpression]) -> st.SearchStrategy[DictExpression]:
    several = st.lists(inner, min_size=1, max_size=4)
    return (
        inner.map(lambda e: ({"$not": e[0]}, lambda d: not e[1](d)))
        | several.map(lambda es: ({"$and": [w for w, _ in es]}, lambda d: all(f(d) for _, f in es)))
        | several.map(lambda es: ({"$or": [w for w, _ in es]}, lambda d: any(f(d) for _, f in es)))
        | several.map(
            lambda es: ({"$nor": [w for w, _ in es]}, lambda d: not any(f(d) for _, f in es))
        )
    )


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(documents, min_size=1, max_size=4),
    st.recursive(dict_conditions(), dicts_combined, max_leaves=6),
)
def test_a_dict_means_what_the_evaluator_means(
    docs: list[Document], expression: DictExpression
) -> None:
    where, holds = expression
    assert select(database(docs), where) == [n for n, d in enumerate(docs) if holds(d)]
