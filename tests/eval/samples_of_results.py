"""Results as an evaluation would find them, with figures that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrieval.eval.results import (
    Efficiency,
    Protocol,
    Results,
    Row,
    Texts,
    run_path,
    write_results,
    write_texts,
)
from retrieval.eval.statistics import bootstrap_interval

SYSTEMS = {
    "bm25": 0.0,
    "sentence-transformers/all-MiniLM-L6-v2, 128 tokens": 0.002,
    "embedded late": 0.15,
}
COLLECTIONS = {"scifact": 60, "beir/nfcorpus": 40}
MEASURES = ("nDCG@10", "R@100")
HOSTILE = "</script><script>window.hurt = 1</script><img src=x onerror='window.hurt=2'>\u2028"


def protocol(collection: str, queries: int) -> Protocol:
    return Protocol(
        collection=collection,
        split="test",
        documents=5_183,
        queries=queries,
        judged_queries=queries,
        text="title, newline, text",
        passage_tokens=256,
        max_tokens=512,
        prompts={"query": "search_query: "},
        aggregation="MaxP",
        ties="by document id, descending",
        unjudged="left out",
        dataset_sha256="ab" * 32,
        warnings=("2 judgements name unknown documents",),
    )


def results() -> Results:
    """Two collections, three systems of which the last is better by far, and a failure."""
    generator = np.random.default_rng(1)
    rows: list[Row] = []
    efficiency: list[Efficiency] = []
    per_query: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for collection, queries in COLLECTIONS.items():
        base = generator.uniform(0.2, 0.7, queries)
        for at, (system, better) in enumerate(SYSTEMS.items()):
            values = {m: np.clip(base + generator.normal(better, 0.05, queries), 0, 1)
                      for m in MEASURES}  # fmt: skip
            for measure, column in values.items():
                low, high = bootstrap_interval(column)
                mean = float(column.mean())
                rows.append(Row(collection, "test", system, measure, mean, low, high, queries))
            per_query.setdefault(collection, {})[system] = {
                f"q{n}": {m: float(values[m][n]) for m in MEASURES} for n in range(queries)
            }
            efficiency.append(
                Efficiency(
                    collection,
                    system,
                    build_s=12.5 * (at + 1),
                    tokens_per_s=None if at == 0 else 9_000.0 * at,
                    index_bytes_per_document=400.0 * 8**at,
                    qps=300.0 / (at + 1),
                    p50_ms=2.0 * 5**at,
                    p95_ms=4.0 * 5**at,
                    p99_ms=7.0 * 5**at,
                    peak_rss_mb=250.0 + at,
                )
            )
    return Results(
        created="2026-01-02T03:04:05Z",
        machine={"cpu": "a processor of two cores", "memory": "24 GB"},
        versions={"modernbert-retrieval": "0.1.0", "numpy": "2.4.6"},
        rows=tuple(rows),
        efficiency=tuple(efficiency),
        protocols=tuple(protocol(name, count) for name, count in COLLECTIONS.items()),
        per_query=per_query,
        failed={"fiqa": "corpus.jsonl:7 cannot be read | not JSON"},
    )


def write_sample(folder: Path, *, texts: bool = True) -> Results:
    """A folder of results with runs and, unless told otherwise, texts of the first collection."""
    sample = results()
    write_results(folder, sample)
    (folder / "runs").mkdir(exist_ok=True)
    for collection, systems in sample.per_query.items():
        for at, (system, queries) in enumerate(systems.items()):
            ranked = [f"d{(n * (at + 1)) % 12}" for n in range(12)]
            lines = [
                f"{query} Q0 {document} {rank} {20 - rank - at / 10} {at}"
                for query in queries
                for rank, document in enumerate(dict.fromkeys(ranked), 1)
            ]
            path = run_path(folder, collection, system)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if texts:
        queries = {f"q{n}": f"does zinc help against colds {n}" for n in range(60)}
        documents = {f"d{n}": f"Zinc and colds, trial {n}: " + "it helped some. " * 30
                     for n in range(12)}  # fmt: skip
        documents["d0"] = HOSTILE + documents["d0"]
        judgements = {f"q{n}": {"d1": 2, "d5": 1, "d3": 0} for n in range(60)}
        write_texts(folder, "scifact", Texts(queries, documents, judgements))
    return sample
