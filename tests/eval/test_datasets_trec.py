"""TREC's topics, judgements, documents and runs, each in the published format.

The formats are those of: trec_eval, get_qrels.c, get_trec_results.c, test/qrels.test and
test/results.test; ir-datasets, ir_datasets/formats/trec.py (topics, documents and which of their
parts are text) and the file names in ir_datasets/etc/downloads.json.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.errors import InputError
from retrieval.eval.datasets import load, read_run
from retrieval.eval.datasets.formats.trec import qrels_of
from retrieval.eval.systems.run_file import RunFile
from tests.eval.dataset_files import format_of, only, texts, write

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
<PROFILE>_AN-BEOA7AAIFT</PROFILE>
<DATE>910514
</DATE>
<HEADLINE>FT  14 MAY 91</HEADLINE>
<TEXT>
Crime &amp; order.
</TEXT>
<PUB>The Financial Times
</PUB>
</DOC>
<DOC><DOCNO>FT911-2</DOCNO><TEXT>Polio.</TEXT></DOC>
"""


def test_trec(tmp_path: Path) -> None:
    write(tmp_path / "topics.301-350", TOPICS)
    write(
        tmp_path / "qrels.trec6.adhoc.parts1-5",
        "301 0 FT911-1 1\n302 0 FT911-2 -1\n302 0 FT911-1 1\n",
    )
    write(tmp_path / "ft.trec.gz", DOCUMENTS)
    assert format_of(tmp_path) == "TREC"
    found = only(tmp_path)
    assert found.queries == {
        "301": "International Organized Crime",
        "302": "Poliomyelitis & Post-Polio",
    }
    assert [(d.id, d.title, d.text) for d in found.documents] == [
        ("FT911-1", "FT 14 MAY 91", "910514 Crime & order."),
        ("FT911-2", "", "Polio."),
    ]
    assert found.judgements["302"] == {"FT911-2": -1, "FT911-1": 1}


def test_a_topic_without_a_title_asks_its_description(tmp_path: Path) -> None:
    topics = "<top>\n<num> Number: 7\n<desc> Description:\nWho flies\nsouth?\n</top>\n"
    write(tmp_path / "topics.txt", topics)
    write(tmp_path / "qrels.txt", "7 0 FT911-2 1\n")
    write(tmp_path / "docs.sgml", DOCUMENTS)
    assert only(tmp_path).queries == {"7": "Who flies south?"}


def test_titles_and_all_files_of_documents(tmp_path: Path) -> None:
    write(tmp_path / "topics.txt", " 1 \t birds \n\n")
    write(tmp_path / "qrels.txt", "1 0 a 1\n")
    write(tmp_path / "a.trec", "<DOC><DOCNO>a</DOCNO><TITLE>Hens</TITLE>They\nsit.</DOC>")
    write(tmp_path / "b.trec", "<DOC>\n<DOCNO>b</DOCNO><TEXT>Geese.</TEXT>\n</DOC>\n")
    assert only(tmp_path).queries == {"1": "birds"}
    found = [(d.id, d.title, d.text) for d in only(tmp_path).documents]
    assert found == [("a", "Hens", "They sit."), ("b", "", "Geese.")]
    write(tmp_path / "c.trec", "<DOC>\n<DOCNO>c</DOCNO><TEXT>Du")
    with pytest.raises(InputError, match=r"c\.trec: the last <DOC> has no </DOC>; .* cut off"):
        load(str(tmp_path))
    write(tmp_path / "c.trec", "<DOC>\n<TEXT>Ducks.</TEXT>\n</DOC>\n")
    with pytest.raises(InputError, match=r"c\.trec:3: a <DOC> without <DOCNO>"):
        load(str(tmp_path))
    write(tmp_path / "corpus.jsonl", [{"id": "a", "title": "Hens", "text": "They sit."}])
    found = [(d.id, d.title, d.text) for d in only(tmp_path).documents]
    assert found == [("a", "Hens", "They sit.")]


def test_trec_as_ms_marco_lays_it_out(tmp_path: Path) -> None:
    write(tmp_path / "queries.dev.tsv", "2\twho?\n3\twhere?\n")
    write(tmp_path / "queries.dev.small.tsv", "2\twho?\n")
    write(tmp_path / "queries.train.tsv", "4\twhen?\n")
    write(tmp_path / "collection.tsv", "7\ta passage\n8\tanother\n")
    write(tmp_path / "qrels.dev.small.tsv", "2\t0\t7\t1\n")
    write(tmp_path / "qrels.train.tsv", "4\t0\t8\t1\n")
    found = only(tmp_path, "dev.small")
    assert (found.split, found.queries, texts(found)) == (
        "dev.small",
        {"2": "who?"},
        {"7": "a passage", "8": "another"},
    )
    assert only(tmp_path, "train").queries == {"4": "when?"}
    with pytest.raises(InputError, match=r"no split 'test'; choose from: dev\.small, train"):
        load(str(tmp_path))
    (tmp_path / "queries.train.tsv").unlink()
    with pytest.raises(InputError, match=r"judgements are of 'train'; .*queries\.train\.tsv"):
        load(str(tmp_path), "train")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("qrels.txt", "test"),
        ("dev.qrels", "dev"),
        ("2019qrels-pass.txt", "2019-pass"),
        ("qrels.robust2004.txt", "robust2004"),
        ("qrels-covid_d5_j0.5-5.txt", "covid_d5_j0.5-5"),
        ("qrels.mldr-v1.0-en-dev.tsv.gz", "mldr-v1.0-en-dev"),
    ],
)
def test_the_split_of_trec_is_the_rest_of_the_name(tmp_path: Path, name: str, split: str) -> None:
    write(tmp_path / name, "1 0 d1 1\n")
    assert list(qrels_of(tmp_path)) == [split]


@pytest.mark.parametrize(
    "topics",
    [
        '<topics task="COVIDSearch"><topic number="1"><query>virus origin</query>'
        "<question>what is the origin</question><narrative>n</narrative></topic></topics>",
        '<webtrack2009><topic number="1" type="faceted"><query>virus origin</query>'
        '<description>d</description><subtopic number="1" type="inf">s</subtopic></topic>'
        "</webtrack2009>",
        '<topics><topic number="1">\n virus origin\n</topic></topics>',
        "<topics><topic><number> 1 </number><title>virus\norigin</title></topic></topics>",
    ],
)
def test_topics_of_xml(tmp_path: Path, topics: str) -> None:
    write(tmp_path / "topics-rnd5.xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{topics}')
    write(tmp_path / "qrels-rnd5.txt", "1 4.5 d1 2\n")
    write(tmp_path / "corpus.jsonl", [{"id": "d1", "contents": "text"}])
    found = only(tmp_path)
    assert (found.queries, texts(found)) == ({"1": "virus origin"}, {"d1": "text"})


def test_a_run_as_trec_eval_has_it(tmp_path: Path) -> None:
    run = "301\tQ0\tFR94-2-00150\t104\t  2.129133\tSTANDARD\n301 Q0 FR94-2-00151 3 2 STANDARD\n"
    found = read_run(write(tmp_path / "results.test", run))
    assert found == {"301": {"FR94-2-00150": 2.129133, "FR94-2-00151": 2.0}}


def latin_1(folder: Path, name: str = "A-1") -> Path:
    """A collection whose files are as TREC's old ones, with `name` for a document."""
    topics = "<top>\n<num> Number: 1\n<title> caf\xe9\n<desc> caf\xe9s\n</top>\n"
    body = f"<DOC><DOCNO>{name}</DOCNO><TEXT>\x93caf\xe9\x94</TEXT></DOC>\n"
    (folder / "topics.1").write_bytes(topics.encode("latin-1"))
    (folder / "qrels.txt").write_bytes(f"1 0 {name} 1\n".encode("latin-1"))
    (folder / "docs.trec").write_bytes(
        body.encode("latin-1") + "<DOC><DOCNO>2</DOCNO>é</DOC>".encode()
    )
    return folder


def test_files_of_trec_that_are_not_utf_8_are_read_and_told(tmp_path: Path) -> None:
    found = only(latin_1(tmp_path))
    assert found.queries == {"1": "café"}
    assert texts(found) == {"A-1": "“café”", "2": "é"}, "what is UTF-8 stays so"
    assert [warning.split(";")[0] for warning in found.warnings] == [
        "docs.trec has 1 line that is not UTF-8",
        "topics.1 has 2 lines that are not UTF-8",
    ]


def test_an_id_in_another_encoding_is_the_same_id(tmp_path: Path) -> None:
    found = only(latin_1(tmp_path, "Å-1"))
    assert found.judgements == {"1": {"Å-1": 1}}
    assert any(warning.startswith("qrels.txt has 1 line") for warning in found.warnings)
    run = tmp_path / "run.trec"
    run.write_bytes("1 Q0 Å-1 1 2.5 x\n".encode("latin-1"))
    system = RunFile(run)
    assert system.search({"1": "café"}, 10) == {"1": {"Å-1": 2.5}}
    assert system.warnings[0].startswith("run.trec has 1 line that is not UTF-8")


def test_utf_16_is_no_latin_1(tmp_path: Path) -> None:
    latin_1(tmp_path)
    (tmp_path / "qrels.txt").write_bytes("1 0 A-1 1\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"qrels\.txt is not text, or is UTF-16; .* iconv"):
        load(str(tmp_path))


def test_a_byte_order_mark_is_no_part_of_an_id(tmp_path: Path) -> None:
    latin_1(tmp_path)
    (tmp_path / "qrels.txt").write_bytes("\ufeff1 0 A-1 1\n".encode())
    assert only(tmp_path).judgements == {"1": {"A-1": 1}}
