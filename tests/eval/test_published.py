"""The command behind the published figures, on two small collections and with small models."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import retrieval.encoders
from tests.index.fake_encoder import FakeEncoder

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COLLECTIONS = {
    "harbour": {"lighthouse keeper": "h1", "salted herring": "h2", "rusty barnacle": "h3"},
    "orchard": {"windfall quince": "o1", "grafting knife": "o2"},
}
SYSTEMS = ["bm25s", "MiniLM", "lexical", "dense", "late", "hybrid"]

Publish = Callable[..., None]


class SmallModel:
    """As much of SentenceTransformer as is used."""

    max_seq_length = 256
    prompts: ClassVar[dict[str, str]] = {}
    encoded: ClassVar[list[str]] = []

    def __init__(self, source: str) -> None:
        self._encoder = FakeEncoder(name="small")

    def encode_document(self, texts: list[str], **options: Any) -> Any:
        self.encoded.extend(texts)
        return self._encoder.encode_documents(texts).dense

    def encode_query(self, texts: list[str], **options: Any) -> Any:
        return self._encoder.encode_documents(texts).dense

    def get_embedding_dimension(self) -> int:
        return 32

    def preprocess(self, texts: list[str]) -> dict[str, Any]:
        return {"attention_mask": np.ones((len(texts), 4))}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, with models that load at once."""
    pytest.importorskip("bm25s")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    package = SimpleNamespace(__version__="1", SentenceTransformer=SmallModel)
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    monkeypatch.setattr(SmallModel, "encoded", [])
    module = importlib.import_module("published")
    monkeypatch.setattr(module, "PACKAGES", ("modernbert-retrieval", "numpy"))
    yield module
    for name in ("published", "environment", "table"):
        sys.modules.pop(name, None)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    found = FakeEncoder()
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None: found)
    return found


@pytest.fixture
def publish(published: ModuleType, encoder: FakeEncoder, tmp_path: Path) -> Publish:
    """The command, writing into the test's folder; its work is there, too."""
    for name, asked in COLLECTIONS.items():
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        corpus = [{"_id": id, "text": f"The {words} of old."} for words, id in asked.items()]
        queries = [{"_id": f"q-{id}", "text": words} for words, id in asked.items()]
        for file, rows in (("corpus", corpus), ("queries", queries)):
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{file}.jsonl").write_text(lines)
        judged = "".join(f"q-{id}\t{id}\t1\n" for id in asked.values())
        (folder / "qrels" / "test.tsv").write_text(judged)
    (tmp_path / "minilm").mkdir()
    page = f"# Before\n\n{published.BEGIN}\nold\n{published.END}\n\nAfter.\n"
    (tmp_path / "page.md").write_text(page)
    places = published.Outputs(
        results=tmp_path / "results.json",
        page=tmp_path / "page.md",
        report=tmp_path / "report.html",
    )

    def run(*options: str) -> None:
        published.main(options or _all(tmp_path), places)

    return run


def _all(place: Path) -> list[str]:
    folders = [str(place / name) for name in COLLECTIONS]
    return [*folders, "--minilm", str(place / "minilm"), "--work", str(place / "work")]


def test_figures_tables_and_a_report_without_texts(publish: Publish, tmp_path: Path) -> None:
    publish()
    found = json.loads((tmp_path / "results.json").read_text())
    shown = {(r["collection"], r["system"]): r for r in found["rows"] if r["measure"] == "nDCG@10"}
    assert set(shown) == {(name, system) for name in COLLECTIONS for system in SYSTEMS}
    assert shown["harbour", "bm25s"]["value"] == shown["orchard", "MiniLM"]["value"] == 1.0
    assert [p["collection"] for p in found["protocols"]] == list(COLLECTIONS)
    assert {"machine", "versions", "commit", "date", "marks"} <= set(found)
    assert "per_query" not in found
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("# Before\n\n") and page.endswith("\n\nAfter.\n")
    assert "old\n" not in page
    lines = page.splitlines()
    assert "| nDCG@10 | bm25s | MiniLM | lexical | dense | late | hybrid |" in lines
    assert any(line.startswith("| harbour (3 queries) | **1.000** |") for line in lines)
    assert any(line.startswith("| *mean* | **1.000** |") for line in lines)
    for table in ("p50 of a query, ms", "index, bytes a document", "indexing, tokens/s"):
        assert any(line.startswith(f"| {table} |") for line in lines)
    report = (tmp_path / "report.html").read_text()
    assert "harbour" in report
    for text in (page, report, (tmp_path / "results.json").read_text()):
        for asked in COLLECTIONS.values():
            assert not [words for query in asked for words in query.split() if words in text]


def test_it_goes_on_where_it_was_stopped(
    publish: Publish, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: FakeEncoder, texts: Any, **options: Any) -> Any:
        if any("quince" in text for text in texts):
            raise KeyboardInterrupt
        return real(self, texts, **options)

    real = FakeEncoder.encode_documents
    monkeypatch.setattr(FakeEncoder, "encode_documents", stopped)
    with pytest.raises(KeyboardInterrupt):
        publish()
    assert not (tmp_path / "results.json").exists()
    monkeypatch.setattr(FakeEncoder, "encode_documents", real)
    encoder.encoded.clear()
    SmallModel.encoded.clear()
    publish()
    assert [text for text in encoder.encoded if "harbour" in text or "herring" in text] == []
    assert [text for text in SmallModel.encoded if "herring" in text] == []
    assert any("quince" in text for text in encoder.encoded)
    once = json.loads((tmp_path / "results.json").read_text())
    encoder.encoded.clear()
    publish()
    again = json.loads((tmp_path / "results.json").read_text())
    assert encoder.encoded == []
    assert (again["rows"], again["efficiency"]) == (once["rows"], once["efficiency"])


def test_anew_keeps_only_what_the_other_model_encoded(
    publish: Publish, encoder: FakeEncoder, tmp_path: Path
) -> None:
    publish()
    encoder.encoded.clear()
    SmallModel.encoded.clear()
    publish(*_all(tmp_path), "--anew")
    assert len(encoder.encoded) == 5
    assert SmallModel.encoded == []
    costs = json.loads((tmp_path / "results.json").read_text())["efficiency"]
    built = {cost["system"]: cost["build_s"] for cost in costs}
    assert built["MiniLM"] is None and built["hybrid"] > 0


def test_tables_are_written_again_from_the_figures(
    publish: Publish, encoder: FakeEncoder, tmp_path: Path
) -> None:
    publish()
    encoder.encoded.clear()
    report = (tmp_path / "report.html").read_bytes()
    figures = json.loads((tmp_path / "results.json").read_text())
    for row in figures["rows"]:
        if (row["collection"], row["system"]) == ("harbour", "lexical"):
            row["value"] = 0.1234
    figures["marks"]["bm25s"]["harbour"]["lexical"] = [-0.5, 0.01]
    (tmp_path / "results.json").write_text(json.dumps(figures))
    publish("--tables")
    page = (tmp_path / "page.md").read_text()
    assert "| 0.123 ▼B |" in page
    assert page.startswith("# Before\n\n") and page.endswith("\n\nAfter.\n")
    assert (tmp_path / "report.html").read_bytes() == report
    assert encoder.encoded == []


def test_a_collection_that_fails_leaves_what_was_published(
    publish: Publish, tmp_path: Path
) -> None:
    before = (tmp_path / "page.md").read_text()
    with pytest.raises(SystemExit, match="nowhere failed: "):
        publish(str(tmp_path / "nowhere"), *_all(tmp_path))
    assert (tmp_path / "page.md").read_text() == before
    assert not (tmp_path / "results.json").exists()
