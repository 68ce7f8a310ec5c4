"""Each loader on a small file in the exact published format."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retrieval.errors import InputError, MissingDependency
from retrieval.eval.datasets import Collection, load, recognise


def write(path: Path, content: str | Iterable[Mapping[str, Any]]) -> Path:
    """A text, or rows as JSON lines; zipped where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, str):
        content = "".join(json.dumps(row) + "\n" for row in content)
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def only(source: Path, split: str | None = None) -> Collection:
    (found,) = load(str(source), split)
    return found


def texts(collection: Collection) -> dict[str, str]:
    return {document.id: document.text for document in collection.documents}


def format_of(folder: Path) -> str:
    found = recognise(folder)
    assert found is not None
    return found[0]


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


@pytest.mark.parametrize("place", ["qrels/test.jsonl", "qrels.jsonl"])
def test_mteb_as_json_lines(tmp_path: Path, place: str) -> None:
    write(tmp_path / "corpus.jsonl.gz", [{"_id": "d1", "title": "T", "text": "one"}])
    write(tmp_path / "queries.jsonl", [{"_id": "q1", "text": "first"}])
    write(tmp_path / place, [{"query-id": "q1", "corpus-id": "d1", "score": 1.0}])
    found = only(tmp_path)
    assert format_of(tmp_path) == "BEIR, MTEB or CoIR"
    assert (texts(found), found.queries) == ({"d1": "one"}, {"q1": "first"})
    assert found.judgements == {"q1": {"d1": 1}}


def test_mteb_as_parquet_in_shards(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def put(path: Path, rows: list[dict[str, Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)

    put(tmp_path / "corpus/corpus-00000-of-00002.parquet", [{"_id": "d1", "text": "one"}])
    put(tmp_path / "corpus/corpus-00001-of-00002.parquet", [{"_id": "d2", "text": "two"}])
    put(tmp_path / "queries/queries-00000-of-00001.parquet", [{"_id": "q1", "text": "first"}])
    qrels = [{"query-id": "q1", "corpus-id": "d2", "score": 1}]
    put(tmp_path / "data/test-00000-of-00001.parquet", qrels)
    found = only(tmp_path)
    assert texts(found) == {"d1": "one", "d2": "two"}
    assert found.judgements == {"q1": {"d2": 1}}


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("corpus", "queries", "qrels"):
        write(tmp_path / name / "test.parquet", "PAR1")
    with pytest.raises(MissingDependency, match="pip install pyarrow"):
        load(str(tmp_path))


def test_coir(tmp_path: Path) -> None:
    shared = {"partition": "test", "title": "", "language": "python", "meta_information": {}}
    write(tmp_path / "corpus" / "corpus.jsonl", [shared | {"_id": "d1", "text": "def f(): ..."}])
    write(tmp_path / "queries" / "queries.jsonl", [shared | {"_id": "q1", "text": "a function"}])
    write(tmp_path / "qrels" / "test.jsonl", [{"query_id": "q1", "corpus_id": "d1", "score": 1}])
    found = only(tmp_path)
    assert texts(found) == {"d1": "def f(): ..."}
    assert (found.queries, found.judgements) == ({"q1": "a function"}, {"q1": {"d1": 1}})


def test_mldr(tmp_path: Path) -> None:
    folder = tmp_path / "mldr-v1.0-en"
    long = [{"docid": f"doc-en-{n}", "text": f"long text {n}"} for n in (1, 2, 3)]
    write(folder / "corpus.jsonl.gz", long)
    query = {"query_id": "q-en-1", "query": "what?"}
    passages = {"positive_passages": [long[0]], "negative_passages": [long[1]]}
    write(folder / "test.jsonl.gz", [query | passages])
    write(folder / "dev.jsonl.gz", [query | passages | {"query_id": "q-en-2"}])
    assert format_of(folder) == "MLDR"
    found = only(folder)
    assert (found.name, found.queries) == ("mldr-v1.0-en", {"q-en-1": "what?"})
    assert found.judgements == {"q-en-1": {"doc-en-1": 1, "doc-en-2": 0}}
    assert len(found.documents) == 3
    assert list(only(folder, "dev").queries) == ["q-en-2"]
    assert [one.name for one in load(str(tmp_path))] == ["mldr-v1.0-en"], "all the languages"


def test_longembed(tmp_path: Path) -> None:
    folder = tmp_path / "narrativeqa"
    write(folder / "corpus.jsonl", [{"doc_id": "d1", "text": "a tale"}])
    write(folder / "queries.jsonl", [{"qid": "q1", "text": "who?"}])
    write(folder / "qrels.jsonl", [{"qid": "q1", "doc_id": "d1"}])
    assert format_of(folder) == "LongEmbed"
    found = only(folder)
    assert (texts(found), found.judgements) == ({"d1": "a tale"}, {"q1": {"d1": 1}})


def test_longembed_of_several_lengths(tmp_path: Path) -> None:
    folder = tmp_path / "passkey"
    lengths = (256, 512)
    own = [{"context_length": length, "text": f"key {length}"} for length in lengths]
    write(folder / "corpus.jsonl", [r | {"doc_id": f"d{r['context_length']}"} for r in own])
    write(folder / "queries.jsonl", [r | {"qid": f"q{r['context_length']}"} for r in own])
    write(folder / "qrels.jsonl", [{"qid": f"q{n}", "doc_id": f"d{n}"} for n in lengths])
    found = load(str(folder))
    assert [(one.name, one.split) for one in found] == [
        ("passkey_256", "test_256"),
        ("passkey_512", "test_512"),
    ]
    assert [list(texts(one)) for one in found] == [["d256"], ["d512"]]
    assert [one.warnings for one in found] == [(), ()]
    assert only(folder, "test_512").name == "passkey_512"


def function(name: str, language: str = "python") -> dict[str, Any]:
    """A line of CodeSearchNet."""
    return {
        "repo": "o/r",
        "path": "m.py",
        "func_name": name,
        "original_string": f'def {name}():\n    """Does {name}."""\n    pass',
        "language": language,
        "code": f'def {name}():\n    """Does {name}."""\n    pass',
        "code_tokens": ["def", name, "(", ")", ":", "pass"],
        "docstring": f"Does {name}.",
        "docstring_tokens": ["Does", name, "."],
        "sha": "0" * 40,
        "url": f"https://github.com/o/r/blob/0/m.py#{name}",
        "partition": "test",
    }


def test_codesearchnet(tmp_path: Path) -> None:
    for language in ("python", "go"):
        place = tmp_path / "csn" / language / "final" / "jsonl" / "test"
        rows = [function(f"{language}_{n}", language) for n in range(2)]
        write(place / f"{language}_test_0.jsonl.gz", rows)
    assert format_of(tmp_path / "csn") == "CodeSearchNet"
    found = load(str(tmp_path / "csn"))
    assert [one.name for one in found] == ["csn-go", "csn-python"]
    python = found[1]
    url = function("python_0")["url"]
    assert python.queries[url] == "Does python_0 ."
    assert texts(python)[url] == 'def python_0():\n    """"""\n    pass'
    assert python.judgements[url] == {url: 1}


def test_codesearchnet_searched_in_a_codebase(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [function("f")])
    write(tmp_path / "codebase.jsonl", [function("f"), function("g")])
    found = only(tmp_path)
    assert (len(found.queries), len(found.documents)) == (1, 2)


def test_codesearchnet_annotated(tmp_path: Path) -> None:
    write(tmp_path / "python/final/jsonl/test/python_test_0.jsonl.gz", [function("f")])
    url = function("f")["url"]
    rows = [
        f"Python,Convert int to string,{url},3,",
        f'Python,"sort, by key",{url},0,"not it, at all"',
        "Python,sort string list,https://github.com/o/r/blob/0/gone.py#L1-L2,2,",
        f"Python,convert int to string,{url},2,again",
        f"Go,priority queue,{url},1,",
    ]
    write(
        tmp_path / "annotationStore.csv",
        "Language,Query,GitHubUrl,Relevance,Notes\n" + "\n".join(rows),
    )
    found = only(tmp_path, "annotated")
    assert found.judgements["convert_int_to_string"] == {url: 2}
    assert found.queries == {
        "convert_int_to_string": "convert int to string",
        "sort,_by_key": "sort, by key",
        "sort_string_list": "sort string list",
    }
    assert [warning.split()[0] for warning in found.warnings] == ["1", "1", "1"]
    assert "annotated twice; the last counts" in found.warnings[0]
    assert "not in the corpus" in found.warnings[1]


def test_cosqa(tmp_path: Path) -> None:
    codes = {"def f(): pass": 0, "def g(): pass": 1}
    write(tmp_path / "code_idx_map.txt", json.dumps(codes))
    pair = {
        "idx": "cosqa-train-15300",
        "doc": "python g function",
        "code": "def g(): pass",
        "code_tokens": "def g ( ) : pass",
        "docstring_tokens": "",
        "label": 1,
        "retrieval_idx": 1,
    }
    write(tmp_path / "cosqa-retrieval-test-500.json", json.dumps([pair]))
    assert format_of(tmp_path) == "CoSQA"
    found = only(tmp_path)
    assert texts(found) == {"0": "def f(): pass", "1": "def g(): pass"}
    assert found.queries == {"cosqa-train-15300": "python g function"}
    assert found.judgements == {"cosqa-train-15300": {"1": 1}}


def test_advtest(tmp_path: Path) -> None:
    row = function("f") | {"idx": 7, "function_tokens": ["def", "Func", "(", "arg_0", ")", ":"]}
    write(tmp_path / "test.jsonl", [row])
    assert format_of(tmp_path) == "AdvTest"
    found = only(tmp_path)
    assert texts(found) == {"7": "def Func ( arg_0 ) :"}
    assert found.queries == {"7": "Does f ."}


TOPICS = """<top>
<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations.

<narr> Narrative:
Any.
</top>
<top>
<num>302</num><title>Poliomyelitis &amp; Post-Polio</title>
</top>
"""
DOCUMENTS = """<DOC>
<DOCNO> FT911-1 </DOCNO>
<HEADLINE>FT  14 MAY 91</HEADLINE>
<TEXT>
Crime &amp; order.
</TEXT>
</DOC>
<DOC><DOCNO>FT911-2</DOCNO><TEXT>Polio.</TEXT></DOC>
"""


def test_trec(tmp_path: Path) -> None:
    write(tmp_path / "topics.txt", TOPICS)
    write(tmp_path / "qrels.txt", "301 0 FT911-1 1\n302 0 FT911-2 -1\n302 0 FT911-1 1\n")
    write(tmp_path / "ft.trec.gz", DOCUMENTS)
    assert format_of(tmp_path) == "TREC"
    found = only(tmp_path)
    assert found.queries == {
        "301": "International Organized Crime",
        "302": "Poliomyelitis & Post-Polio",
    }
    assert [(d.id, d.title, d.text) for d in found.documents] == [
        ("FT911-1", "FT 14 MAY 91", "Crime & order."),
        ("FT911-2", "", "Polio."),
    ]
    assert found.judgements["302"] == {"FT911-2": -1, "FT911-1": 1}


def test_trec_as_ms_marco_lays_it_out(tmp_path: Path) -> None:
    write(tmp_path / "queries.dev.tsv", "2\twho?\n")
    write(tmp_path / "collection.tsv", "7\ta passage\n8\tanother\n")
    write(tmp_path / "qrels.dev.tsv", "2\t0\t7\t1\n")
    found = only(tmp_path)
    assert (found.split, found.queries, texts(found)) == (
        "dev",
        {"2": "who?"},
        {"7": "a passage", "8": "another"},
    )


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


def test_the_names_of_ir_datasets_are_found_without_a_network() -> None:
    pytest.importorskip("ir_datasets")
    from retrieval.eval.datasets.named import _find

    dataset, name = _find("beir/scifact", None)
    assert (name, dataset.has_qrels()) == ("beir/scifact/test", True)
    with pytest.raises(InputError, match="neither a folder here nor"):
        load("beir/no-such-collection")


def test_without_ir_datasets_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(MissingDependency, match=r"modernbert-retrieval\[eval\]"):
        load("beir/scifact")
