"""A query that is a document does not find itself; a run's depth does not change its figures."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.errors import InputError
from retrieval.eval import evaluate, load
from retrieval.eval.datasets import read_run
from retrieval.eval.identical import DROPPED, KEPT
from retrieval.eval.measures import means
from retrieval.eval.results import comparable, run_path
from retrieval.eval.runs import max_passage, run_documents
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document, Retriever
from tests.eval.test_evaluate import Words
from tests.index.fake_encoder import FakeEncoder

CLAIMS = {
    f"c{n}": f"the {thing} is better kept {where}"
    for n, (thing, where) in enumerate(
        [("hen", "inside"), ("goose", "outside"), ("fox", "away"), ("cow", "inside")]
    )
}


def arguments(folder: Path, *, same_words: bool = True, title: str = "", grades: str = "1") -> Path:
    """Claims that ask for what speaks against them; every claim is a document, too."""
    (folder / "qrels").mkdir(parents=True)
    claims = [{"_id": id, "title": title, "text": text} for id, text in CLAIMS.items()]
    rows = claims + [{"_id": f"no-{id}", "text": f"no{t[3:]}"} for id, t in CLAIMS.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    why = "" if same_words else "why "
    queries = [{"_id": id, "text": f"{why}{text}"} for id, text in CLAIMS.items()]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    judged = "".join(f"{id}\tno-{id}\t{grades}\n" for id in CLAIMS)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


def asked(folder: Path, out: Path, **options: Any) -> Any:
    return evaluate([str(folder)], [Words()], out, measures=["RR@10"], **options)


def test_a_query_that_is_a_document_does_not_find_itself(tmp_path: Path) -> None:
    folder = arguments(tmp_path / "arguments")
    (collection,) = load(str(folder))
    assert collection.identical == frozenset(CLAIMS)
    dropped = asked(folder, tmp_path / "out", k=3)
    assert dropped.protocols[0].identical_ids == DROPPED
    run = read_run(run_path(tmp_path / "out", "arguments", "words"))
    assert all(query not in scores for query, scores in run.items())
    assert all(len(scores) >= 3 for scores in run.values())  # the depth stays
    kept = asked(folder, tmp_path / "out", k=3, ignore_identical_ids=False)
    assert kept.protocols[0].identical_ids == KEPT
    run = read_run(run_path(tmp_path / "out", "arguments", "words"))
    assert all(max(scores, key=scores.__getitem__) == query for query, scores in run.items())
    assert kept.rows[0].value < dropped.rows[0].value
    assert comparable(dropped.protocols[0], kept.protocols[0]) == [
        f"the treatment of documents with the query's own id differs: {DROPPED} and {KEPT}"
    ]


def test_ids_that_are_shared_by_chance_drop_nothing(tmp_path: Path) -> None:
    """As in Cranfield, where queries and documents are numbered from 1."""
    folder = arguments(tmp_path / "arguments", same_words=False)
    assert load(str(folder))[0].identical == frozenset()
    assert asked(folder, tmp_path / "out").protocols[0].identical_ids == KEPT
    wanted = asked(folder, tmp_path / "out", ignore_identical_ids=True)
    assert wanted.protocols[0].identical_ids == DROPPED


def test_a_title_of_the_document_may_be_in_the_query_or_not(tmp_path: Path) -> None:
    folder = arguments(tmp_path / "a", title="Animals")
    assert load(str(folder))[0].identical == frozenset(CLAIMS)
    queries = folder / "queries.jsonl"
    queries.write_text(queries.read_text().replace('"the ', '"Animals  the '))
    assert load(str(folder))[0].identical == frozenset(CLAIMS)


def test_grades_with_a_decimal_point_are_read(tmp_path: Path) -> None:
    (found,) = load(str(arguments(tmp_path / "beir", grades="2.0")))
    assert {grade for own in found.judgements.values() for grade in own.values()} == {2}
    trec = tmp_path / "trec"
    trec.mkdir()
    (trec / "queries.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in CLAIMS.items()))
    (trec / "collection.tsv").write_text("".join(f"{id}\t{t}\n" for id, t in CLAIMS.items()))
    (trec / "qrels.txt").write_text("".join(f"{id} 0 {id} 1.0\n" for id in CLAIMS))
    (found,) = load(str(trec))
    assert found.judgements["c0"] == {"c0": 1}
    (trec / "qrels.txt").write_text("c0 0 c0 1.5\n")
    with pytest.raises(InputError, match=r"qrels\.txt:1: "):
        load(str(trec))


@pytest.fixture(scope="module")
def barn(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Documents of one to five passages; some are equal, so that many scores are."""
    words = [
        "hen",
        "fox",
        "egg",
        "barn",
        "hay",
        "corn",
        "dog",
        "cat",
        "cow",
        "pig",
        "duck",
        "goose",
    ]
    drawn = random.Random(4)
    texts = [" ".join(drawn.choices(words, k=drawn.randrange(3, 40))) for _ in range(220)]
    texts += texts[:60] + ["hen egg"] * 30
    index = Index.create(
        tmp_path_factory.mktemp("barn") / "i", encoder=FakeEncoder(), passage_tokens=8
    )
    index.add([Document(f"d{n:03}", text) for n, text in enumerate(texts)])
    return index


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_figures_do_not_depend_on_the_depth_of_a_run(barn: Index, retriever: Retriever) -> None:
    """What MTEB does (a thousand passages, each document its best one, trec_eval) and we do."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    queries = {"q0": "hen egg", "q1": "fox in the barn", "q2": "hay corn pig", "q3": "goose"}
    drawn = random.Random(5)
    qrels = {
        query: {f"d{drawn.randrange(310):03}": drawn.randrange(1, 3) for _ in range(25)}
        for query in queries
    }
    qrels["q0"] |= {f"d{n}": 1 for n in range(280, 300, 3)}  # some of the many that tie
    asked = list(queries.values())
    hits = barn.search_batch(asked, 1000, retriever=retriever, copies=True)
    deep = {query: max_passage(found) for query, found in zip(queries, hits, strict=True)}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(deep)
    expected = math.fsum(one["ndcg_cut_10"] for one in theirs.values()) / len(queries)
    assert 0 < expected < 1
    for k in (10, 11, 50, 100, 300):
        run = run_documents(barn, queries, retriever=retriever, k=k)
        assert means(qrels, run)["nDCG@10"] == pytest.approx(expected, abs=1e-9)
        for query, scores in run.items():
            assert list(scores) == list(deep[query])[: len(scores)]
            last = list(deep[query].values())[len(scores) - 1 : len(scores) + 1]
            assert len(last) < 2 or np.float32(last[0]) != np.float32(last[1])
