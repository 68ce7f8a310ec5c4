"""CodeSearchNet, its annotated queries, CoSQA and AdvTest, each in the published format.

The formats are those of: CodeSearchNet, README.md, resources/README.md,
resources/annotationStore.csv and src/relevanceeval.py; CoSQA, data/search of CoCLR
(cosqa-retrieval-test-500.json, code_idx_map.txt); AdvTest, Text-Code/NL-code-search-Adv of
CodeXGLUE (README.md, code/run.py), the rows of whose test file are those of CodeSearchNet's
function_parser/function_parser/process.py; as parquet, code_x_glue_tc_nl_code_search_adv.py and the
card of code_search_net.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.eval.datasets import load
from retrieval.eval.datasets.averaging import averaged
from retrieval.eval.datasets.shared_urls import Ids
from tests.eval.dataset_files import format_of, only, texts, write, write_parquet

BLOB = "https://github.com/o/r/blob/0123456789abcdef0123456789abcdef01234567"


def function(name: str, language: str = "python") -> dict[str, Any]:
    """A line of CodeSearchNet."""
    return {
        "repo": "o/r",
        "path": "m.py",
        "func_name": name,
        "original_string": f'def {name}():\n    """Does {name}."""\n    return 1',
        "language": language,
        "code": f'def {name}():\n    """Does {name}."""\n    return 1',
        "code_tokens": ["def", name, "(", ")", ":", "return", "1"],
        "docstring": f"Does {name}.",
        "docstring_tokens": ["Does", name, "."],
        "sha": "0123456789abcdef0123456789abcdef01234567",
        "url": f"{BLOB}/m.py#{name}",
        "partition": "test",
    }


def test_codesearchnet(tmp_path: Path) -> None:
    data = tmp_path / "resources" / "data"
    for language in ("python", "go"):
        for split in ("train", "valid", "test"):
            rows = [function(f"{language}_{split}_{n}", language) for n in range(2)]
            place = data / language / "final" / "jsonl" / split
            write(place / f"{language}_{split}_0.jsonl.gz", rows)
        write(data / f"{language}_licenses.pkl", "")
    for folder in (data, data.parent, tmp_path):
        assert format_of(folder) == "CodeSearchNet"
        assert [one.name for one in load(str(folder))] == [
            f"{folder.name}-go",
            f"{folder.name}-python",
        ]
    assert format_of(data / "python") == "CodeSearchNet", "one archive"
    python = load(str(data))[1]
    url = function("python_test_0")["url"]
    assert python.queries[url] == "Does python_test_0 ."
    assert texts(python)[url] == 'def python_test_0():\n    """"""\n    return 1'
    assert (python.judgements[url], len(python.documents)) == ({url: 1}, 2)
    assert len(load(str(data), "valid")) == 2


def test_codesearchnet_as_parquet(tmp_path: Path) -> None:
    row = function("f")
    hub = {
        "repository_name": row["repo"],
        "func_path_in_repository": row["path"],
        "func_name": row["func_name"],
        "whole_func_string": row["original_string"],
        "language": row["language"],
        "func_code_string": row["code"],
        "func_code_tokens": row["code_tokens"],
        "func_documentation_string": row["docstring"],
        "func_documentation_tokens": row["docstring_tokens"],
        "split_name": "validation",
        "func_code_url": row["url"],
    }
    write_parquet(tmp_path / "python" / "validation-00000-of-00001.parquet", [hub])
    write(tmp_path / "flat" / "validation.jsonl", [row])
    parquet, flat = only(tmp_path / "python"), only(tmp_path / "flat")
    assert (parquet.split, parquet.sha256) == ("validation", flat.sha256)


def test_codesearchnet_searched_in_a_codebase(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [function("f")])
    write(tmp_path / "codebase.jsonl", [function("f"), function("g")])
    found = only(tmp_path)
    assert (len(found.queries), len(found.documents)) == (1, 2)


def test_only_the_docstring_itself_is_taken_out(tmp_path: Path) -> None:
    rows = [
        function("f") | {"code": '"""Says hi."""\nprint("Says hi.")', "docstring": "Says hi."},
        function("g") | {"code": "a  b", "docstring": "  "},
    ]
    write(tmp_path / "test.jsonl", rows)
    assert list(texts(only(tmp_path)).values()) == ['""""""\nprint("Says hi.")', "a  b"]


def test_a_docstring_that_is_not_cut_into_tokens_is_asked_as_it_is(tmp_path: Path) -> None:
    row = function("f")
    del row["docstring_tokens"], row["code_tokens"]
    write(tmp_path / "csn" / "test.jsonl", [row])
    assert list(only(tmp_path / "csn").queries.values()) == ["Does f."]


def test_languages_of_one_file_are_collections_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "all" / "test.jsonl", [function("f"), function("g", "Go"), function("h")])
    go, python = load(str(tmp_path / "all"))
    assert (go.name, python.name) == ("all-go", "all-python")
    assert set(texts(go)) == set(go.queries) == {function("g")["url"]}
    assert set(texts(python)) == set(python.queries) == {function(n)["url"] for n in "fh"}


def sharing(*rows: tuple[str, str, str]) -> list[dict[str, Any]]:
    """Lines of code, docstring and URL."""
    return [
        function("f")
        | {"code": code, "docstring": asked, "docstring_tokens": asked.split(), "url": url}
        for code, asked, url in rows
    ]


SHARING = sharing(
    ("a = 1", "sets a", "u"),
    ("c = 1", "sets c", "v"),
    ("b = 1", "sets b", "u"),
    ("d = 1", "sets b", "u"),
    ("b = 1", "sets b", "u"),
    ("b = 1", "is b", "u"),
)


def test_functions_of_one_url_are_each_their_own(tmp_path: Path) -> None:
    """As in MrrSearchTester of the repository's model_test.py, where a pair is a line."""
    write(tmp_path / "test.jsonl", SHARING)
    found = only(tmp_path)
    assert texts(found) == {"u": "a = 1", "v": "c = 1", "u~2": "b = 1", "u~3": "d = 1"}
    pairs = {
        (found.queries[query], document)
        for query, grades in found.judgements.items()
        for document in grades
    }
    assert pairs == {
        ("sets a", "u"), ("sets c", "v"), ("sets b", "u~2"), ("sets b", "u~3"), ("is b", "u~2")
    }  # fmt: skip
    assert (len(found.queries), found.unjudged) == (5, 0)
    assert found.warnings[0].startswith("3 different functions share 1 URL (such as 'u'); they")
    assert [warning.split(" ", 1)[0] for warning in found.warnings[1:]] == ["1", "1", "2"]
    assert texts(found) == texts(found), "ids are the same each time"


def test_functions_of_one_url_in_a_codebase(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", sharing(("b = 1", "sets b", "u"), ("e = 1", "sets e", "u")))
    write(tmp_path / "codebase.jsonl", SHARING)
    found = only(tmp_path)
    grades = {found.queries[id]: set(own) for id, own in found.judgements.items()}
    assert grades == {"sets b": {"u~2"}, "sets e": {"u", "u~2", "u~3"}}


def test_an_annotation_of_a_shared_url_counts_for_each_function(tmp_path: Path) -> None:
    write(tmp_path / "python/final/jsonl/test/python_test_0.jsonl.gz", SHARING)
    rows = "Language,Query,GitHubUrl,Relevance,Notes\nPython,set,u,2,\nPython,set,v,0,\n"
    write(tmp_path / "annotationStore.csv", rows)
    found = only(tmp_path, "annotated")
    assert found.judgements == {"set": {"u": 2, "u~2": 2, "u~3": 2, "v": 0}}
    assert "a judgement of their URL counts for each of them" in found.warnings[0]


@given(st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"))))
def test_ids_tell_apart_what_differs(pairs: list[tuple[str, str]]) -> None:
    ids = Ids(iter(pairs))
    named = {pair: ids.of(*pair) for pair in pairs}
    assert len(set(named.values())) == len(named)
    for url in {url for url, _ in pairs}:
        own = [id for pair, id in named.items() if pair[0] == url]
        assert url in own
        assert sorted(ids.meant(url)) == sorted(own)
        assert all(ids.meant(*pair) == [id] for pair, id in named.items() if pair[0] == url)
    assert len(list(ids.warnings(""))) == (len({u for u, _ in named}) < len(named))


def test_codesearchnet_annotated(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data / "python/final/jsonl/train/python_train_0.jsonl.gz", [function("f")])
    write(data / "python/final/jsonl/test/python_test_0.jsonl.gz", [function("g")])
    f, g = function("f")["url"], function("g")["url"]
    rows = [
        f"Python,Convert int to string,{f},3,",
        f'Python,"sort, by key",{g},0,"not it,\r\nat all"',
        f"Python,sort string list,{BLOB}/with space/gone.py#L1-L2,2,",
        f"Python,convert int to string,{f},2,again",
        f"Python,convert int to string,{f},2,and again",
        f"Python,convert int to string,{g},0,",
        f"Python,convert int to string,{g},1,",
        f"Python,sort string list,{f},1,",
        f"Python,sort string list,{f},1,",
        f"Go,priority queue,{f},1,",
    ]
    header = "Language,Query,GitHubUrl,Relevance,Notes\r\n"
    write(tmp_path / "annotationStore.csv", header + "\r\n".join(rows) + "\r\n")
    found = only(tmp_path, "annotated")
    assert found.judgements == {
        "convert_int_to_string": {f: 2, g: 1},
        "sort,_by_key": {g: 0},
        "sort_string_list": {f"{BLOB}/with space/gone.py#L1-L2": 2, f: 1},
    }
    assert found.queries == {
        "convert_int_to_string": "convert int to string",
        "sort,_by_key": "sort, by key",
        "sort_string_list": "sort string list",
    }
    assert set(texts(found)) == {f, g}, "functions of all splits are searched"
    assert found.warnings[0].startswith("3 pairs are annotated several times, 2 of them with diff")
    assert [warning.split()[0] for warning in found.warnings] == ["3", "1", "1"]
    assert only(data, "annotated").judgements == found.judgements


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_several_annotations_of_a_pair_are_averaged(grades: list[int]) -> None:
    (mean,), said = averaged(("q", "d", grade) for grade in grades)
    assert abs(mean[2] - sum(grades) / len(grades)) <= 0.5
    assert averaged(("q", "d", grade) for grade in reversed(grades))[0] == [mean]
    assert bool(said) == (len(grades) > 1)


def test_cosqa(tmp_path: Path) -> None:
    codes = {'def f():\n    """One."""': 0, 'def g():\n    """Two."""': 1}
    write(tmp_path / "code_idx_map.txt", json.dumps(codes, indent=1))
    pair = {
        "idx": "cosqa-train-15300",
        "doc": "python g function",
        "code": 'def g():\n    """Two."""',
        "code_tokens": "def g ( ) :",
        "docstring_tokens": "Two .",
        "label": 1,
        "retrieval_idx": 1,
    }
    for split in ("dev", "test"):
        name = f"cosqa-retrieval-{split}-500.json"
        write(tmp_path / name, json.dumps([pair | {"idx": f"cosqa-train-{split}"}], indent=1))
    write(tmp_path / "cosqa-retrieval-train-19604.json", json.dumps([pair | {"label": 0}, pair]))
    assert format_of(tmp_path) == "CoSQA"
    found = only(tmp_path)
    assert texts(found) == {"0": 'def f():\n    """One."""', "1": 'def g():\n    """Two."""'}
    assert found.queries == {"cosqa-train-test": "python g function"}
    assert found.judgements == {"cosqa-train-test": {"1": 1}}
    assert list(only(tmp_path, "dev").queries) == ["cosqa-train-dev"]
    with pytest.raises(InputError, match="is judged 0 and 1"):
        load(str(tmp_path), "train")


def adversarial(number: int) -> dict[str, Any]:
    """A line of AdvTest's valid and test files."""
    return {
        "nwo": "o/r",
        "sha": "0123456789abcdef0123456789abcdef01234567",
        "path": "m.py",
        "language": "python",
        "identifier": "f",
        "parameters": "(arg_0)",
        "argument_list": "",
        "return_statement": "",
        "docstring": "Does f.\n\n    At length.",
        "docstring_summary": "Does f.",
        "docstring_tokens": ["Does", "f", "."],
        "function": 'def Func(arg_0):\n    """Does f.\n\n    At length."""',
        "function_tokens": ["def", "Func", "(", "arg_0", ")", ":"],
        "url": f"{BLOB}/m.py#L{number}-L9",
        "score": -1.0,
        "idx": number,
    }


def test_advtest(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [adversarial(0), adversarial(7)])
    write(tmp_path / "valid.jsonl", [adversarial(3)])
    row = function("f") | {"idx": 0}
    del row["partition"]
    write(tmp_path / "train.jsonl", [row])
    assert format_of(tmp_path) == "AdvTest"
    found = only(tmp_path)
    assert texts(found) == dict.fromkeys(("0", "7"), "def Func ( arg_0 ) :")
    assert found.queries == dict.fromkeys(("0", "7"), "Does f .")
    assert found.judgements == {"0": {"0": 1}, "7": {"7": 1}}
    assert texts(only(tmp_path, "train")) == {"0": "def f ( ) : return 1"}


def test_advtest_in_shards(tmp_path: Path) -> None:
    for n in range(2):
        write(tmp_path / f"data/test-{n:05}-of-00002.jsonl", [adversarial(n)])
    found = only(tmp_path)
    assert format_of(tmp_path) == "AdvTest"
    assert list(texts(found)) == list(found.queries) == ["0", "1"]


def test_advtest_as_parquet(tmp_path: Path) -> None:
    row = adversarial(0)
    renamed = {"function": "code", "function_tokens": "code_tokens", "idx": "id"}
    hub = {renamed.get(name, name): value for name, value in row.items()}
    hub |= {"repo": "", "func_name": "", "original_string": ""}
    write_parquet(tmp_path / "hub/data/test-00000-of-00001.parquet", [hub])
    write(tmp_path / "files/test.jsonl", [row])
    assert format_of(tmp_path / "hub") == "AdvTest"
    assert only(tmp_path / "hub").sha256 == only(tmp_path / "files").sha256
