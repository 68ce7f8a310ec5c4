"""An evaluation from end to end: results, protocol, resuming, and what goes wrong."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import EncoderError, IndexLocked, InputError
from retrieval.eval.compare import compare_folders
from retrieval.eval.comparison_text import render_comparison_text
from retrieval.eval.datasets import Collection, load, read_run
from retrieval.eval.evaluate import evaluate
from retrieval.eval.report.markdown import protocol_facts
from retrieval.eval.results import Efficiency, comparable, read_results, read_texts, run_path
from retrieval.eval.systems.run_file import RunFile
from retrieval.eval.systems.system import Cost, Ranked, Settings, TimedSearch
from retrieval.files.claim import claimed
from retrieval.types import ProgressCallback, ProgressUpdate


class Words:
    """Ranks by how many of the query's words a document has."""

    def __init__(self, name: str = "words", *, breaks: str = "", error: Any = None) -> None:
        self.name = name
        self.breaks = breaks
        self.error = error or EncoderError("no such head")
        self.indexed: list[str] = []
        self.version = "1"
        self.documents: dict[str, set[str]] = {}

    def identity(self) -> str:
        return self.version

    def settings(self) -> Settings:
        return Settings(passage_tokens=64, max_tokens=8, prompts={"query": "q: "})

    def index(
        self, collection: Collection, folder: Path, progress: ProgressCallback | None
    ) -> Cost:
        if collection.name == self.breaks:
            raise self.error
        self.indexed.append(collection.name)
        self.documents = {d.id: set(d.text.split()) for d in collection.documents}
        if progress is not None:
            count = len(self.documents)
            progress(ProgressUpdate("indexing", count, count, "documents"))
        return Cost(2.0, 50.0, 300)

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        run = {}
        for id, text in queries.items():
            assert text.strip()
            words = text.split()
            scores = {d: float(sum(w in has for w in words)) for d, has in self.documents.items()}
            best = sorted(scores, key=lambda d: (scores[d], d), reverse=True)[:k]
            run[id] = {document: scores[document] for document in best if scores[document]}
        return run

    def timed_search(self) -> TimedSearch:
        return lambda text: self.search({"": text}, 10)

    def close(self) -> None:
        self.documents = {}


def collection(folder: Path, third: str = "grey goose") -> Path:
    (folder / "qrels").mkdir(parents=True)
    corpus = [("d1", "red fox"), ("d2", "red hen"), ("d3", third)]
    queries = [("q1", "red fox"), ("q2", "goose"), ("q3", " "), ("q4", "not judged")]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = (json.dumps({"_id": id, "text": text}) + "\n" for id, text in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    (folder / "qrels" / "test.tsv").write_text("q1\td2\t1\nq2\td3\t2\nq3\td1\t1\nq2\td9\t1\n")
    return folder


def test_what_is_found_is_written(tmp_path: Path) -> None:
    source, out = collection(tmp_path / "birds"), tmp_path / "out"
    found = evaluate([str(source)], [Words()], out, measures=["RR@10", "R@100"])
    assert read_results(out) == found
    assert found.per_query["birds"]["words"] == {
        "q1": {"RR@10": 0.5, "R@100": 1.0},
        "q2": {"RR@10": 1.0, "R@100": 0.5},
        "q3": {"RR@10": 0.0, "R@100": 0.0},
    }
    assert [
        (r.collection, r.split, r.system, r.measure, r.value, r.queries) for r in found.rows
    ] == [
        ("birds", "test", "words", "RR@10", 0.5, 3),
        ("birds", "test", "words", "R@100", 0.5, 3),
    ]
    for row in found.rows:
        assert row.low is not None and row.high is not None
        assert row.low <= row.value <= row.high
    assert read_run(run_path(out, "birds", "words")) == {
        "q1": {"d1": 2.0, "d2": 1.0},
        "q2": {"d3": 1.0},
    }
    assert found.failed == {}


def test_places_may_be_paths_or_texts_and_one_or_several(tmp_path: Path) -> None:
    source, out = collection(tmp_path / "birds"), tmp_path / "out"
    made = [
        evaluate(sources, [Words()], where, measures=["RR@10"])
        for sources in (source, str(source), [source])
        for where in (out, str(out))
    ]
    assert len({result.rows for result in made}) == 1
    with pytest.raises(InputError, match="3 is not a path"):
        evaluate(3, [Words()], out)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="are no systems; give what `make_systems` makes"):
        evaluate(source, ["lexical"], out)  # type: ignore[list-item]
    with pytest.raises(InputError, match="one measure, 'RR@10', was given"):
        evaluate(source, [Words()], out, measures="RR@10")


def test_the_protocol_is_pinned(tmp_path: Path) -> None:
    found = evaluate([str(collection(tmp_path / "birds"))], [Words()], tmp_path / "out", k=20)
    (protocol,) = found.protocols
    assert (protocol.collection, protocol.split, protocol.documents) == ("birds", "test", 3)
    assert (protocol.queries, protocol.judged_queries) == (3, 3)
    assert protocol.unjudged == "1 query without judgements is not asked"
    assert (protocol.passage_tokens, protocol.max_tokens) == (64, 8)
    assert protocol.prompts == {"words query": "q: "}
    assert protocol.aggregation == "MaxP, 20 documents a query"
    assert [warning.split(";")[0] for warning in protocol.warnings] == [
        "1 judged query is empty",
        "1 judged document is not in the corpus",
        "words reads 8 tokens of a document",
    ]


def test_costs_stand_beside(tmp_path: Path) -> None:
    found = evaluate([str(collection(tmp_path / "birds"))], [Words()], tmp_path / "out")
    (cost,) = found.efficiency
    assert (cost.build_s, cost.tokens_per_s, cost.index_bytes_per_document) == (2.0, 50.0, 100.0)
    assert cost.p50_ms is not None and cost.p95_ms is not None and cost.p99_ms is not None
    assert 0 < cost.p50_ms <= cost.p95_ms <= cost.p99_ms
    assert cost.qps is not None and cost.qps > 0
    assert {"cpu", "cores"} <= set(found.machine)
    assert {"python", "numpy"} <= set(found.versions)


def test_texts_are_kept_or_not(tmp_path: Path) -> None:
    source = str(collection(tmp_path / "birds"))
    evaluate([source], [Words()], tmp_path / "out")
    kept = read_texts(tmp_path / "out", "birds")
    assert kept is not None
    assert kept.queries["q1"] == "red fox"
    assert kept.documents == {"d1": "red fox", "d2": "red hen", "d3": "grey goose"}
    evaluate([source], [Words()], tmp_path / "out", keep_texts=False)
    assert read_texts(tmp_path / "out", "birds") is None, "not even those of before"


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    source, out = str(collection(tmp_path / "birds")), tmp_path / "out"
    first = evaluate([source], [Words()], out)
    again = Words()
    second = evaluate([source], [again, Words("more")], out)
    assert again.indexed == []
    assert second.per_query["birds"]["words"] == first.per_query["birds"]["words"]
    assert second.efficiency[0] == first.efficiency[0]
    assert second.systems == ("words", "more")


def test_what_was_done_otherwise_is_done_again(tmp_path: Path) -> None:
    source, out = collection(tmp_path / "birds"), tmp_path / "out"

    def ran(system: Words, **options: Any) -> bool:
        evaluate([str(source)], [system], out, **options)
        return bool(system.indexed)

    assert ran(Words())
    assert not ran(Words())
    newer = Words()
    newer.version = "2"
    assert ran(newer), "another version of the system"
    assert ran(newer, k=5), "another depth"
    assert ran(newer, k=5, measures=["AP"]), "another measure"
    newer.indexed.clear()
    assert not ran(newer, k=5, measures=["AP"])
    run_path(out, "birds", "words").unlink()
    assert ran(newer, k=5, measures=["AP"]), "the run is gone"
    (source / "qrels" / "test.tsv").write_text("q1\td1\t1\n")
    newer.indexed.clear()
    assert ran(newer, k=5, measures=["AP"]), "other judgements"


def test_an_interrupted_evaluation_goes_on(tmp_path: Path) -> None:
    sources = [str(collection(tmp_path / name)) for name in ("a", "b")]
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        evaluate(sources, [Words(breaks="b", error=KeyboardInterrupt())], out)
    assert read_results(out).collections == ("a",)
    system = Words()
    assert evaluate(sources, [system], out).collections == ("a", "b")
    assert system.indexed == ["b"]


@pytest.mark.parametrize("error", [EncoderError("no such head"), KeyError("x"), MemoryError("m")])
def test_one_failure_does_not_lose_the_others(tmp_path: Path, error: Exception) -> None:
    sources = [str(collection(tmp_path / name)) for name in ("a", "b")]
    systems = [Words("first", breaks="a", error=error), Words("second")]
    found = evaluate([*sources, str(tmp_path / "out")], systems, tmp_path / "out")
    assert {(row.collection, row.system) for row in found.rows} == {
        ("a", "second"),
        ("b", "first"),
        ("b", "second"),
    }
    assert set(found.failed) == {"a", str(tmp_path / "out")}
    assert found.failed["a"].startswith("first: ")
    assert str(error.args[0]) in found.failed["a"]


def test_a_collection_that_breaks_its_loader_does_not_lose_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.eval import evaluate as module

    def broken(source: str, split: str | None) -> Any:
        if source.endswith("b"):
            raise RecursionError("too deep")
        return load(source, split)

    monkeypatch.setattr(sys.modules[module.__module__], "load", broken)
    sources = [str(collection(tmp_path / name)) for name in ("a", "b")]
    found = evaluate(sources, [Words()], tmp_path / "out")
    assert found.collections == ("a",)
    assert found.failed == {sources[1]: "RecursionError: too deep"}


def test_texts_that_cannot_be_kept_do_not_lose_the_figures(tmp_path: Path) -> None:
    sources = [str(collection(tmp_path / name)) for name in ("a", "b")]
    (tmp_path / "out" / "texts" / "a.json").mkdir(parents=True)
    found = evaluate(sources, [Words()], tmp_path / "out")
    assert found.collections == ("a", "b")
    assert set(found.failed) == {"a"}
    assert found.failed["a"].startswith("texts for the report: ")


def test_one_evaluation_at_a_time_in_a_folder(tmp_path: Path) -> None:
    source, out = str(collection(tmp_path / "a")), tmp_path / "out"
    with claimed(out), pytest.raises(IndexLocked, match=f"process {os.getpid()}"):
        evaluate([source], [Words()], out)
    assert not out.exists()  # nothing was written
    assert evaluate([source], [Words()], out).failed == {}


@pytest.mark.parametrize("place", ["file", "file/out"])
def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{place} .*; give "):
        evaluate([str(collection(tmp_path / "a"))], [Words()], tmp_path / place)


def test_an_id_that_no_file_can_hold_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    sources = [collection(tmp_path / name) for name in ("a", "b", "c")]
    for source, name, id in zip(sources, ("corpus", "queries"), ("d2", "q1"), strict=False):
        path = source / f"{name}.jsonl"
        path.write_text(path.read_text().replace(f'"{id}"', f'"{id}\\ud800"'))
    (sources[1] / "qrels" / "test.tsv").unlink()
    row = {"query-id": "q1\ud800", "corpus-id": "d2", "score": 1}  # JSON alone can write it
    (sources[1] / "qrels" / "test.jsonl").write_text(json.dumps(row) + "\n")
    found = evaluate([str(source) for source in sources], [Words()], tmp_path / "out")
    assert found.collections == ("c",)
    assert r"words: document id 'd2\ud800' has a lone surrogate" in found.failed["a"]
    assert r"words: query id 'q1\ud800' has a lone surrogate" in found.failed["b"]


def test_one_query_has_no_interval(tmp_path: Path) -> None:
    source, out = str(collection(tmp_path / "a")), tmp_path / "out"
    found = evaluate([source], [Words("x"), Words("y")], out, queries=1)
    assert {(row.low, row.high) for row in found.rows} == {(None, None)}
    comparison = compare_folders(out, out)
    assert (comparison.compared[0].low, comparison.compared[0].high) == (None, None)
    assert "[" not in render_comparison_text(comparison)


def test_a_broken_collection_of_a_folder_does_not_lose_the_others(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        collection(tmp_path / "all" / name)
    (tmp_path / "all" / "a" / "corpus.jsonl").write_text("{broken")
    (tmp_path / "all" / "b" / "qrels" / "test.tsv").write_text("q1\td2\thigh\n")
    run = tmp_path / "of_b.trec"
    run.write_text("other Q0 d1 1 1.0 x\n")
    systems = [Words(), RunFile(run)]
    found = evaluate([str(tmp_path / "all")], systems, tmp_path / "out")
    assert found.collections == ("c",)
    broken = [str(tmp_path / "all" / name) for name in ("a", "b")]
    assert list(found.failed) == [*broken, "of_b"]
    assert "corpus.jsonl:1: Expecting" in found.failed[broken[0]]
    assert "test.tsv:1: " in found.failed[broken[1]]
    assert found.failed["of_b"] == "run 'of_b' answers no query of c"


def test_failures_are_tried_again(tmp_path: Path) -> None:
    source, out = str(collection(tmp_path / "a")), tmp_path / "out"
    evaluate([source], [Words("x", breaks="a"), Words("y")], out)
    assert evaluate([source], [Words("x"), Words("y")], out).failed == {}


def test_if_everything_fails_it_says_why(tmp_path: Path) -> None:
    source = str(collection(tmp_path / "a"))
    with pytest.raises(InputError, match=r"measured: a \(words: no such head"):
        evaluate([source], [Words(breaks="a")], tmp_path / "out")
    with pytest.raises(InputError, match=r"nothing could be measured: .*nowhere"):
        evaluate([str(tmp_path / "nowhere/x")], [Words()], tmp_path / "out")


def test_runs_are_judged_where_they_belong(tmp_path: Path) -> None:
    sources = [str(collection(tmp_path / name)) for name in ("a", "b")]
    for line in ("corpus", "queries"):
        path = tmp_path / "b" / f"{line}.jsonl"
        path.write_text(path.read_text().replace('"q', '"other-q'))
    judged = tmp_path / "b" / "qrels" / "test.tsv"
    judged.write_text("other-q1\td2\t1\n")
    run = tmp_path / "theirs.trec"
    run.write_text("q1 Q0 d2 1 2.0 t\nq1 Q0 odd 2 1.0 t\nq9 Q0 d2 1 1.0 t\n")
    found = evaluate(sources, [RunFile(run), Words()], tmp_path / "out", measures=["RR@10"])
    assert found.failed == {}
    values = found.per_query["a"]["theirs"]
    assert {query: value["RR@10"] for query, value in values.items()} == {
        "q1": 1.0,
        "q2": 0.0,
        "q3": 0.0,
    }
    assert "theirs" not in found.per_query["b"]
    (protocol,) = (one for one in found.protocols if one.collection == "a")
    assert protocol.warnings[-4:-1] == (
        "theirs has no answer to 1 query, which counts as 0",
        "theirs names 1 document that is not in the corpus (such as 'odd'); what is not judged "
        "counts as not relevant",
        "theirs answers 1 query that is not asked here (such as 'q9'); such answers do not count",
    )
    assert found.efficiency[0].p50_ms is None
    run.write_text("q9 Q0 d2 1 1.0 t\n")
    with pytest.raises(InputError, match="run 'theirs' answers no query of a, b"):
        evaluate(sources, [RunFile(run)], tmp_path / "out")


def test_progress_reaches_its_end(tmp_path: Path) -> None:
    seen: list[ProgressUpdate] = []
    source, out = str(collection(tmp_path / "birds")), tmp_path / "out"
    evaluate([source], [Words("a"), Words("b")], out, progress=seen.append)
    assert seen[0].stage == "birds: a, indexing"
    assert seen[-1].total == 2 * (3 + 3)
    done = [one.done for one in seen]
    assert done == sorted(done)
    assert max(done) > 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 0}, "k must be a whole number of at least 1, not 0"),
        ({"measures": []}, "no measure was given"),
        ({"measures": ["nonsense@@"]}, "expected one of nDCG@k"),
        ({"systems": []}, "no system was given"),
        ({"sources": []}, "no collection was given"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"sources": ["x"], "systems": [Words()], "out": tmp_path} | options
    with pytest.raises(InputError, match=said):
        evaluate(**given)


def test_two_collections_of_one_name_are_refused(tmp_path: Path) -> None:
    sources = [str(collection(tmp_path / name / "same")) for name in ("a", "b")]
    found = evaluate(sources, [Words()], tmp_path / "out")
    assert "two collections are named 'same'" in found.failed[sources[1]]


def test_fewer_queries_are_always_the_same(tmp_path: Path) -> None:
    source = collection(tmp_path / "birds")
    words = Words()
    found = evaluate([str(source)], [words], tmp_path / "out", queries=2)
    assert found.protocols[0].queries == 2
    assert "2 of 3 queries, the first of a shuffle by seed 0" in found.protocols[0].text
    asked = set(found.per_query["birds"]["words"])
    one = evaluate([str(source)], [words], tmp_path / "out", queries=1)
    assert set(one.per_query["birds"]["words"]) < asked
    whole = evaluate([str(source)], [words], tmp_path / "out", queries=3)
    assert "shuffle" not in whole.protocols[0].text
    assert whole.protocols[0].dataset_sha256 == one.protocols[0].dataset_sha256
    assert comparable(whole.protocols[0], one.protocols[0])
    with pytest.raises(InputError, match="queries must be a whole number of at least 1, not 0"):
        evaluate([str(source)], [words], tmp_path / "out", queries=0)


def test_what_was_timed_on_another_machine_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = collection(tmp_path / "birds"), tmp_path / "out"
    first = evaluate([str(source)], [Words()], out)
    assert evaluate([str(source)], [Words()], out).efficiency == first.efficiency
    fields = {"model name": "another"}
    monkeypatch.setattr("retrieval.eval.machine._cpu_fields", lambda: fields)
    words = Words()
    (found,) = evaluate([str(source)], [words], out).efficiency
    assert words.indexed == []
    assert found == Efficiency("birds", "words", index_bytes_per_document=100)


def test_the_protocol_says_what_each_system_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = collection(tmp_path / "birds")
    monkeypatch.setattr(Words, "settings", lambda self: Settings(description="words are counted"))
    found = evaluate([str(source)], [Words()], tmp_path / "out")
    assert read_results(tmp_path / "out").protocols[0].systems == {"words": "words are counted"}
    assert ("system words", "words are counted") in protocol_facts(found.protocols[0])
