"""Checks docs/comparison.md against the other libraries' sources, and tries their durability.

    pip install lancedb==0.40.0 qdrant-client==1.20.0 chromadb==1.5.9
    pip install txtai==9.14.0 pylate==1.6.0 sentence-transformers==6.2.0
    python benchmarks/peers.py --out benchmarks/results/peers.json

    names   whether each `name` in a cell of a library is defined, or an argument, in its package
    absent  the first lines that match `ABSENT` in packages of which the page says "none found"
    killed  rows that a process had reported written when it was killed, and rows found afterwards

A match is a line for a person to read, not proof of a feature.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

from command import run_main
from environment import environment
from json_files import write_json

from retrieval.errors import InputError

PAGE = Path(__file__).parents[1] / "docs" / "comparison.md"
PACKAGES = ("lancedb", "qdrant_client", "chromadb", "txtai", "pylate", "sentence_transformers")
DISTRIBUTIONS = ("lancedb", "qdrant-client", "chromadb", "txtai", "pylate", "sentence-transformers")
FIRST_PEER_COLUMN = 2
"""Index of the first cell of a row that is about another library."""
ROWS_BEFORE_KILL = 20

ABSENT = {
    "dense vectors": r"semantic_search|pooling_mode",
    "on metadata, nested, before the best are chosen": r"(metadata|payload).{0,9}filter",
    "a part of a text; a regular expression": r"\bregexp|\bilike\b",
    "elements of lists, whole lists, objects in lists": r"array_(has|contains)",
    "a filter for each query of a batch": r"filter.{0,30}(each|per).{0,10}query",
    "documents listed by filter, in pages": r"\bscroll\b|\bpaginat",
    "counted by filter": r"count_rows|count_documents",
    "replaced by id, deleted by filter": r"\bupsert\b|def delete",
    "a killed writer loses nothing that was committed": r"\bfsync\b|write.ahead",
    "on object storage": r"s3://|\bboto3?\b|libcloud",
    "clients in other languages": r"\bopenapi\b|\bgrpc\b",
    "words, by BM25": r"\bbm25",
    "late interaction": r"late.?interaction|max_?sim\b|colbert",
    "several fused": r"reciprocal|\brrf\b|\bfus(e|ion)",
    "a cross-encoder puts in order": r"cross.?encoder|rerank",
    "maximal marginal relevance": r"marginal.?relevance|\bmmr\b",
    "hits grouped by document": r"group_?by",
    'a relevance from 0 to 1 that says "nothing"': r"calibrat|relevance.?(score|threshold)",
    "which words of a hit matched, by vectors": r"\bexplain\(|token_?(attribution|importance)",
    "approximate search of many vectors": r"\bhnsw|\bivf|approximate",
    "images, sound": r"\bimages?\b|\baudio\b",
    "times with zones": r"timezone|\btz\b|utcoffset",
    "values apart from the filter's text": r"\bparameters\b.*(sql|filter)",
    "folders of files, kept up to date, with lines and pages": r"\bwatchdog|watchfiles|os\.walk",
    "values of a key, counted": r"facet|distinct.?values|value_counts",
    "vectors out": r"get_?(vectors|embeddings)\b",
    "readers keep what they opened while others write": r"snapshot.?isolation|\bmvcc\b",
    "older versions stay readable": r"\bcheckout\b|time.?travel|\bversions\b\(",
    "exported to other systems": r"def (to|export)_(parquet|lance|qdrant|vespa|arrow)",
    "HTTP": r"fastapi|uvicorn|starlette",
    "MCP": r"\bmcp\b",
    "metrics, a bounded queue": r"prometheus",
    "access by token": r"bearer|api_?key",
    "many machines, replicas": r"replica",
    "nDCG and the like, of a collection": r"\bndcg",
    "is A better than B, with significance": r"p_?value\b|t_?test|bootstrap|significance",
    "MTEB's tasks, the same figures by either way": r"\bmteb\b",
    "training an encoder on your own data": r"\btrain(er|ing)\b",
    "without labels": r"unsupervised|\btsdae\b|\bgpl\b",
    "classifiers of texts and of words": r"classifi",
    "training on several GPUs": r"distributed|accelerate",
    "LangChain": r"langchain",
    "LlamaIndex": r"llama.?index",
    "Haystack": r"haystack",
    "awaited calls": r"async def",
    "OpenTelemetry": r"opentelemetry",
}
WRITERS = {
    "lancedb": (
        """
        import lancedb, sys
        table = lancedb.connect(sys.argv[1]).create_table("t", data=[{"id": 0}])
        for row in range(1, 10**6):
            table.add([{"id": row}])
            print(row + 1, flush=True)
        """,
        "import lancedb, sys; print(lancedb.connect(sys.argv[1]).open_table('t').count_rows())",
    ),
    "qdrant_client": (
        """
        import sys
        from qdrant_client import QdrantClient, models
        client = QdrantClient(path=sys.argv[1])
        client.create_collection(
            "t", vectors_config=models.VectorParams(size=2, distance=models.Distance.COSINE)
        )
        for row in range(10**6):
            client.upsert("t", [models.PointStruct(id=row, vector=[1.0, 0.0])])
            print(row + 1, flush=True)
        """,
        "import sys; from qdrant_client import QdrantClient; "
        "print(QdrantClient(path=sys.argv[1]).count('t').count)",
    ),
    "chromadb": (
        """
        import chromadb, sys
        client = chromadb.PersistentClient(sys.argv[1])
        made = client.create_collection("ttt", embedding_function=None)
        for row in range(10**6):
            made.add(ids=[str(row)], embeddings=[[1.0, 0.0]])
            print(row + 1, flush=True)
        """,
        "import chromadb, sys; "
        "print(chromadb.PersistentClient(sys.argv[1]).get_collection('ttt').count())",
    ),
}


def main() -> None:
    """Check the names, look for absent features, kill writers, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sources = {name: dict(read_sources(name)) for name in PACKAGES}
    undefined, matches = [], {}
    for feature, cells in feature_rows():
        for package, cell in zip(PACKAGES, cells, strict=True):
            for name in re.findall(r"`([^`]+)`", cell):
                if not any(is_defined(text, name) for text in sources[package].values()):
                    undefined.append(f"{feature}: {package} has no {name}")
            if cell.startswith("none found") and feature in ABSENT:
                matches.setdefault(feature, {})[package] = first_matches(
                    sources[package], ABSENT[feature]
                )
    result = {
        **environment(DISTRIBUTIONS),
        "names_not_defined": undefined,
        "words": ABSENT,
        "absent": matches,
        "killed": {name: rows_after_kill(*programs) for name, programs in WRITERS.items()},
    }
    write_json(args.out, result)
    print("\n".join(undefined) or "every name is defined")
    for feature, by_package in matches.items():
        print(feature, {name: lines for name, lines in by_package.items() if lines})
    print(result["killed"])


def feature_rows() -> Iterator[tuple[str, list[str]]]:
    """Each feature of the page, with its cells about the other libraries."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if (
            line.startswith("|")
            and len(cells) == FIRST_PEER_COLUMN + len(PACKAGES)
            and cells[0].strip("-")
        ):
            yield cells[0], cells[FIRST_PEER_COLUMN:]


def read_sources(package: str) -> Iterator[tuple[str, str]]:
    """Path and text of each Python file of a package, without tests."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"{package} is not installed; see the first lines of this file")
    root = Path(spec.origin).parent
    for path in sorted([*root.rglob("*.py"), *root.rglob("*.pyi")]):
        relative = path.relative_to(root)
        if "test" not in relative.parts:
            yield str(relative), path.read_text(encoding="utf-8", errors="replace")


def is_defined(text: str, name: str) -> bool:
    """Whether a source defines a name, takes it as an argument or field, or has it as a string."""
    last = re.escape(re.split(r"[. ]", name)[-1])
    return re.search(rf"\b(class|def) {last}\b|\b{last}\s*[:=]|[\"']{last}[\"']", text) is not None


def first_matches(source: dict[str, str], pattern: str) -> list[str]:
    """The first lines that match, three at most, with their files."""
    regex = re.compile(pattern, re.IGNORECASE)
    matches = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in source.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if regex.search(line)
    ]
    return matches[:3]


def rows_after_kill(writer_code: str, counter_code: str) -> dict[str, int]:
    """Rows that a writer had reported written when it was killed, and rows found afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", textwrap.dedent(writer_code), folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            reported = next((n for n in map(int, writer.stdout) if n >= ROWS_BEFORE_KILL), 0)
            writer.kill()
        counted = subprocess.run(
            [sys.executable, "-c", counter_code, folder], capture_output=True, text=True, check=True
        )
    return {"said": reported, "found": int(counted.stdout)}


if __name__ == "__main__":
    run_main(main)
