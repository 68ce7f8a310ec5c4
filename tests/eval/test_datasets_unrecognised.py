"""A folder that is no collection is refused in one line: what it holds, what is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retrieval.errors import InputError
from retrieval.eval.datasets import load
from tests.eval.dataset_files import write


@pytest.mark.parametrize(
    ("files", "folder", "said"),
    [
        ({}, "", "holds nothing; expected one of: AdvTest, CoSQA, LongEmbed, MLDR, CodeSearchNet"),
        ({"a.txt": "", "b/c.txt": ""}, "", "holds a.txt, b/; expected one of"),
        ({"cosqa-qrels/data/test.jsonl": ""}, "cosqa-qrels", "put cosqa-queries-corpus (CoIR)"),
        (
            {"corpus.jsonl": "{}", "queries.jsonl": "{}"},
            "",
            "judgements are missing: expected qrels/SPLIT.tsv",
        ),
        (
            {"corpus.jsonl": "{}", "qrels/test.tsv": ""},
            "",
            "queries.jsonl of BEIR's format is missing beside the judgements",
        ),
        (
            {"queries.jsonl": "{}", "qrels/test.tsv": ""},
            "",
            "corpus.jsonl of BEIR's format is missing beside the judgements",
        ),
        (
            {"x-queries-corpus/data/corpus.jsonl": "", "x-queries-corpus/data/queries.jsonl": ""},
            "x-queries-corpus",
            "or the folder x-qrels beside it",
        ),
        ({"resources/annotationStore.csv": ""}, "", "unpack its archives into data/"),
        ({"cosqa-dev.json": "[]"}, "", "needs cosqa-retrieval-SPLIT-500.json and code_idx_map.txt"),
        ({"corpus.jsonl": '{"docid": "d"}'}, "", "queries of MLDR are missing"),
        ({"qrels.robust04.txt": ""}, "", "topics*.txt or queries*.tsv and documents are needed"),
        ({"python.zip": ""}, "", "unpack the archives first"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, files: dict[str, str], folder: str, said: str
) -> None:
    for name, content in files.items():
        write(tmp_path / name, content)
    with pytest.raises(InputError, match=re.escape(said)) as raised:
        load(str(tmp_path / folder))
    assert "is in no format that is known" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_collection_deeper_in_it_is_named(tmp_path: Path) -> None:
    place = tmp_path / "CoCLR" / "data" / "search"
    write(place / "code_idx_map.txt", '{"def f(): ...": 0}')
    row = '[{"idx": "q", "doc": "f", "retrieval_idx": 0}]'
    write(place / "cosqa-retrieval-test-500.json", row)
    write(tmp_path / "CoCLR" / "code" / "broken" / "test.jsonl", "{not JSON\n")
    with pytest.raises(InputError, match=re.escape("data/search in it is CoSQA: give that folder")):
        load(str(tmp_path / "CoCLR"))
