"""Records out of XML books and articles, and out of train splits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.text.sources import train_pairs, xml_sections
from retrieval.errors import DocumentError
from retrieval.train.pairs import Record


def _prose(characters: int, word: str) -> str:
    return (f"{word} " * characters)[:characters].strip()


def test_cnxml() -> None:
    first, second = _prose(250, "one"), _prose(250, "two")
    data = f"""<document xmlns="http://cnx.rice.edu/cnxml"><title>Moving things</title>
      <metadata xmlns:md="x"><md:title>Again</md:title></metadata>
      <content><para>{first} <emphasis>now</emphasis> (<link>Figure</link>)</para>
        <figure><caption>left out</caption></figure>
        <section><title>Newton's laws</title><?skip this?>
          <note><title>left out</title><para>{second}<footnote>left out</footnote>.</para></note>
          <exercise><problem><para>left out</para></problem></exercise>
          <list><item>a</item><item>b</item></list>
        </section></content></document>"""
    assert list(xml_sections(data.encode())) == [
        Record(f"{first} now (Figure)", "Moving things", "Moving things"),
        Record(f"{second}.\n\na; b", "Moving things", "Newton's laws"),
    ]


def test_jats() -> None:
    abstract, body = _prose(250, "sum"), _prose(250, "cell")
    data = f"""<article><front><article-meta>
        <title-group><article-title>How cells move</article-title></title-group>
        <abstract><sec><title>Aim</title><p>{abstract}</p></sec></abstract></article-meta></front>
      <body><sec><title>Results</title><p>{body} [<xref ref-type="bibr">1</xref>].</p></sec></body>
    </article>"""
    assert list(xml_sections(data.encode())) == [
        Record(abstract, "", "How cells move"),
        Record(f"{body}.", "How cells move", "How cells move: Results"),
    ]


def test_broken_xml_is_refused() -> None:
    with pytest.raises(DocumentError, match="not well-formed"):
        list(xml_sections(b"<document><para>"))


def test_train_pairs_keep_to_the_train_split(tmp_path: Path) -> None:
    parts = [_prose(1400, word) for word in ("apple", "banana", "cherry")]
    documents = {"d1": "\n\n".join(parts), "d2": parts[0], "shared": parts[1], "short": "too short"}
    queries = {"q1": "where is the banana", "q2": "which cherry", "q3": "apple", "q4": "apple?"}
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(
        "".join(
            json.dumps({"_id": i, "title": "T", "text": t}) + "\n" for i, t in documents.items()
        )
    )
    (tmp_path / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in queries.items())
    )
    train = ["q1\td1\t1", "q3\td1\t0", "q2\tshared\t1", "q1\tshort\t1", "q4\td2\t1"]
    (tmp_path / "qrels" / "train.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *train]))
    (tmp_path / "qrels" / "test.tsv").write_text("q4\tshared\t1\n")
    assert list(train_pairs(tmp_path)) == [
        Record(parts[1], "T", "where is the banana"),
        Record(parts[0], "T"),
        Record(parts[2], "T"),
        Record(parts[0], "T"),
    ]
