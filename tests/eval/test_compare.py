"""Comparing folders of results: figures, refusals and how they are said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import InputError
from retrieval.eval.compare import compare_folders, pairwise
from retrieval.eval.comparison_text import render_comparison_text
from retrieval.eval.results import Results, write_results
from retrieval.eval.statistics import bootstrap_interval, effect_size, holm, paired_test
from tests.eval.samples_of_results import HOSTILE, results, write_sample

SYSTEMS = ("embedded late", "bm25")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sample(tmp_path / "a")
    return tmp_path / "a"


def _changed(tmp_path: Path, sample: Results) -> Path:
    write_results(tmp_path / "b", sample)
    return tmp_path / "b"


def test_two_systems_of_one_folder(folder: Path) -> None:
    comparison = compare_folders(folder, folder, systems=SYSTEMS)
    assert comparison.refused == {}
    first = comparison.compared[0]
    values = results().per_query["scifact"]
    a, b = (np.array([v["nDCG@10"] for v in values[name].values()]) for name in SYSTEMS)
    assert (first.collection, first.a, first.b, first.queries) == ("scifact", *SYSTEMS, 60)
    assert first.difference == pytest.approx(first.mean_a - first.mean_b)
    assert (first.low, first.high) == bootstrap_interval(a - b)
    assert first.p == paired_test(a, b)
    assert first.effect == effect_size(a, b)
    assert first.wins + first.ties + first.losses == 60
    assert [c.corrected for c in comparison.compared] == holm([c.p for c in comparison.compared])
    assert first.corrected < 0.05


def test_the_queries_that_differ_most_come_with_their_texts(folder: Path) -> None:
    first = compare_folders(folder, folder, systems=SYSTEMS, most=3).compared[0]
    apart = [abs(query.a - query.b) for query in first.differ_most]
    values = results().per_query["scifact"]
    every = [abs(values[SYSTEMS[0]][q]["nDCG@10"] - v["nDCG@10"])
             for q, v in values[SYSTEMS[1]].items()]  # fmt: skip
    assert apart == pytest.approx(sorted(every, reverse=True)[:3])
    query = first.differ_most[0]
    assert query.text == f"does zinc help against colds {query.query[1:]}"
    assert query.first_a == query.first_b == "d0"
    assert query.first_text_a is not None and query.first_text_a.startswith(HOSTILE[:20])


def test_systems_whose_names_have_commas_can_be_named(tmp_path: Path) -> None:
    given = results()
    variant = "late:dims=48,bits=2"
    first, second = SYSTEMS
    values = {
        collection: {variant if name == second else name: own for name, own in systems.items()}
        for collection, systems in given.per_query.items()
    }
    rows = tuple(
        dataclasses.replace(r, system=variant) if r.system == second else r for r in given.rows
    )
    write_results(tmp_path, dataclasses.replace(given, rows=rows, per_query=values))
    for named, pair in (
        (f"{variant},{first}", (variant, first)),
        (f"{first}, {variant}", (first, variant)),
        (f"{variant},{variant}", (variant, variant)),
    ):
        compared = compare_folders(tmp_path, tmp_path, systems=named).compared
        assert {(one.a, one.b) for one in compared} == {pair}
    with pytest.raises(InputError, match="has no system a: expected one of"):
        compare_folders(tmp_path, tmp_path, systems="a,b")
    with pytest.raises(InputError, match="systems 'late': expected two names"):
        compare_folders(tmp_path, tmp_path, systems="late")


def test_two_folders_compare_systems_of_one_name(folder: Path, tmp_path: Path) -> None:
    comparison = compare_folders(folder, _changed(tmp_path, results()), "R@100")
    assert len(comparison.compared) == 6
    assert all(item.a == item.b for item in comparison.compared)
    assert all(item.p == 1.0 and item.difference == 0.0 for item in comparison.compared)
    assert all(item.differ_most == () and item.effect == 0.0 for item in comparison.compared)


def test_systems_that_one_folder_alone_has_are_named(folder: Path, tmp_path: Path) -> None:
    sample = results()
    rows = tuple(row for row in sample.rows if row.system != "embedded late")
    b = _changed(tmp_path, dataclasses.replace(sample, rows=rows))
    comparison = compare_folders(folder, b)
    assert comparison.left_out == ("embedded late of A",)
    assert "not compared: embedded late of A" in render_comparison_text(comparison)
    assert compare_folders(folder, b, systems=("bm25", "bm25")).left_out == ()


def test_another_task_is_refused_with_its_reasons(folder: Path, tmp_path: Path) -> None:
    sample = results()
    first, second = sample.protocols
    other = dataclasses.replace(first, dataset_sha256="00", text="text only")
    b = _changed(tmp_path, dataclasses.replace(sample, protocols=(other, second)))
    comparison = compare_folders(folder, b)
    assert set(comparison.refused) == {"scifact"}
    assert len(comparison.refused["scifact"]) == 2
    assert {item.collection for item in comparison.compared} == {"beir/nfcorpus"}
    text = render_comparison_text(comparison)
    assert "scifact: not compared" in text
    assert "title, newline, text and text only" in " ".join(text.split())


def test_settings_that_differ_are_noted(folder: Path, tmp_path: Path) -> None:
    sample = results()
    other = tuple(dataclasses.replace(p, max_tokens=128) for p in sample.protocols)
    comparison = compare_folders(
        folder, _changed(tmp_path, dataclasses.replace(sample, protocols=other))
    )
    assert comparison.compared[0].notes == ("the maximum tokens differs: 512 and 128",)


def test_a_collection_that_failed_says_why(folder: Path, tmp_path: Path) -> None:
    sample = results()
    rows = tuple(row for row in sample.rows if row.collection != "scifact")
    b = _changed(
        tmp_path, dataclasses.replace(sample, rows=rows, failed={"scifact": "disk is full"})
    )
    assert compare_folders(folder, b).refused == {
        "scifact": ("B has no results on it: disk is full",)
    }


def test_a_system_that_failed_on_a_collection_says_why(folder: Path, tmp_path: Path) -> None:
    sample = results()
    per_query = {
        c: {name: v for name, v in s.items() if (c, name) != ("scifact", "bm25")}
        for c, s in sample.per_query.items()
    }
    b = _changed(
        tmp_path,
        dataclasses.replace(sample, per_query=per_query, failed={"scifact": "bm25: no memory"}),
    )
    comparison = compare_folders(folder, b)
    assert comparison.refused == {
        "scifact": (f"bm25 of {b} has no values of nDCG@10 by query: bm25: no memory",)
    }
    assert len(comparison.compared) == 5


def test_other_queries_are_refused_with_counts(folder: Path, tmp_path: Path) -> None:
    sample = results()
    fewer = {
        collection: {
            system: dict(list(queries.items())[1:]) if system == "bm25" else queries
            for system, queries in systems.items()
        }
        for collection, systems in sample.per_query.items()
    }
    b = _changed(tmp_path, dataclasses.replace(sample, per_query=fewer))
    comparison = compare_folders(folder, b)
    assert len(comparison.compared) == 4
    assert comparison.refused["scifact"] == (
        "bm25 and bm25 answered different queries: 60 and 59, 59 of them shared",
    )


@pytest.mark.parametrize(
    ("measure", "systems", "said"),
    [
        ("AP", None, "no AP: expected one of nDCG@10, R@100"),
        ("nDCG@10", ("bm25", "nothing"), "no system nothing: expected one of bm25"),
        ("nDCG@10", None, "name the two to be compared, as in --systems bm25,embedded late"),
    ],
)
def test_what_is_not_there_is_named(
    folder: Path, measure: str, systems: tuple[str, str] | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        compare_folders(folder, folder, measure, systems=systems)


def test_the_text_says_every_figure(folder: Path) -> None:
    comparison = compare_folders(folder, folder, systems=SYSTEMS)
    text = render_comparison_text(comparison)
    for item in comparison.compared:
        (line,) = [row for row in text.splitlines() if row.startswith(f"{item.collection}  ")]
        for figure in (f"{item.difference:+.4f}", f"{item.low:+.4f}", f"{item.mean_a:.4f}",
                       f"{item.wins}/{item.ties}/{item.losses}", "<0.001", "*"):  # fmt: skip
            assert figure in line
    assert "Holm-corrected over 2" in text
    assert "does zinc help against colds" in text


def test_the_text_cannot_move_a_cursor(folder: Path, tmp_path: Path) -> None:
    sample = results()
    name = "b\x1b[2J\nm25"
    rows = tuple(dataclasses.replace(row, system=name) for row in sample.rows)
    per_query = {c: {name: next(iter(s.values()))} for c, s in sample.per_query.items()}
    b = _changed(tmp_path, dataclasses.replace(sample, rows=rows, per_query=per_query))
    text = render_comparison_text(compare_folders(folder, b, systems=("bm25", name)))
    assert "\x1b" not in text
    assert "b\ufffd[2J m25" in text


def test_every_pair_is_compared_both_ways() -> None:
    sample = results()
    pairs = pairwise(sample, "scifact")
    assert len(pairs) == 2 * 3 * 2
    values = sample.per_query["scifact"]
    for (measure, a, b), pair in pairs.items():
        x, y = ([v[measure] for v in values[name].values()] for name in (a, b))
        assert pair.difference == pytest.approx(np.mean(x) - np.mean(y))
        assert pair.p == pytest.approx(paired_test(x, y))
        assert pairs[measure, b, a].p == pair.p
