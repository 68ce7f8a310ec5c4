"""The held-out figures are what `retrieval eval` would give."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.eval.measures import per_query
from retrieval.train.heldout import ndcg, ranking, reciprocal_rank, score

documents = st.sampled_from([f"d{number}" for number in range(15)])


@settings(deadline=None)
@given(
    st.dictionaries(
        documents, st.sampled_from([0.1, 0.1 + 1e-12, 0.5, -1.0, 2.0, 3.5]), min_size=1
    ),
    st.dictionaries(documents, st.integers(0, 3), min_size=1),
)
def test_measures_are_those_of_ir_measures(
    scores: dict[str, float], grades: dict[str, int]
) -> None:
    expected = per_query({"q": grades}, {"q": scores}, ["nDCG@10", "RR@10"])["q"]
    ranked = ranking(scores)
    assert ndcg(ranked, grades) == pytest.approx(expected["nDCG@10"])
    assert reciprocal_rank(ranked, grades) == pytest.approx(expected["RR@10"])


def test_the_mean_of_the_retrievers_decides() -> None:
    figures = {"dense": {"nDCG@10": 0.2, "RR@10": 1.0}, "late": {"nDCG@10": 0.6, "RR@10": 0.0}}
    assert score(figures) == pytest.approx(0.4)
