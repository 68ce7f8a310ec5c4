"""BEIR, MTEB, CoIR and names of ir-datasets: each loader on a small file in the published format.

The formats are those of: BEIR, beir/datasets/data_loader.py and data_loader_hf.py, and the dataset
card of BeIR/scifact; MTEB, mteb/abstasks/retrieval_dataset_loaders.py and retrieval.py (which
pushes them), and the tree of CoIR-Retrieval/CodeSearchNet; CoIR, coir/data_loader.py and the
dataset cards of CoIR-Retrieval/CodeSearchNet-python-queries-corpus and -qrels; ir-datasets,
ir_datasets/datasets/codesearchnet.py and its other document classes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from retrieval.errors import InputError, MissingDependency
from retrieval.eval.datasets import load
from retrieval.eval.datasets.rows import rows
from tests.eval.dataset_files import format_of, only, texts, write, write_parquet


def beir(folder: Path, qrels: str = "q1\td1\t2\nq1\td2\t0\n", split: str = "test") -> Path:
    write(
        folder / "corpus.jsonl",
        [
            {"_id": "d1", "title": "T", "text": "one", "metadata": {}},
            {"_id": "d2", "title": "", "text": "two"},
        ],
    )
    write(folder / "queries.jsonl", [{"_id": "q1", "text": "first"}, {"_id": "q2", "text": "2nd"}])
    write(folder / "qrels" / f"{split}.tsv", f"query-id\tcorpus-id\tscore\n{qrels}")
    return folder


def test_beir(tmp_path: Path) -> None:
    found = only(beir(tmp_path / "tiny"))
    assert (found.name, found.split, found.unjudged) == ("tiny", "test", 1)
    assert [(d.id, d.title, d.text) for d in found.documents] == [
        ("d1", "T", "one"),
        ("d2", "", "two"),
    ]
    assert texts(found) == {"d1": "one", "d2": "two"}, "documents can be read again"
    assert found.queries == {"q1": "first"}
    assert found.judgements == {"q1": {"d1": 2, "d2": 0}}
    assert found.warnings == ()


def test_byte_order_marks_are_passed_over(tmp_path: Path) -> None:
    plain, marked = only(beir(tmp_path / "plain")), beir(tmp_path / "marked")
    for file in marked.rglob("*.*"):
        file.write_text(file.read_text(), encoding="utf-8-sig")
    found = only(marked)
    assert texts(found) == texts(plain)
    assert (found.queries, found.judgements) == (plain.queries, plain.judgements)


def test_the_split_is_test_or_the_only_one_or_asked_for(tmp_path: Path) -> None:
    folder = beir(tmp_path / "tiny", split="dev")
    assert only(folder).split == "dev"
    beir(folder, split="train")
    with pytest.raises(InputError, match="no split 'test'; choose from: dev, train"):
        load(str(folder))
    assert only(folder, "train").split == "train"


def test_a_folder_of_collections(tmp_path: Path) -> None:
    beir(tmp_path / "b")
    beir(tmp_path / "a")
    write(tmp_path / "README.md", "about")
    assert [one.name for one in load(str(tmp_path))] == ["a", "b"]


def test_the_digest_follows_what_decides_a_result(tmp_path: Path) -> None:
    first = only(beir(tmp_path / "a"))
    assert only(beir(tmp_path / "b")).sha256 == first.sha256
    assert only(beir(tmp_path / "c", "q1\td1\t1\nq1\td2\t0\n")).sha256 != first.sha256


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("corpus.jsonl", '"one"', '"two"'),
        ("corpus.jsonl", '"T"', '"U"'),
        ("corpus.jsonl", '"title": "T", "text": "one"', '"title": "To", "text": "ne"'),
        ("corpus.jsonl", '"d2"', '"d3"'),
        ("queries.jsonl", '"first"', '"1st"'),
        ("queries.jsonl", '"q1"', '"q3"'),
        ("qrels/test.tsv", "d2\t0", "d3\t0"),
    ],
)
def test_whatever_decides_a_result_is_in_the_digest(
    tmp_path: Path, file: str, old: str, new: str
) -> None:
    before = only(beir(tmp_path)).sha256
    if new == '"q3"':
        write(tmp_path / "qrels/test.tsv", "q3\td1\t2\nq3\td2\t0\n")
    path = tmp_path / file
    assert old in path.read_text()
    write(path, path.read_text().replace(old, new, 1))
    assert only(tmp_path).sha256 != before


def test_beir_as_on_a_hub(tmp_path: Path) -> None:
    rows = [{"_id": "4983", "title": "T", "text": "one"}]
    write_parquet(tmp_path / "scifact/corpus/corpus-00000-of-00001.parquet", rows)
    rows = [{"_id": "0", "title": "", "text": "first"}, {"_id": "2", "title": "", "text": "2nd"}]
    write_parquet(tmp_path / "scifact/queries/queries-00000-of-00001.parquet", rows)
    for split in ("train", "test"):
        write(tmp_path / f"scifact-qrels/{split}.tsv", "query-id\tcorpus-id\tscore\n0\t4983\t1\n")
    assert only(tmp_path / "scifact").judgements == {"0": {"4983": 1}}
    assert [one.name for one in load(str(tmp_path))] == ["scifact"]


@pytest.mark.parametrize("place", ["qrels/test.jsonl", "qrels.jsonl"])
def test_mteb_as_json_lines(tmp_path: Path, place: str) -> None:
    write(tmp_path / "corpus.jsonl.gz", [{"_id": 7, "title": "T", "text": "one"}])
    write(tmp_path / "queries.jsonl", [{"_id": "q1", "text": "first"}])
    write(tmp_path / place, [{"query-id": "q1", "corpus-id": 7, "score": 1.0}])
    found = only(tmp_path)
    assert format_of(tmp_path) == "BEIR, MTEB or CoIR"
    assert (texts(found), found.queries) == ({"7": "one"}, {"q1": "first"})
    assert found.judgements == {"q1": {"7": 1}}


def test_a_split_in_two_forms_is_read_once(tmp_path: Path) -> None:
    beir(tmp_path)
    rows = [{"query-id": "q1", "corpus-id": "d1", "score": 1}]
    write(tmp_path / "qrels/test.jsonl", rows)
    found = only(tmp_path)
    assert (found.judgements, found.warnings) == ({"q1": {"d1": 1}}, ())


def test_mteb_as_parquet_in_shards(tmp_path: Path) -> None:
    put = write_parquet
    put(tmp_path / "corpus/corpus-00000-of-00002.parquet", [{"_id": "d1", "text": "one"}])
    put(tmp_path / "corpus/corpus-00001-of-00002.parquet", [{"_id": "d2", "text": "two"}])
    put(tmp_path / "queries/queries-00000-of-00001.parquet", [{"_id": "q1", "text": "first"}])
    qrels = [{"query-id": "q1", "corpus-id": "d2", "score": 1}]
    put(tmp_path / "data/test-00000-of-00001.parquet", qrels)
    found = only(tmp_path)
    assert texts(found) == {"d1": "one", "d2": "two"}
    assert found.judgements == {"q1": {"d2": 1}}


@pytest.mark.parametrize("place", ["qrels", "default", "data"])
def test_every_shard_and_every_grade_is_read(tmp_path: Path, place: str) -> None:
    """Grades as retrieval.py of MTEB pushes them; without a score a pair is relevant."""
    grades = [{"score": 2}, {"score": 0}, {"score": 1.0}, {}]
    for n in range(2):
        shard = f"{n:05}-of-00002.jsonl"
        rows = [{"_id": f"d{2 * n + m}", "text": "t", "title": f"T{n}"} for m in range(2)]
        write(tmp_path / f"corpus/corpus-{shard}", rows)
        write(tmp_path / f"queries/queries-{shard}", [{"_id": f"q{n}", "text": "?", "title": "no"}])
        rows = [
            {"query-id": f"q{n}", "corpus-id": f"d{at}"} | grades[at] for at in (2 * n, 2 * n + 1)
        ]
        write(tmp_path / f"{place}/test-{shard}", rows)
    found = only(tmp_path)
    assert found.judgements == {"q0": {"d0": 2, "d1": 0}, "q1": {"d2": 1, "d3": 1}}
    assert found.queries == {"q0": "?", "q1": "?"}, "a query's title is no part of it"
    assert [(d.id, d.title) for d in found.documents] == [
        ("d0", "T0"), ("d1", "T0"), ("d2", "T1"), ("d3", "T1")
    ]  # fmt: skip


def test_queries_in_a_folder_of_another_name_and_parts_that_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "corpus/test.jsonl", [{"_id": "d1", "text": "one"}])
    write(tmp_path / "query/test.jsonl", [{"_id": "q1", "text": "first"}])
    write(tmp_path / "qrels/test.jsonl", [{"query-id": "q1", "corpus-id": "d1", "score": 1}])
    write(tmp_path / "top_ranked/test.jsonl", [{"query-id": "q1"}])
    write(tmp_path / "instruction/test.jsonl", [{"query-id": "q1", "instruction": "find"}])
    found = only(tmp_path)
    assert found.queries == {"q1": "first"}
    assert [warning.split()[0] for warning in found.warnings] == ["top_ranked,", "instruction"]


def test_judgements_of_a_language_between_tabs(tmp_path: Path) -> None:
    write(tmp_path / "de-corpus.jsonl", [{"_id": "d1", "text": "one"}])
    write(tmp_path / "de-queries.jsonl", [{"_id": "q1", "text": "first"}])
    write(tmp_path / "de-qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t3\n")
    assert only(tmp_path).judgements == {"q1": {"d1": 3}}


def test_mteb_with_a_corpus_for_each_split(tmp_path: Path) -> None:
    for split in ("dev", "test"):
        rows = [{"id": "d1", "text": f"of {split}", "title": ""}]
        write(tmp_path / f"corpus/{split}-00000-of-00001.jsonl", rows)
        write(tmp_path / f"queries/{split}-00000-of-00001.jsonl", [{"id": "q1", "text": split}])
    qrels = [{"query-id": "q1", "corpus-id": "d1", "score": 1}]
    write(tmp_path / "qrels/test/0000.jsonl", qrels)
    write(tmp_path / "qrels/dev/0000.jsonl", qrels)
    write(tmp_path / "qrels/train/0000.jsonl", qrels)
    assert texts(only(tmp_path)) == {"d1": "of test"}
    found = only(tmp_path, "dev")
    assert (texts(found), found.queries) == ({"d1": "of dev"}, {"q1": "dev"})
    with pytest.raises(InputError, match="splits dev, test, and the judgements are of 'train'"):
        load(str(tmp_path), "train")


def test_mteb_of_several_languages(tmp_path: Path) -> None:
    folder = tmp_path / "MultiLongDocRetrieval"
    for language in ("de", "en"):
        text = f"text in {language}"
        write(
            folder / f"{language}-corpus/test-00000-of-00001.jsonl", [{"_id": "d1", "text": text}]
        )
        write(
            folder / f"{language}-queries/test-00000-of-00001.jsonl", [{"_id": "q1", "text": "?"}]
        )
        qrels = [{"query-id": "q1", "corpus-id": "d1", "score": 1}]
        write(folder / f"{language}-qrels/test-00000-of-00001.jsonl", qrels)
    # CoIR-Retrieval/CodeSearchNet-ccr has such a corpus beside those of the languages.
    write(folder / "corpus/corpus.jsonl", [{"_id": "d1", "text": "of none"}])
    write(folder / "de-top_ranked/test-00000-of-00001.jsonl", [{"query-id": "q1"}])
    german, english = load(str(folder))
    assert (german.name, english.name) == ("MultiLongDocRetrieval-de", "MultiLongDocRetrieval-en")
    assert (texts(german), texts(english)) == ({"d1": "text in de"}, {"d1": "text in en"})
    assert english.warnings == ()
    assert german.warnings[0].startswith("top_ranked, the documents to rerank, is not read")


def test_all_of_a_long_parquet_file_is_read(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "corpus.parquet", [{"_id": n} for n in range(70_000)])
    assert [row["_id"] for row in rows(path)] == list(range(70_000))


def test_blank_lines_are_passed_over(tmp_path: Path) -> None:
    write(beir(tmp_path) / "corpus.jsonl", '\n{"_id": "d1", "text": "one"}\n  \n{"_id": "d2"}\n\n')
    assert texts(only(tmp_path)) == {"d1": "one", "d2": ""}


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("corpus", "queries", "qrels"):
        write(tmp_path / name / "test.parquet", "PAR1")
    with pytest.raises(MissingDependency, match="pip install pyarrow"):
        load(str(tmp_path))


def coir(folder: Path, ending: str = "parquet") -> Path:
    """CoIR's two folders, of texts and of judgements."""
    put = write_parquet if ending == "parquet" else write
    shared = {"title": "", "language": "python", "meta_information": {"resource": ""}}
    texts = folder / "cosqa-queries-corpus" / "data"
    rows = [shared | {"_id": "d1", "partition": "test", "text": "def f(): ..."}]
    put(texts / f"corpus-00000-of-00001-279bc28cd351fa67.{ending}", rows)
    rows = [
        shared | {"_id": f"q{n}", "partition": split, "text": f"function {n}"}
        for n, split in enumerate(("test", "train"))
    ]
    put(texts / f"queries-00000-of-00001-37cf369ef664f0a0.{ending}", rows)
    for n, split in enumerate(("test", "train")):
        rows = [{"query_id": f"q{n}", "corpus_id": "d1", "score": 1}]
        put(folder / f"cosqa-qrels/data/{split}-00000-of-00001-832c77cf909fcbbc.{ending}", rows)
    return folder / "cosqa-queries-corpus"


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_coir(tmp_path: Path, ending: str) -> None:
    folder = coir(tmp_path, ending)
    assert format_of(folder) == "BEIR, MTEB or CoIR"
    found = only(folder)
    assert (found.name, found.split, found.unjudged) == ("cosqa", "test", 1)
    assert texts(found) == {"d1": "def f(): ..."}
    assert (found.queries, found.judgements) == ({"q0": "function 0"}, {"q0": {"d1": 1}})
    assert only(folder, "train").queries == {"q1": "function 1"}
    assert [one.name for one in load(str(tmp_path))] == ["cosqa"], "all tasks of a folder"


def test_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Known:
        def has_docs(self) -> bool:
            return True

        has_queries = has_qrels = has_docs

        def docs_iter(self) -> Iterable[SimpleNamespace]:
            return [SimpleNamespace(doc_id="d1", text="one", title="T")]

        def queries_iter(self) -> Iterable[SimpleNamespace]:
            return [SimpleNamespace(query_id="q1", text="first")]

        def qrels_iter(self) -> Iterable[SimpleNamespace]:
            return [SimpleNamespace(query_id="q1", doc_id="d1", relevance=2)]

    class Offline(Known):
        def docs_iter(self) -> Iterable[SimpleNamespace]:
            raise OSError("Name or service not known")

    names = {"beir/tiny/test": Known(), "beir/far/test": Offline()}
    module = SimpleNamespace(load=names.__getitem__)
    monkeypatch.setitem(sys.modules, "ir_datasets", module)  # type: ignore[arg-type]
    (found,) = load("beir/tiny")
    assert (found.name, found.split) == ("beir/tiny/test", "test")
    assert found.judgements == {"q1": {"d1": 2}}
    with pytest.raises(InputError, match=r"cannot be fetched \(Name or service not known\)"):
        load("beir/far/test")
    with pytest.raises(InputError, match="neither a folder here nor"):
        load("beir/unheard")


def named(grade: int, *, corpus: bool = True, broken: bool = False) -> SimpleNamespace:
    """As much of a collection of ir-datasets as is used."""

    def documents() -> list[SimpleNamespace]:
        if broken:  # what ir_datasets raises where a download fails
            raise RuntimeError("download failed")
        return [SimpleNamespace(doc_id="d1", text="one", title="T")]

    return SimpleNamespace(
        has_docs=lambda: corpus,
        has_queries=lambda: True,
        has_qrels=lambda: grade > 0,
        docs_iter=documents,
        queries_iter=lambda: [SimpleNamespace(query_id="q1", query="first")],
        qrels_iter=lambda: [SimpleNamespace(query_id="q1", doc_id="d1", relevance=grade)],
    )


def test_by_name_the_split_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "far": named(0), "far/test": named(1), "far/dev": named(2), "whole": named(3),
        "bare/test": named(1, corpus=False), "torn": named(1, broken=True),
    }  # fmt: skip
    module = SimpleNamespace(load=names.__getitem__)
    monkeypatch.setitem(sys.modules, "ir_datasets", module)  # type: ignore[arg-type]
    found = {
        (given, split): [(one.name, one.split, one.judgements["q1"]["d1"])]
        for given, split in (("far", None), ("far", "dev"), ("far/dev", "dev"), ("whole", None))
        for one in load(given, split)
    }
    assert found == {
        ("far", None): [("far/test", "test", 1)],
        ("far", "dev"): [("far/dev", "dev", 2)],
        ("far/dev", "dev"): [("far/dev", "dev", 2)],
        ("whole", None): [("whole", "whole", 3)],
    }
    (whole,) = load("whole")
    assert [(one.title, one.text) for one in whole.documents] == [("T", "one")]
    assert whole.queries == {"q1": "first"}
    with pytest.raises(InputError, match="far/test with split 'dev' is neither a folder"):
        load("far/test", "dev")
    with pytest.raises(InputError, match="bare/test of ir-datasets has no docs; choose one"):
        load("bare")
    with pytest.raises(InputError, match=r"torn cannot be fetched \(download failed\)"):
        load("torn")


def test_by_name_with_several_annotations_of_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `codesearchnet/challenge`: no text and no default text, grades that are words."""
    grades = [("f", "0"), ("f", "3"), ("g", "2")]
    dataset = SimpleNamespace(
        has_docs=lambda: True,
        has_queries=lambda: True,
        has_qrels=lambda: True,
        docs_iter=lambda: [SimpleNamespace(doc_id=id, code=f"def {id}") for id in "fg"],
        queries_iter=lambda: [SimpleNamespace(query_id="1", text="find it")],
        qrels_iter=lambda: [
            SimpleNamespace(query_id="1", doc_id=id, relevance=given, note="")
            for id, given in grades
        ],
    )
    module = SimpleNamespace(load={"codesearchnet/challenge": dataset}.__getitem__)
    monkeypatch.setitem(sys.modules, "ir_datasets", module)  # type: ignore[arg-type]
    (found,) = load("codesearchnet/challenge")
    assert texts(found) == {"f": "def f", "g": "def g"}
    assert found.judgements == {"1": {"f": 2, "g": 2}}
    assert found.warnings[0].startswith("1 pairs are annotated several times, 1 of them")


def test_by_name_functions_of_one_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `codesearchnet/test`, whose ids are URLs."""
    dataset = SimpleNamespace(
        has_docs=lambda: True,
        has_queries=lambda: True,
        has_qrels=lambda: True,
        docs_iter=lambda: [SimpleNamespace(doc_id="u", code=f"{name} = 1") for name in "ab"],
        queries_iter=lambda: [SimpleNamespace(query_id="u", text=f"sets {name}") for name in "ab"],
        qrels_iter=lambda: 2 * [SimpleNamespace(query_id="u", doc_id="u", relevance="1")],
    )
    module = SimpleNamespace(load={"codesearchnet/test": dataset}.__getitem__)
    monkeypatch.setitem(sys.modules, "ir_datasets", module)  # type: ignore[arg-type]
    (found,) = load("codesearchnet")
    assert texts(found) == {"u": "a = 1", "u~2": "b = 1"}
    assert found.queries == {"u": "sets a", "u~2": "sets b"}
    assert found.judgements == {id: {"u": 1, "u~2": 1} for id in ("u", "u~2")}
    assert found.warnings[0].startswith("2 different functions share 1 URL")


def test_by_name_a_title_is_not_there_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `msmarco-document`, whose default text begins with the title."""
    document = SimpleNamespace(doc_id="d1", title="T", body="b", default_text=lambda: "T b")
    dataset = SimpleNamespace(
        has_docs=lambda: True,
        has_queries=lambda: True,
        has_qrels=lambda: True,
        docs_iter=lambda: [document],
        queries_iter=lambda: [SimpleNamespace(query_id="1", title="t")],
        qrels_iter=lambda: [SimpleNamespace(query_id="1", doc_id="d1", relevance=1)],
    )
    module = SimpleNamespace(load={"far/test": dataset}.__getitem__)
    monkeypatch.setitem(sys.modules, "ir_datasets", module)  # type: ignore[arg-type]
    (found,) = load("far")
    assert [(one.title, one.text) for one in found.documents] == [("", "T b")]


def test_the_names_of_ir_datasets_are_found_without_a_network() -> None:
    pytest.importorskip("ir_datasets")
    from retrieval.eval.datasets.from_ir_datasets import _find

    dataset, name = _find("beir/scifact", None)
    assert (name, dataset.has_qrels()) == ("beir/scifact/test", True)
    with pytest.raises(InputError, match="neither a folder here nor"):
        load("beir/no-such-collection")


def test_without_ir_datasets_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(MissingDependency, match=r"modernbert-retrieval\[eval\]"):
        load("beir/scifact")
