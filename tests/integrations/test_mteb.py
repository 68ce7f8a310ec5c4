"""MTEB's protocol and `retrieval eval` give the same figures, and files that MTEB reads."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mteb", reason="MTEB's adapters are tested with the package mteb")

import datasets
import mteb
from mteb.abstasks import AbsTaskRetrieval

from retrieval.cli.entry import run
from retrieval.errors import InputError
from retrieval.eval import evaluate, load
from retrieval.eval.datasets.from_mteb import load_task, query_texts, task_of, tasks_in
from retrieval.eval.results import Results, file_name
from retrieval.eval.systems import IndexSystem, SharedIndex
from retrieval.eval.systems.variants import Variant
from retrieval.integrations.mteb import EncoderModel, RetrieverModel, model_meta, write_results
from retrieval.types import RETRIEVERS, Retriever
from tests.docs.pages import ROOT
from tests.index.fake_encoder import FakeEncoder
from tests.integrations import mteb_copies as copies

MEASURES = ("nDCG@10", "nDCG@3", "RR@10", "R@100", "P@5", "AP@100")
THEIRS = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG@3": "ndcg_cut_3",
    "R@100": "recall_100",
    "P@5": "P_5",
    "AP@100": "map_cut_100",
}
"""What pytrec_eval, by which MTEB scores, calls a measure of ours."""


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `datasets` converts goes with the tests, and is told to nobody."""
    folder = tmp_path_factory.mktemp("datasets")
    datasets.disable_progress_bars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
        yield
    datasets.enable_progress_bars()


def ours(sources: list[str], out: Path, k: int = 100) -> tuple[list[IndexSystem], Results]:
    """The four retrievers by `retrieval eval`."""
    shared = SharedIndex(FakeEncoder())
    systems = [IndexSystem(shared, Variant(retriever)) for retriever in RETRIEVERS]
    return systems, evaluate(sources, systems, out, measures=MEASURES, k=k)


def by_mteb(source: str, retriever: Retriever) -> tuple[dict[str, Any], dict[str, Any]]:
    """By MTEB's protocol: scores of the first split, and pytrec_eval's of each query, unrounded."""
    task = task_of(source)
    seen: dict[str, Any] = {}

    def keep(scores: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, float]:
        seen.update(scores)
        return {}

    task.task_specific_scores = keep
    model = RetrieverModel(FakeEncoder(), retriever)
    found = mteb.evaluate(model, task, cache=None, show_progress_bar=False)
    model.close()
    (first, *_) = found.task_results[0].scores.values()
    return first[0], seen


Theirs = dict[Retriever, tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def scifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with more documents than hybrid has candidates."""
    return copies.beir(tmp_path_factory.mktemp("copies") / "scifact", documents=150)


@pytest.fixture(scope="module")
def theirs(scifact: Path) -> Theirs:
    """What MTEB's protocol gives for each retriever."""
    return {retriever: by_mteb(f"mteb:SciFact={scifact}", retriever) for retriever in RETRIEVERS}


def test_both_paths_give_the_same_figures(scifact: Path, theirs: Theirs, tmp_path: Path) -> None:
    """To the last digit, query by query."""
    source = f"mteb:SciFact={scifact}"
    systems, results = ours([source], tmp_path / "out")
    write_results(tmp_path / "out", [source], systems, results)
    for retriever, (scores, each) in theirs.items():
        known = results.per_query["SciFact"][retriever]
        assert len(known) == len(each) == 5
        for query, values in known.items():
            for measure, name in THEIRS.items():
                assert values[measure] == pytest.approx(each[query][name], abs=1e-12)
        mean = np.mean([one["RR@10"] for one in known.values()])
        assert mean == pytest.approx(scores["mrr_at_10"], abs=1e-12)
        assert 0 < scores["main_score"] < 1
        (path,) = (tmp_path / "out" / "mteb" / "results").glob(f"*-{retriever}/*/SciFact.json")
        (written,) = json.loads(path.read_text())["scores"]["test"]
        assert set(written) == set(scores)
        for name, value in scores.items():
            assert written[name] == pytest.approx(value, abs=1e-6, nan_ok=True), name


@pytest.mark.parametrize("k", [10, 100, 1000])
def test_figures_do_not_depend_on_the_depth_that_each_asks_for(
    k: int, scifact: Path, theirs: Theirs, tmp_path: Path
) -> None:
    """The same folder read as BEIR's format to any depth, and by MTEB to a thousand."""
    _, results = ours([str(scifact)], tmp_path / "out", k)
    figures = {row.system: row.value for row in results.rows if row.measure == "nDCG@10"}
    for retriever, (_, each) in theirs.items():
        mean = np.mean([one["ndcg_cut_10"] for one in each.values()])
        assert figures[retriever] == pytest.approx(mean, abs=1e-12)


COPIES: Mapping[str, tuple[str, Callable[[Path], Path], list[str]]] = {
    "NanoBEIR": ("NanoBEIR/NanoSciFactRetrieval", copies.nano, ["NanoSciFactRetrieval"]),
    "BEIR": ("BEIR/SciFact", copies.beir, ["SciFact"]),
    "MTEB(Code, v1)": ("MTEB(Code, v1)/CosQA", copies.coir, ["CosQA"]),
    "LongEmbed": (
        "LongEmbed/LEMBPasskeyRetrieval",
        copies.passkey,
        [f"LEMBPasskeyRetrieval-test_{256 << n}" for n in range(8)],
    ),
    "MLDR": (
        "MultiLongDocRetrieval:en,de",
        copies.mldr,
        [
            f"MultiLongDocRetrieval-{one}-{split}"
            for one in ("en", "de")
            for split in ("dev", "test")
        ],
    ),
}


@pytest.mark.parametrize("benchmark", COPIES)
def test_each_benchmark_is_read_in_its_own_format(benchmark: str, tmp_path: Path) -> None:
    name, copy, collections = COPIES[benchmark]
    source = f"mteb:{name}={copy(tmp_path / 'copy')}"
    systems, results = ours([source], tmp_path / "out")
    assert list(results.collections) == collections
    assert all(
        protocol.aggregation.endswith("1000 documents a query") for protocol in results.protocols
    )
    written = write_results(tmp_path / "out", [source], systems, results)
    assert len(written) == len(RETRIEVERS)
    cached = mteb.ResultCache(tmp_path / "out" / "mteb").load_results()
    for model in cached.model_results:
        (result,) = model.task_results
        (retriever,) = [one for one in RETRIEVERS if model.model_name.endswith(f"-{one}")]
        assert sum(len(parts) for parts in result.scores.values()) == len(collections)
        for split, parts in result.scores.items():
            for part in parts:
                (collection,) = [
                    one
                    for one in collections
                    if len(collections) == 1
                    or (
                        one.endswith((f"-{split}", f"-{part['hf_subset']}-{split}"))
                        and (part["hf_subset"] == "default" or f"-{part['hf_subset']}-" in one)
                    )
                ]
                values = results.per_query[collection][retriever].values()
                mean = np.mean([one["nDCG@10"] for one in values])
                assert part["ndcg_at_10"] == pytest.approx(mean, abs=5.1e-6)  # MTEB rounds


def test_a_benchmark_is_its_tasks() -> None:
    assert len(tasks_in("mteb:NanoBEIR")) == 13
    assert tasks_in("mteb:NanoBEIR=/copies")[0] == (
        "mteb:NanoBEIR/NanoArguAnaRetrieval=/copies/NanoArguAnaRetrieval"
    )
    beir = tasks_in("mteb:BEIR")
    assert "mteb:BEIR/MSMARCO" in beir and "mteb:CQADupstackAndroidRetrieval" in beir
    assert task_of("mteb:BEIR/MSMARCO").eval_splits == ["dev"]  # as the benchmark has it


def test_the_documented_commands_name_the_benchmarks_whose_formats_are_tested() -> None:
    page = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
    commands = [shlex.split(one) for one in re.findall(r"\| `(retrieval eval .*mteb:.*)` \|", page)]
    sources = [command[2] for command in commands]
    assert [command[:2] + command[3:4] for command in commands] == [
        ["retrieval", "eval", "--out"]
    ] * len(COPIES)
    tested = {name.split("/")[0].split(":")[0] for name, _, _ in COPIES.values()}
    assert {source.split(":")[1] for source in sources} == tested
    assert all(tasks_in(source) for source in sources)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("mteb:NanoSciFact", "Did you mean"),
        ("mteb:", "names no task of MTEB; expected mteb:NAME"),
        ("mteb:NanoBEIR/SciFact", "NanoBEIR has no task 'SciFact'; choose from NanoArguAna"),
        ("mteb:STS12", "is of type STS and modality text; expected retrieval of texts"),
        ("mteb:MultiLongDocRetrieval:xx", "has no subset 'xx'; choose from ar, de, en"),
        ("mteb:SciFact=/no/such", "there is no folder /no/such"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(source: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        load(source)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_copy_that_lacks_a_part_is_said_in_a_line(tmp_path: Path) -> None:
    folder = copies.beir(tmp_path / "scifact")
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(InputError, match=r"cannot be loaded \(.*give a local copy"):
        load(f"mteb:SciFact={folder}")
    with pytest.raises(InputError, match="has no split 'dev'; choose from test"):
        load_task(f"mteb:SciFact={folder}", "dev")


def test_the_task_decides_whether_a_query_finds_itself(tmp_path: Path) -> None:
    """MTEB drops it in ArguAna and keeps it in NanoArguAnaRetrieval, whatever the words are."""
    folder = tmp_path / "arguana"
    copies.beir(folder)
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    ids = ("queries.jsonl", "qrels/test.jsonl", "qrels/train.jsonl")
    for name in ids:
        text = (folder / name).read_text()
        for row in rows:
            text = text.replace(f'"{row["_id"]}"', f'"d{row["_id"][1:]}"')
        (folder / name).write_text(text)
    source = f"mteb:ArguAna={folder}"
    (collection,) = load(source)
    assert collection.ignores_identical and collection.depth == 1000
    _, results = ours([source], tmp_path / "out")
    assert results.protocols[0].identical_ids.startswith("dropped")
    _, each = by_mteb(source, "dense")
    for query, values in results.per_query["ArguAna"]["dense"].items():
        assert values["nDCG@10"] == pytest.approx(each[query]["ndcg_cut_10"], abs=1e-12)


def given(name: str, **parts: Any) -> AbsTaskRetrieval:
    """A task whose data is given."""
    task = mteb.get_task(name)
    corpus = [{"id": f"d{n}", "title": "", "text": text} for n, text in enumerate(TEXTS)]
    own = {"corpus": datasets.Dataset.from_list(corpus), "top_ranked": None, **parts}
    task.dataset = {"default": {task.eval_splits[0]: own}}
    task.data_loaded = True
    return task


TEXTS = ("a writer takes the lock", "hens stay inside", "geese fly south", "a fox in the lock")


def test_documents_to_rank_are_the_only_ones_that_are_ranked() -> None:
    queries = [{"id": "q1", "text": "who takes the lock"}, {"id": "q2", "text": "geese"}]
    ranked = {"q1": ["d1", "d2", "d0"], "q2": ["d3", "d2"]}
    task = given(
        "AskUbuntuDupQuestions",
        queries=datasets.Dataset.from_list(queries),
        relevant_docs={"q1": {"d0": 1, "d1": 0}, "q2": {"d2": 1}},
        top_ranked=ranked,
    )
    for retriever in RETRIEVERS:
        model = RetrieverModel(FakeEncoder(), retriever)
        found = mteb.evaluate(model, task, cache=None, show_progress_bar=False)
        assert found.task_results[0].scores["test"][0]["mrr_at_10"] == 1.0
        runs = model.search(task.dataset["default"]["test"]["queries"], top_k=10, top_ranked=ranked)
        assert {query: set(run) for query, run in runs.items()} == {
            query: set(documents) for query, documents in ranked.items()
        }
        model.close()


def test_conversations_and_instructions_are_read_as_mteb_reads_them() -> None:
    """What the dense encoder is given by MTEB's own loader is what our retrievers are given."""
    turns = [{"role": "user", "content": "who"}, {"role": "assistant", "content": "takes it?"}]
    spoken = datasets.Dataset.from_list([{"id": "q", "text": turns}])
    plain = datasets.Dataset.from_list([{"id": "q", "text": "lock", "instruction": "be brief"}])
    told = datasets.Dataset.from_list([{"id": "q", "text": turns, "instruction": "be brief"}])
    lists = datasets.Dataset.from_list([{"id": "q", "text": ["who", "takes it?"]}])
    from mteb._create_dataloaders import _retrieval_texts
    from mteb.types import PromptType

    for queries in (spoken, plain, told):
        assert query_texts(queries) == list(_retrieval_texts(queries, PromptType.query))
    assert query_texts(lists) == ["who; takes it?"]
    assert query_texts(spoken) == ["user: who; assistant: takes it?"]
    with pytest.raises(InputError, match="a turn of a conversation is"):
        query_texts(datasets.Dataset.from_list([{"id": "q", "text": [{"said": "who"}]}]))


def test_a_conversation_is_asked_as_its_turns() -> None:
    turns = [{"role": "user", "content": "geese"}, {"role": "user", "content": "south"}]
    as_turns = datasets.Dataset.from_list([{"id": "q1", "text": turns}])
    as_text = datasets.Dataset.from_list([{"id": "q1", "text": "user: geese; user: south"}])
    for retriever in RETRIEVERS:
        runs = []
        for queries in (as_turns, as_text):
            model = RetrieverModel(FakeEncoder(), retriever)
            task = given("SciFact", queries=queries, relevant_docs={"q1": {"d2": 1}})
            mteb.evaluate(model, task, cache=None, show_progress_bar=False)
            runs.append(model.search(queries, top_k=10))
            model.close()
        assert runs[0] == runs[1] and "d2" in runs[0]["q1"]


def test_dense_vectors_serve_tasks_of_any_kind() -> None:
    model = EncoderModel(FakeEncoder())
    assert isinstance(model, mteb.EncoderProtocol)
    batches = [{"text": ["hens stay"]}, {"text": ["geese fly", "hens stay"]}]
    vectors = model.encode(batches)
    assert vectors.shape == (3, 32) and vectors.dtype == np.float32
    assert (vectors[0] == vectors[2]).all()
    assert float(model.similarity(vectors[:1], vectors[2:])[0, 0]) == pytest.approx(1, abs=1e-6)
    assert model.encode([]).shape == (0, 32)
    task = given(
        "SciFact",
        queries=datasets.Dataset.from_list([{"id": "q1", "text": "geese fly"}]),
        relevant_docs={"q1": {"d2": 1}},
    )
    found = mteb.evaluate(model, task, cache=None, show_progress_bar=False)
    assert found.task_results[0].get_score() == 1.0


def test_an_encoder_without_the_head_is_refused_in_a_line() -> None:
    with pytest.raises(InputError, match=r"cannot be used with .*lexical, late, hybrid"):
        RetrieverModel(FakeEncoder(dense_dim=None), "dense")
    with pytest.raises(InputError, match="has no dense vectors"):
        EncoderModel(FakeEncoder(dense_dim=None))


def test_metadata_say_what_the_embedded_model_is() -> None:
    meta = model_meta(kind="late")
    assert meta.name is not None and meta.name.startswith("modernbert-retrieval/modernbert-")
    assert meta.model_type == ["late-interaction"] and meta.license == "apache-2.0"
    assert meta.n_parameters and meta.n_parameters > (meta.n_embedding_parameters or 0) > 0
    assert {"MedicalQARetrieval", "MSMARCO"} <= (meta.training_datasets or set())
    assert isinstance(meta.load_model(), RetrieverModel)
    other = model_meta(FakeEncoder(), "encoder")
    assert other.license is None and other.training_datasets is None
    assert isinstance(other.load_model(), EncoderModel)
    known = {task.metadata.name for task in mteb.get_tasks()}
    assert {"MedicalQARetrieval", "LEMBQMSumRetrieval"} <= known


def test_an_index_is_kept_in_the_folder_that_was_given(tmp_path: Path) -> None:
    folder, texts = tmp_path / "kept", FakeEncoder()
    for retriever in ("lexical", "dense"):
        task = given(
            "SciFact",
            queries=datasets.Dataset.from_list([{"id": "q1", "text": "geese"}]),
            relevant_docs={"q1": {"d2": 1}},
        )
        model = RetrieverModel(texts, retriever, folder=folder)
        mteb.evaluate(model, task, cache=None, show_progress_bar=False)
        model.close()
    (place,) = folder.iterdir()
    assert place.name == file_name("SciFact-default-test")
    assert len(list(place.iterdir())) == 1  # one index for both


def test_the_command_writes_both_kinds_of_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = f"mteb:NanoSciFactRetrieval={copies.nano(tmp_path / 'copy')}"
    out = tmp_path / "out"
    arguments = ["eval", source, "--retriever", "late", "--system", "late:dims=48", "--out"]
    assert run([*arguments, str(out)]) == 0
    said = capsys.readouterr().out
    assert "in MTEB's format: 2 results in" in said
    (plain,) = (out / "mteb" / "results").glob("*-late/*/NanoSciFactRetrieval.json")
    (variant,) = (out / "mteb" / "results").glob("*-late/*/experiments/*/NanoSciFactRetrieval.json")
    assert "dims" in variant.parent.name
    assert json.loads(plain.read_text())["dataset_revision"] == "local"
    few = tmp_path / "few"
    assert run([*arguments, str(few), "--queries", "2"]) == 0
    assert "in MTEB's format" not in capsys.readouterr().out
    assert not list((few / "mteb").rglob("Nano*.json"))  # MTEB measures all queries
