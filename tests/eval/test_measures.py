"""Measures against what can be worked out by hand, and against ranx where it is installed."""

from __future__ import annotations

import contextlib
import math
import random
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.eval.measures import KNOWN, MEASURES, check_measures, means, per_query

QRELS = {"q": {"a": 3, "b": 1, "c": 0, "gone": 1}}
RUN = {"q": {"x": 9.0, "b": 8.0, "c": 7.0, "a": 6.0}}


def test_each_measure_by_hand() -> None:
    ideal = 3 + 1 / math.log2(3) + 1 / math.log2(4)
    expected = {
        "nDCG@10": (1 / math.log2(3) + 3 / math.log2(5)) / ideal,
        "AP": (1 / 2 + 2 / 4) / 3,
        "RR@10": 1 / 2,
        "R@100": 2 / 3,
        "P@10": 2 / 10,
        "Success@5": 1.0,
        "Judged@10": 3 / 4,
    }
    assert per_query(QRELS, RUN)["q"] == pytest.approx(expected)
    assert list(per_query(QRELS, RUN)["q"]) == list(MEASURES)


def test_cut_offs() -> None:
    run = {"q": {f"x{n}": 200.0 - n for n in range(5)} | {"a": 100.0}}
    found = per_query({"q": {"a": 1}}, run, ["Success@5", "RR@10", "P@10"])["q"]
    assert found == pytest.approx({"Success@5": 0.0, "RR@10": 1 / 6, "P@10": 0.1})
    late = {"q": {f"x{n}": 200.0 - n for n in range(10)} | {"a": 100.0}}
    found = per_query({"q": {"a": 1}}, late, ["RR@10", "nDCG@10", "R@100"])["q"]
    assert found == pytest.approx({"RR@10": 0.0, "nDCG@10": 0.0, "R@100": 1.0})


@pytest.mark.parametrize("run", [{}, {"q2": {}}])
def test_a_query_without_an_answer_counts_as_0(run: dict[str, dict[str, float]]) -> None:
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}}
    found = per_query(qrels, {"q1": {"a": 1.0}} | run)
    assert found["q2"] == dict.fromkeys(MEASURES, 0.0)
    assert means(qrels, {"q1": {"a": 1.0}} | run) == {"nDCG@10": 0.5}


def test_queries_that_are_not_judged_do_not_count() -> None:
    assert list(per_query({"q": {"a": 1}}, {"q": {"a": 1.0}, "other": {"a": 1.0}})) == ["q"]


def test_queries_without_a_relevant_document_count_as_0() -> None:
    found = per_query({"q": {"a": 0, "b": -1}}, {"q": {"a": 2.0, "b": 1.0}})["q"]
    assert found.pop("Judged@10") == 1.0
    assert set(found.values()) == {0.0}


def test_negative_grades_are_as_not_relevant_as_zero() -> None:
    run = {"q": {"bad": 3.0, "a": 2.0, "b": 1.0}}
    below = per_query({"q": {"a": 2, "b": 1, "bad": -2}}, run)
    assert below == per_query({"q": {"a": 2, "b": 1, "bad": 0}}, run)


@pytest.mark.parametrize(("relevant", "rank"), [("c", 1), ("b", 2), ("a", 3)])
def test_ties_are_broken_by_id_descending(relevant: str, rank: int) -> None:
    run = {"q": {"b": 1.0, "a": 1.0, "c": 1.0}}
    found = per_query({"q": {relevant: 1}}, run, ["RR@10", "AP", "nDCG@10"])["q"]
    expected = {"RR@10": 1 / rank, "AP": 1 / rank, "nDCG@10": 1 / math.log2(rank + 1)}
    assert found == pytest.approx(expected)


def test_scores_that_differ_less_than_single_precision_are_ties() -> None:
    run = {"q": {"a": 1.0 + 1e-12, "b": 1.0}}
    assert per_query({"q": {"b": 1}}, run, ["RR@10"]) == {"q": {"RR@10": 1.0}}


def test_nan_is_refused() -> None:
    with pytest.raises(InputError, match="1 of 2 scores of query 'q' are NaN"):
        per_query({"q": {"a": 1}}, {"q": {"a": math.nan, "b": 1.0}})


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("foo", "measure 'foo' is unknown; expected one of nDCG@k, AP@k, "),
        ("nDGC@10", "measure 'nDGC@10' is unknown; did you mean nDCG@10? expected"),
        ("ndcg10", "did you mean nDCG@10? expected"),
        ("recall@100", "did you mean Recall@100? expected"),
        ("prec@5", "did you mean Precision@5? expected"),
        ("nonsense@@", "is unknown; expected one of nDCG@k"),
        ("", "measure '' is unknown; expected"),
        ("nDCG@ten", "measure 'nDCG@ten' cannot be read; expected one of nDCG@k"),
        ("nDCG@10 P@5", "cannot be read; expected one of nDCG@k"),
        ("AP(rel=x)", "measure 'AP(rel=x)' cannot be read"),
        ("P", "measure 'P' has no cutoff; give one, as in P@10"),
        (
            "ERR@10",
            "cannot be computed here (it needs gdeval, which is not used here)",
        ),
        ("ERR@10", "expected one of nDCG@k, AP@k, RR@k, R@k, P@k"),
        ("alpha_nDCG@10", "it needs pyndeval, which is not used here): expected one of nDCG@k"),
        ("IPrec", "cannot be computed here (its parameter recall is missing): expected one of"),
        ("nDCG(rel=2)@10", "measure 'nDCG(rel=2)@10' cannot be computed here"),
        ("P@0", "measure 'P@0': cutoff 0; give a whole number of at least 1"),
        ("nDCG@10.5", "measure 'nDCG@10.5': cutoff 10.5; give a whole number"),
    ],
)
def test_a_measure_that_cannot_be_computed_is_refused_in_one_line(measure: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        check_measures([measure])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("qrels", "run", "said"),
    [
        ({"q\ud800": {"a": 1}}, {}, r"query id 'q\\ud800' has a lone surrogate"),
        ({"q": {"\udc00a": 1}}, {}, r"document id '\\udc00a' has a lone surrogate"),
        ({"q": {"a": 1}}, {"q": {"b\ud83d": 1.0}}, r"document id 'b\\ud83d' has a lone"),
        ({"q": {"a": 1}}, {"q": {"a\0b": 1.0}}, r"document id 'a\\x00b' has a NUL character"),
    ],
)
def test_ids_that_cannot_be_measured_are_named(qrels: Any, run: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        per_query(qrels, run)


@pytest.mark.parametrize("grade", [1_000_001, 1 << 40, 1 << 63, 10**400, -(10**20)])
def test_grades_that_cannot_be_measured_are_refused(grade: int) -> None:
    """They would end the process, or take its memory, in trec_eval's own code."""
    with pytest.raises(InputError, match=r"the grade of document 'a' for query 'q' is beyond .*; "):
        per_query({"q": {"a": grade}}, {"q": {"a": 1.0}})
    for highest in (1_000_000, -1_000_000):
        per_query({"q": {"a": highest, "b": 1}}, {"q": {"a": 1.0}})


def test_an_empty_answer_has_no_documents() -> None:
    qrels = {"q": {"a": 1}, "r": {"a": 1}, "s": {"a": 1}}
    found = per_query(qrels, {"q": {}, "r": {"b": 1.0}}, ["NumRet", "NumRel", "SetP", "nDCG@10"])
    assert [found[id]["NumRet"] for id in "qrs"] == [0.0, 1.0, 0.0]
    assert [found[id]["NumRel"] for id in "qrs"] == [1.0, 1.0, 1.0]
    assert not any(found[id][name] for id in "qrs" for name in ("SetP", "nDCG@10"))


def test_scores_beyond_single_precision_are_ranked_without_a_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    run = {"q": {"a": 1e300, "b": 1.0, "c": -1e300, "d": 10**400 // 10**100}}
    assert per_query({"q": {"b": 1}}, run, ["RR"]) == {"q": {"RR": pytest.approx(1 / 3)}}
    assert not recwarn.list


def test_what_is_named_as_known_can_be_computed() -> None:
    check_measures([name.replace("@k", "@10") for name in KNOWN])


def test_what_can_be_computed_is_named_as_known(capfd: pytest.CaptureFixture[str]) -> None:
    """Every measure of ir-measures, as it is and cut off at 10; NumQ is a fact of the qrels."""
    ir_measures = pytest.importorskip("ir_measures")
    more = {"cwl_eval", "pyndeval", "ranx"}
    if any(
        one.NAME in more and one.is_available() for one in ir_measures.DefaultPipeline.providers
    ):
        pytest.skip("another provider is installed")
    families = {name.partition("@")[0].casefold() for name in KNOWN} | {"numq"}
    computed = set()
    for name in ir_measures.measures.registry:
        for asked in (name, f"{name}@10"):
            with contextlib.suppress(InputError):
                check_measures([asked])
                spelled = str(ir_measures.parse_measure(asked))
                computed.add(re.split("[@(]", spelled)[0].casefold())
    assert computed == families
    assert capfd.readouterr() == ("", ""), "no provider writes anything"


@settings(max_examples=50, deadline=None)
@given(
    grades=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-1, 3), min_size=1),
    scores=st.dictionaries(st.sampled_from("abcdefghxyz"), st.integers(0, 4).map(float)),
)
def test_ndcg_and_ap_are_the_formulas(grades: dict[str, int], scores: dict[str, float]) -> None:
    ranked = sorted(scores, key=lambda id: (scores[id], id), reverse=True)
    gains = [max(0, grades.get(id, 0)) for id in ranked]
    ideal = sorted((max(0, grade) for grade in grades.values()), reverse=True)
    discount = 1 / np.log2(np.arange(2, 13))
    best = float(np.dot(ideal[:10], discount[: len(ideal[:10])]))
    ndcg = float(np.dot(gains[:10], discount[: len(gains[:10])])) / best if best else 0.0
    relevant = sum(grade > 0 for grade in grades.values())
    hits = np.cumsum(np.array(gains) > 0) if gains else np.zeros(0)
    precisions = [hits[at] / (at + 1) for at, gain in enumerate(gains) if gain > 0]
    ap = float(sum(precisions)) / relevant if relevant else 0.0
    found = per_query({"q": grades}, {"q": scores}, ["nDCG@10", "AP"])["q"]
    assert found == pytest.approx({"nDCG@10": ndcg, "AP": ap})


def test_against_ranx() -> None:
    ranx = pytest.importorskip("ranx")
    drawn = random.Random(5)
    ids = [f"d{n}" for n in range(60)]
    qrels = {f"q{n}": {d: drawn.randint(0, 3) for d in drawn.sample(ids, 8)} for n in range(20)}
    for grades in qrels.values():
        grades["d0"] = 1
    # No two scores are equal, as ranx orders ties its own way.
    run = {
        query: dict(
            zip(drawn.sample(ids, 30), map(float, drawn.sample(range(99), 30)), strict=True)
        )
        for query in qrels
    }
    names = {
        "nDCG@10": "ndcg@10",
        "AP": "map",
        "RR@10": "mrr@10",
        "R@100": "recall@100",
        "P@10": "precision@10",
        "Success@5": "hit_rate@5",
    }
    theirs = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), list(names.values()))
    ours = means(qrels, run, list(names))
    assert ours == pytest.approx({name: theirs[their] for name, their in names.items()})
