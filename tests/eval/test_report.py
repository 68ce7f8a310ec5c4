"""Reports: the figures of the results, and nothing of a collection read as code."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from retrieval.errors import InputError
from retrieval.eval.compare import pairwise
from retrieval.eval.report import data as data_module
from retrieval.eval.report import markdown, write_report
from retrieval.eval.report.data import marks_of, report_data
from retrieval.eval.results import Results, run_path
from retrieval.eval.statistics import holm
from tests.eval.samples_of_results import HOSTILE, MEASURES, SYSTEMS, results, write_sample


class _Elements(HTMLParser):
    """Names and attributes of every element, and the text of every script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts[-1] += data


def _page(folder: Path) -> tuple[_Elements, Any]:
    elements = _Elements()
    elements.feed((folder / "report.html").read_text(encoding="utf-8"))
    return elements, json.loads(elements.scripts[0])


def _empty() -> Results:
    return dataclasses.replace(
        results(), rows=(), efficiency=(), protocols=(), per_query={}, failed={"a": "broken"}
    )


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    write_report(tmp_path, write_sample(tmp_path))
    elements, _ = _page(tmp_path)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2
    assert not {"link", "img", "iframe", "object", "base"} & set(tags)
    assert not any({"src", "href"} & set(attributes) for _, attributes in elements.found)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"' ]+", html)) == {"http://www.w3.org/2000/svg"}
    policies = [a["content"] for t, a in elements.found if "http-equiv" in a and t == "meta"]
    assert policies[0] is not None and policies[0].startswith("default-src 'none'; ")


def test_the_page_holds_the_figures_and_the_texts(tmp_path: Path) -> None:
    sample = write_sample(tmp_path)
    write_report(tmp_path, sample)
    _, data = _page(tmp_path)
    assert data["rows"] == [dataclasses.asdict(row) for row in sample.rows]
    assert data["drills"]["scifact"]["documents"]["d0"].startswith(HOSTILE)
    assert data["drills"]["beir/nfcorpus"]["documents"] == {}
    assert data["failed"] == dict(sample.failed)
    assert {"protocols", "efficiency", "marks"} <= set(data)
    first = data["drills"]["scifact"]["queries"][0]
    assert set(first["ranked"]) == set(SYSTEMS)
    assert [grade for _, _, grade in first["ranked"]["bm25"]] == [None, 2, None, 0, None]


def test_texts_can_be_left_out(tmp_path: Path) -> None:
    write_report(tmp_path, write_sample(tmp_path), texts=False)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "zinc" not in html.lower()
    assert "zinc" not in (tmp_path / "report.md").read_text(encoding="utf-8").lower()
    _, data = _page(tmp_path)
    assert data["drills"]["scifact"]["queries"][0]["ranked"]["bm25"]


def test_only_so_many_queries_are_kept_and_the_rest_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "QUERIES", 10)
    monkeypatch.setattr(data_module, "WITH_PASSAGES", 3)
    sample = write_sample(tmp_path)
    drill = report_data(tmp_path, sample, texts=True).drill_downs["scifact"]
    assert drill.total == 60
    assert len(drill.queries) == 10
    assert [bool(query.ranked) for query in drill.queries] == [True] * 3 + [False] * 7
    spreads = [
        max(v["nDCG@10"] for v in q.values.values()) - min(v["nDCG@10"] for v in q.values.values())
        for q in drill.queries
    ]
    assert spreads == sorted(spreads, reverse=True)


def test_marks_are_corrected_over_systems_and_collections_of_a_measure() -> None:
    sample = results()
    marks = marks_of(sample)
    assert set(marks) == set(SYSTEMS)
    for measure in MEASURES:
        raw = [
            pairwise(sample, collection)[measure, system, "bm25"].p
            for collection in sample.collections
            for system in sample.systems[1:]
        ]
        found = [
            marks["bm25"][measure][collection][system].p
            for collection in sample.collections
            for system in sample.systems[1:]
        ]
        assert found == pytest.approx(holm(raw))
        assert "bm25" not in marks["bm25"][measure]["scifact"]


def test_systems_that_answered_other_queries_get_no_mark() -> None:
    sample = results()
    per_query = {
        collection: {s: dict(list(q.items())[(s == "bm25") :]) for s, q in systems.items()}
        for collection, systems in sample.per_query.items()
    }
    marks = marks_of(dataclasses.replace(sample, per_query=per_query))
    assert marks["bm25"]["nDCG@10"] == {}
    assert set(marks["embedded late"]["nDCG@10"]["scifact"]) == {
        "sentence-transformers/all-MiniLM-L6-v2, 128 tokens"
    }


def test_markdown_reads_as_the_tables_it_is_meant_to_be() -> None:
    sample = results()
    html = MarkdownIt("commonmark").enable("table").render(markdown(sample, marks_of(sample)))
    tables = re.findall(r"<table>.*?</table>", html, re.DOTALL)
    assert len(tables) == 3
    rows = re.findall(r"<tr>(.*?)</tr>", tables[0], re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]
    assert cells[0] == ["collection", "queries", *SYSTEMS]
    assert all(len(row) == 5 for row in cells)
    row = next(r for r in sample.rows if (r.system, r.measure) == ("embedded late", "nDCG@10"))
    assert cells[1][4] == (f"<strong>{row.value:.4f}</strong> ({row.low:.3f}–{row.high:.3f}) ▲")
    assert cells[3][0] == "<em>mean</em>"
    assert "SHA-256" in html and "fiqa: corpus.jsonl:7 cannot be read | not JSON" in html


def test_names_are_not_read_as_markdown_or_html() -> None:
    sample = results()
    name = "a|b <script>*x*</script> \ud800\n# `c`"
    rows = tuple(dataclasses.replace(row, system=name) for row in sample.rows)
    text = markdown(dataclasses.replace(sample, rows=rows), {})
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "a|b &lt;script&gt;*x*&lt;/script&gt; ? # `c`" in html
    text.encode("utf-8")


def test_a_system_that_is_worse_is_marked_so() -> None:
    sample = results()
    text = markdown(sample, marks_of(sample), reference="embedded late")
    assert text.count(") ▼ |") == 8
    assert " ▲ |" not in text


def test_a_report_of_nothing_says_what_failed(tmp_path: Path) -> None:
    write_report(tmp_path, _empty())
    assert "a: broken" in (tmp_path / "report.md").read_text(encoding="utf-8")
    _, data = _page(tmp_path)
    assert data["failed"] == {"a": "broken"}


def test_a_damaged_run_is_one_line(tmp_path: Path) -> None:
    sample = write_sample(tmp_path)
    run_path(tmp_path, "scifact", "bm25").write_text("q1 Q0 d1\n")
    with pytest.raises(InputError, match=r"bm25\.trec:1: expected"):
        write_report(tmp_path, sample)
