"""Passages encoded with their context, with their neighbours, and with both: nDCG@10, and CPU time.

    python benchmarks/long_context.py COLLECTION... --work FOLDER --out FILE.json

A COLLECTION is a folder in BEIR's format, or `headings`, a generated handbook whose sections have
the same text but for a number. Each is indexed in these ways (`--ways`):

    alone      a passage is encoded by itself
    context    preceded by its context: title, headings (as an index does it)
    spans      passages are encoded together, without contexts
    both       passages are encoded together, each preceded by its context (`long_context`)

and, where passages are encoded together, in stretches of several lengths (`--tokens`). The lexical
index is the same in all ways. `FOLDER.sections` with ids like `TALE#3` is searched as whole tales,
with the titles of the collection beside it, and judged by section. Time is CPU time of all threads,
comparable within one run only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from command import run_main
from environment import environment
from json_files import write_json

from retrieval import Document, Index
from retrieval.encoders import load_encoder
from retrieval.eval import load_beir, means
from retrieval.eval.datasets import Dataset
from retrieval.eval.runs import run_documents
from retrieval.index import long_context
from retrieval.index.context_builder import ContextBuilder
from retrieval.types import RETRIEVERS, Encoder, Hit, LateOptions, Retriever

DEPTH = 10
WAYS = ("alone", "context", "spans", "both")
JOINT_WAYS = ("spans", "both")
EXACT = LateOptions(exact_passages=10**9, list_passages=10**9)
SECTION = "#"

MACHINES = ("Kestrel", "Marlin", "Osprey", "Puffin", "Wagtail", "Lapwing", "Bittern", "Dunlin")
TOPICS = (
    "spindle speed", "coolant pressure", "belt tension", "feed delay", "drum temperature",
    "valve interval", "lamp current", "brake force", "filter limit",
)  # fmt: skip
RULES = (
    "Before it is changed, the person on duty reads the current value, compares it with the plan "
    "of the week, and asks whether anybody else is working on the same machine. Afterwards the new "
    "value is noted in the journal, together with the reason, the time and a name. If nothing "
    "happens within a quarter of an hour the old value is put back, and the shift leader decides "
    "what is to be done next. Values that were set for a test are taken back on the same day."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Sections:
    """A collection of documents that are judged by their parts.

    Attributes:
        dataset: documents, queries and qrels.
        starts: by document, where its parts begin, and their ids; empty if documents are judged.
    """

    dataset: Dataset
    starts: dict[str, list[tuple[int, str]]]


def main() -> None:
    """Measure every collection and way, and write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+")
    parser.add_argument("--documents", type=int, default=3000, help="of a collection, at most")
    parser.add_argument("--queries", type=int, default=500, help="of a collection, at most")
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    encoder = load_encoder()
    result = json.loads(args.out.read_text()) if args.out.exists() else {"rows": []}
    result |= environment(["numpy", "onnxruntime", "tokenizers"])
    for source in args.collections:
        collection = read_collection(source, args.documents, args.queries)
        for way in args.ways:
            for stretch_tokens in args.tokens if way in JOINT_WAYS else [None]:
                row = measure_way(collection, encoder, way, stretch_tokens, args.work)
                result["rows"].append(row)
                write_json(args.out, result)
                print(json.dumps(row), flush=True)


def read_collection(source: str, documents: int, queries: int) -> Sections:
    """A collection with all relevant documents, and others up to so many in all."""
    if source == "headings":
        return handbook()
    folder, by_section = Path(source.removesuffix(".sections")), source.endswith(".sections")
    whole = load_beir(folder, max_queries=None)
    chosen = sorted(whole.queries)
    random.Random(0).shuffle(chosen)
    chosen = sorted(chosen[:queries])
    qrels = {query: whole.qrels[query] for query in chosen}
    dataset = Dataset(
        whole.name, whole.documents, {query: whole.queries[query] for query in chosen}, qrels
    )
    starts: dict[str, list[tuple[int, str]]] = {}
    if by_section:
        dataset, starts = join_sections(dataset, folder)
    relevant_ids = {
        part.split(SECTION)[0] if starts else part for judged in qrels.values() for part in judged
    }
    others = [document for document in dataset.documents if document.id not in relevant_ids]
    random.Random(0).shuffle(others)
    relevant = [document for document in dataset.documents if document.id in relevant_ids]
    kept = [*relevant, *others[: max(0, documents - len(relevant))]]
    return Sections(dataclasses.replace(dataset, documents=tuple(kept)), starts)


def join_sections(
    dataset: Dataset, folder: Path
) -> tuple[Dataset, dict[str, list[tuple[int, str]]]]:
    """Sections joined to the tales that they belong to."""
    tales_folder = folder.with_name(folder.name.rpartition("_")[0])
    titles = {document.id: document.title for document in load_beir(tales_folder).documents}
    tales: dict[str, list[Document]] = defaultdict(list)
    for document in dataset.documents:
        tales[document.id.split(SECTION)[0]].append(document)
    documents, starts = [], {}
    for tale, sections in tales.items():
        sections.sort(
            key=lambda document: [float(n) for n in document.id.split(SECTION)[1].split("-")]
        )
        text, section_starts = "", []
        for section in sections:
            section_starts.append((len(text), section.id))
            text += f"{section.text}\n"
        documents.append(Document(tale, text, titles.get(tale, "")))
        starts[tale] = section_starts
    return dataclasses.replace(dataset, documents=tuple(documents)), starts


def handbook() -> Sections:
    """A handbook with a section per machine, all alike but for the numbers."""
    text, section_starts, queries, qrels = "# Handbook\n\n", [], {}, {}
    for machine in MACHINES:
        text += f"## {machine}\n\n"
        for number, topic in enumerate(TOPICS):
            key = f"{machine} {topic}"
            section_starts.append((len(text), key))
            text += f"The {topic} is {100 + 7 * number + len(text) % 89} by default. {RULES}\n\n"
            queries[key], qrels[key] = f"{topic} of the {machine}", {key: 1}
    document = Document("handbook", text, "Handbook", {"language": "markdown"})
    return Sections(Dataset("headings", (document,), queries, qrels), {"handbook": section_starts})


def measure_way(
    collection: Sections, encoder: Encoder, way: str, stretch_tokens: int | None, work: Path
) -> dict[str, Any]:
    """One row: how a collection was indexed, CPU time per token, and nDCG@10."""
    dataset = collection.dataset
    joint = way in JOINT_WAYS
    work.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=work) as folder,
        patch.object(long_context, "STRETCH_TOKENS", stretch_tokens or long_context.STRETCH_TOKENS),
    ):
        build_context = ContextBuilder.before if way in ("context", "both") else lambda *_: ""
        with (
            patch.object(ContextBuilder, "before", build_context),
            Index.create(
                Path(folder) / "index", encoder=encoder, late=EXACT, long_context=joint
            ) as index,
        ):
            started = time.process_time()
            with index.writing() as writer:
                for document in dataset.documents:
                    writer.put(document)
            cpu_s = time.process_time() - started
            row = {
                "collection": dataset.name,
                "documents": len(dataset.documents),
                "passages": index.status().passages,
                "tokens": writer.tokens,
                "queries": len(dataset.queries),
                "way": way,
                "stretch_tokens": stretch_tokens,
                "cpu_us_per_token": round(1e6 * cpu_s / writer.tokens, 1),
            }
            for retriever in RETRIEVERS:
                run = search_run(index, collection, retriever)
                row[retriever] = round(means(dataset.qrels, run)["nDCG@10"], 4)
    return row


def search_run(
    index: Index, collection: Sections, retriever: Retriever
) -> dict[str, dict[str, float]]:
    """Scores of the best documents of each query, or of their parts, by the best passage."""
    queries = collection.dataset.queries
    if not collection.starts:
        return run_documents(index, queries, retriever=retriever, k=DEPTH)
    run: dict[str, dict[str, float]] = {}
    for query, text in queries.items():
        scores = run.setdefault(query, {})
        for hit in index.search(text, 10 * DEPTH, retriever=retriever, highlights=False):
            for part in matched_parts(hit, collection.starts[hit.document_id]):
                scores.setdefault(part, hit.score)
    return run


def matched_parts(hit: Hit, starts: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Parts that overlap a hit by more than a fifth of the shorter of the two."""
    ends = [*(start for start, _ in starts[1:]), hit.passage.end]
    for (start, part), end in zip(starts, ends, strict=True):
        overlap = min(end, hit.passage.end) - max(start, hit.passage.start)
        if overlap > 0.2 * min(hit.passage.end - hit.passage.start, max(end - start, 1)):
            yield part


if __name__ == "__main__":
    run_main(main)
