"""Passages read with their context, with their neighbours, and with both: nDCG@10, and time.

    python benchmarks/long_context.py COLLECTION... --work FOLDER --out FILE.json

A COLLECTION is a folder in BEIR's format, or `headings`, a made handbook whose sections have the
same text but for a number. Each is indexed in these ways (`--ways`):

    alone      a passage is read by itself
    context    its context in front: title, headings (what an index does)
    spans      passages are read together, without contexts
    both       passages are read together, each with its context in front (`long_context`)

and, where passages are read together, in stretches of several lengths (`--tokens`). The lexical
index is the same in all of them. `FOLDER.sections` with ids like `TALE#3` is searched as whole
tales, with the titles of `FOLDER` beside it, and judged by section. Time is that of all processors
in use, and is to be compared within one run only.
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
TOGETHER = ("spans", "both")
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
        starts: for each document, where its parts begin, and their ids.
    """

    dataset: Dataset
    starts: dict[str, list[tuple[int, str]]]


def main() -> None:
    """Run what the command line asks for."""
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
    found = json.loads(args.out.read_text()) if args.out.exists() else {"rows": []}
    found |= environment(["numpy", "onnxruntime", "tokenizers"])
    for source in args.collections:
        collection = read(source, args.documents, args.queries)
        for way in args.ways:
            for most in args.tokens if way in TOGETHER else [None]:
                row = measured(collection, encoder, way, most, args.work)
                found["rows"].append(row)
                write_json(args.out, found)
                print(json.dumps(row), flush=True)


def read(source: str, documents: int, queries: int) -> Sections:
    """A collection with all documents that are asked for and others up to so many."""
    if source == "headings":
        return handbook()
    folder, by_section = Path(source.removesuffix(".sections")), source.endswith(".sections")
    whole = load_beir(folder, max_queries=None)
    asked = sorted(whole.queries)
    random.Random(0).shuffle(asked)
    asked = sorted(asked[:queries])
    qrels = {query: whole.qrels[query] for query in asked}
    dataset = Dataset(
        whole.name, whole.documents, {query: whole.queries[query] for query in asked}, qrels
    )
    starts: dict[str, list[tuple[int, str]]] = {}
    if by_section:
        dataset, starts = joined(dataset, folder)
    needed = {part.split(SECTION)[0] if starts else part for own in qrels.values() for part in own}
    others = [document for document in dataset.documents if document.id not in needed]
    random.Random(0).shuffle(others)
    wanted = [document for document in dataset.documents if document.id in needed]
    kept = [*wanted, *others[: max(0, documents - len(wanted))]]
    return Sections(dataclasses.replace(dataset, documents=tuple(kept)), starts)


def joined(dataset: Dataset, folder: Path) -> tuple[Dataset, dict[str, list[tuple[int, str]]]]:
    """Sections put together to the tales that they are of."""
    beside = folder.with_name(folder.name.rpartition("_")[0])
    titles = {document.id: document.title for document in load_beir(beside).documents}
    tales: dict[str, list[Document]] = defaultdict(list)
    for document in dataset.documents:
        tales[document.id.split(SECTION)[0]].append(document)
    made, starts = [], {}
    for tale, sections in tales.items():
        sections.sort(key=lambda one: [float(n) for n in one.id.split(SECTION)[1].split("-")])
        text, own = "", []
        for section in sections:
            own.append((len(text), section.id))
            text += f"{section.text}\n"
        made.append(Document(tale, text, titles.get(tale, "")))
        starts[tale] = own
    return dataclasses.replace(dataset, documents=tuple(made)), starts


def handbook() -> Sections:
    """A handbook with a section for each machine, all of which say the same of other numbers."""
    text, own, queries, qrels = "# Handbook\n\n", [], {}, {}
    for machine in MACHINES:
        text += f"## {machine}\n\n"
        for number, topic in enumerate(TOPICS):
            key = f"{machine} {topic}"
            own.append((len(text), key))
            text += f"The {topic} is {100 + 7 * number + len(text) % 89} by default. {RULES}\n\n"
            queries[key], qrels[key] = f"{topic} of the {machine}", {key: 1}
    document = Document("handbook", text, "Handbook", {"language": "markdown"})
    return Sections(Dataset("headings", (document,), queries, qrels), {"handbook": own})


def measured(
    collection: Sections, encoder: Encoder, way: str, most: int | None, work: Path
) -> dict[str, Any]:
    """One row: how a collection was indexed, what that took, and what it finds."""
    dataset = collection.dataset
    together = way in TOGETHER
    work.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=work) as folder,
        patch.object(long_context, "STRETCH_TOKENS", most or long_context.STRETCH_TOKENS),
    ):
        before = ContextBuilder.before if way in ("context", "both") else lambda *_: ""
        with (
            patch.object(ContextBuilder, "before", before),
            Index.create(
                Path(folder) / "index", encoder=encoder, late=EXACT, long_context=together
            ) as index,
        ):
            started = time.process_time()
            with index.writing() as writer:
                for document in dataset.documents:
                    writer.put(document)
            seconds = time.process_time() - started
            row = {
                "collection": dataset.name,
                "documents": len(dataset.documents),
                "passages": index.status().passages,
                "tokens": writer.tokens,
                "queries": len(dataset.queries),
                "way": way,
                "stretch_tokens": most,
                "cpu_us_per_token": round(1e6 * seconds / writer.tokens, 1),
            }
            for retriever in RETRIEVERS:
                run = searched(index, collection, retriever)
                row[retriever] = round(means(dataset.qrels, run)["nDCG@10"], 4)
    return row


def searched(
    index: Index, collection: Sections, retriever: Retriever
) -> dict[str, dict[str, float]]:
    """The best documents of each query, or the best parts, each by its best passage."""
    queries = collection.dataset.queries
    if not collection.starts:
        return run_documents(index, queries, retriever=retriever, k=DEPTH)
    run: dict[str, dict[str, float]] = {}
    for query, text in queries.items():
        own = run.setdefault(query, {})
        for hit in index.search(text, 10 * DEPTH, retriever=retriever, highlights=False):
            for part in parts(hit, collection.starts[hit.document_id]):
                own.setdefault(part, hit.score)
    return run


def parts(hit: Hit, starts: Sequence[tuple[int, str]]) -> Iterator[str]:
    """The parts of a document in which a fifth of a hit, or a fifth of the part, lies."""
    ends = [*(start for start, _ in starts[1:]), hit.passage.end]
    for (start, part), end in zip(starts, ends, strict=True):
        shared = min(end, hit.passage.end) - max(start, hit.passage.start)
        if shared > 0.2 * min(hit.passage.end - hit.passage.start, max(end - start, 1)):
            yield part


if __name__ == "__main__":
    run_main(main)
