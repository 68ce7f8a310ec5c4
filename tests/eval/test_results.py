"""Results on disk, damaged ones, and which may be compared."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.eval.results import (
    Efficiency,
    Protocol,
    Results,
    Row,
    Texts,
    comparable,
    file_name,
    read_results,
    read_run,
    read_texts,
    run_path,
    settings_that_differ,
    write_results,
    write_texts,
)

PROTOCOL = Protocol(
    collection="tiny",
    split="test",
    documents=3,
    queries=2,
    judged_queries=2,
    text="title, newline, text",
    passage_tokens=256,
    max_tokens=None,
    prompts={"query": "q: "},
    aggregation="MaxP",
    ties="by document id, descending",
    unjudged="left out",
    dataset_sha256="ab" * 32,
    warnings=("one query names an unknown document",),
)
RESULTS = Results(
    created="2026-01-02T03:04:05Z",
    machine={"cpu": "some"},
    versions={"numpy": "2"},
    rows=(
        Row("tiny", "test", "bm25", "nDCG@10", 0.5, 0.25, 0.75, 2),
        Row("tiny", "test", "dense", "nDCG@10", 1.0, None, None, 2),
    ),
    efficiency=(Efficiency("tiny", "bm25", build_s=1.5, p50_ms=2.0),),
    protocols=(PROTOCOL,),
    per_query={"tiny": {"bm25": {"q1": {"nDCG@10": 0.5}, "ä\u2028": {"nDCG@10": 0.5}}}},
    failed={"other": "corpus.jsonl cannot be read"},
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_results(tmp_path / "out", RESULTS)
    assert read_results(tmp_path / "out") == RESULTS
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]


def test_names_come_in_the_order_of_the_rows() -> None:
    assert RESULTS.systems == ("bm25", "dense")
    assert RESULTS.collections == ("tiny",)
    assert RESULTS.measures == ("nDCG@10",)
    assert RESULTS.protocol("tiny") == PROTOCOL
    assert RESULTS.protocol("other") is None


def test_texts_are_read_back_and_none_are_none(tmp_path: Path) -> None:
    texts = Texts({"q1": "a \ud800 b"}, {"d1": "text"}, {"q1": {"d1": 2}})
    write_texts(tmp_path, "a/b", texts)
    assert read_texts(tmp_path, "a/b") == texts
    assert read_texts(tmp_path, "a_b") is None


def _without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


DATA = json.loads(json.dumps(dataclasses.asdict(RESULTS)))
ROW = DATA["rows"][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "schema_version is None"),
        (json.dumps(DATA | {"schema_version": "1"}), "schema_version is '1'"),
        (json.dumps(DATA | {"schema_version": True}), "schema_version is True"),
        (json.dumps(DATA | {"schema_version": 2}), "reads up to 1: update"),
        (json.dumps(_without(DATA, "rows")), "results has no rows"),
        (json.dumps(DATA | {"rows": {}}), r"results\.rows is an object, expected a list"),
        (json.dumps(DATA | {"rows": [3]}), r"results\.rows\[0\] is 3, expected an object"),
        (json.dumps(DATA | {"rows": [_without(ROW, "value")]}), r"rows\[0\] has no value"),
        (json.dumps(DATA | {"rows": [ROW | {"value": "x"}]}), r"value is text, expected float"),
        (json.dumps(DATA | {"rows": [ROW | {"value": float("nan")}]}), "value is nan"),
        (json.dumps(DATA | {"rows": [ROW | {"value": 10**400}]}), "value is beyond all floats"),
        (json.dumps(DATA | {"rows": [ROW | {"queries": 1.5}]}), "queries is 1.5, expected int"),
        (json.dumps(DATA | {"per_query": {"tiny": []}}), r"per_query\.tiny is a list"),
    ],
)
def test_damage_is_one_line_that_names_the_place(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_results(tmp_path)
    assert "\n" not in str(caught.value)
    assert "results.json" in str(caught.value)


def test_no_results_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no results\.json"):
        read_results(tmp_path)


def test_fields_of_a_later_release_of_the_same_schema_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(DATA | {"later": 1}))
    assert read_results(tmp_path) == RESULTS


@pytest.mark.parametrize(
    "broken",
    [
        {"rows": (dataclasses.replace(RESULTS.rows[0], high=float("inf")),)},
        {"per_query": {"tiny": {"s": {"q": {"AP": float("nan")}}}}},
        {"efficiency": (Efficiency("tiny", "s", qps=float("inf")),)},
    ],
)
def test_a_figure_that_json_does_not_know_is_refused(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="expected a finite number"):
        write_results(tmp_path, dataclasses.replace(RESULTS, **broken))
    assert not list(tmp_path.iterdir())


def test_the_same_protocol_is_comparable() -> None:
    assert comparable(PROTOCOL, PROTOCOL) == []


@pytest.mark.parametrize(
    "name", ["split", "text", "aggregation", "ties", "unjudged", "dataset_sha256"]
)
def test_another_task_is_not_comparable_and_says_both_values(name: str) -> None:
    other = dataclasses.replace(PROTOCOL, **{name: "another"})
    (reason,) = comparable(PROTOCOL, other)
    assert str(getattr(PROTOCOL, name)) in reason
    assert "another" in reason


@pytest.mark.parametrize("name", ["documents", "queries", "judged_queries"])
def test_other_counts_are_not_comparable(name: str) -> None:
    (reason,) = comparable(PROTOCOL, dataclasses.replace(PROTOCOL, **{name: 5183}))
    assert "5,183" in reason


def test_another_collection_is_the_only_reason_given() -> None:
    other = dataclasses.replace(PROTOCOL, collection="x", split="train")
    assert comparable(PROTOCOL, other) == ["the collection differs: tiny and x"]


def test_settings_of_the_system_are_told_apart() -> None:
    other = dataclasses.replace(PROTOCOL, prompts={}, max_tokens=512, warnings=())
    assert comparable(PROTOCOL, other) == []
    assert settings_that_differ(PROTOCOL, other) == [
        "the maximum tokens differs: none and 512",
        'the prompts differs: {"query": "q: "} and {}',
    ]


@given(st.text(max_size=100), st.text(max_size=100))
def test_names_never_clash_nor_leave_the_folder(a: str, b: str) -> None:
    a, b = (name.encode("utf-8", "replace").decode() for name in (a, b))
    assert (file_name(a) == file_name(b)) == (a == b)
    path = run_path(Path("out"), a, b)
    assert path.parent == Path("out/runs")
    assert len(path.name.encode()) < 255
    assert "/" not in file_name(a)


def test_a_dot_does_not_make_two_runs_one() -> None:
    assert run_path(Path(), "a.b", "c") != run_path(Path(), "a", "b.c")


def test_a_plain_name_stays() -> None:
    assert run_path(Path("out"), "scifact", "bm25") == Path("out/runs/scifact.bm25.trec")


def test_a_run_is_read_in_the_order_of_trec_eval(tmp_path: Path) -> None:
    path = run_path(tmp_path, "tiny", "bm25")
    path.parent.mkdir()
    path.write_text(
        "q1 Q0 a 1 1.500000001 x\nq1 Q0 b 2 1.5 x\nq1 Q0 c 3 1e300 x\nq2\tQ0\ta\t1\t1\tx\n"
    )
    found = read_run(tmp_path, "tiny", "bm25", 2)
    assert found == {"q1": [("c", 1e300), ("b", 1.5)], "q2": [("a", 1.0)]}
    assert read_run(tmp_path, "tiny", "dense", 2) == {}


@pytest.mark.parametrize(
    "line", ["q1 Q0 a 1 high x", "q1 Q0 a 1 nan x", "q1 a 1", "q1 Q0 a b 1 2 x"]
)
def test_a_broken_line_of_a_run_is_named(tmp_path: Path, line: str) -> None:
    path = run_path(tmp_path, "tiny", "bm25")
    path.parent.mkdir()
    path.write_text(f"q1 Q0 a 1 1.5 x\n{line}\n")
    with pytest.raises(InputError, match=r"trec:2: expected `query Q0 document rank"):
        read_run(tmp_path, "tiny", "bm25", 2)
