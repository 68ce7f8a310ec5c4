"""Long documents: whole, truncated and in passages, and facts hidden at every depth.

    python benchmarks/long_documents.py COLLECTION... --hay COLLECTION... \\
        --work FOLDER --out FILE.json

A COLLECTION of long documents, in BEIR's format, is searched by the embedded model in three ways:
as one passage of up to 8,192 tokens per document (`whole`), as the same truncated at 512 tokens
(`cut`), and as `retrieval index` does it, in passages of 256 tokens of which the best one counts
(`passages`). For the depths, generated facts are inserted into texts of 8,192 tokens of each
`--hay` collection, one fact per text. Each fact is searched among all texts, indexed whole and in
passages.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment
from json_files import write_json

from retrieval import Document, Index
from retrieval.encoders import load_encoder
from retrieval.eval import load_beir, means
from retrieval.eval.datasets import Dataset
from retrieval.types import RETRIEVERS, Encoder, Hit

MAX_TOKENS, CUT_TOKENS = 8192, 512
DEPTH = 100
DEPTHS = 10
WAYS = ("whole", "cut", "passages")

COLOURS = (
    "amber", "brown", "crimson", "grey", "ivory",
    "olive", "purple", "scarlet", "silver", "turquoise",
)  # fmt: skip
ANIMALS = (
    "badger", "crane", "falcon", "heron", "lynx",
    "otter", "raven", "salmon", "tortoise", "weasel",
)  # fmt: skip
CITIES = (
    "Aarhus", "Bergen", "Cork", "Dresden", "Lille",
    "Porto", "Seville", "Tampere", "Utrecht", "Zadar",
)  # fmt: skip
FACTS = (
    ("The access code of the {0} {1} warehouse in {2} is {3}.",
     "What is the access code of the {0} {1} warehouse in {2}?"),
    ("The night train to {2} carries {3} crates of {0} {1} figures.",
     "How many crates of {0} {1} figures does the night train to {2} carry?"),
    ("Nobody in {2} owned more than {3} paintings of a {0} {1}.",
     "How many paintings of a {0} {1} did one own in {2} at most?"),
)  # fmt: skip


def main() -> None:
    """Measure collections and hidden facts, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="*", type=Path)
    parser.add_argument(
        "--hay", nargs="+", type=Path, default=[], help="collections of texts to hide facts in"
    )
    parser.add_argument("--texts", type=int, default=200, help="of them, each with one fact")
    parser.add_argument("--queries", type=int, default=300, help="of a collection, at most")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--encoder", help="a model folder; the embedded one if not given")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if not (args.collections or args.hay):
        parser.error("nothing to measure: name a COLLECTION, or collections after --hay")
    encoder = load_encoder(args.encoder) if args.encoder else load_encoder()
    rows = [
        row
        for folder in args.collections
        for row in measure_collection(folder, args.queries, args.ways, encoder, args.work)
    ]
    result = {
        **environment(("modernbert-retrieval", "onnxruntime", "numpy")),
        "model": encoder.name,
        "rows": rows,
        "facts": [
            measure_hidden_facts(folder, args.texts, args.ways, encoder, args.work)
            for folder in args.hay
        ],
    }
    write_json(args.out, result)


def measure_collection(
    folder: Path, queries: int, chosen: Sequence[str], encoder: Encoder, work: Path
) -> Iterator[dict[str, Any]]:
    """nDCG@10 of every retriever and chosen way on one collection."""
    dataset = load_beir(folder, max_queries=queries)
    documents = dataset.documents
    cut = [
        Document(
            document.id,
            document.text[: _truncation_point(encoder, document, CUT_TOKENS)],
            title=document.title,
        )
        for document in documents
    ]
    ways = {
        "whole": (documents, MAX_TOKENS),
        "cut": (cut, CUT_TOKENS),
        "passages": (documents, 256),
    }
    for way in chosen:
        texts, passage_tokens = ways[way]
        with _build_index(work / f"{folder.name}-{way}", texts, encoder, passage_tokens) as index:
            for retriever in RETRIEVERS:
                query_texts = list(dataset.queries.values())
                # Whole and cut, a document is one passage, and ten are measured.
                k = DEPTH if way == "passages" else 10
                hits = index.search_batch(query_texts, k=k, retriever=retriever)
                run = dict(zip(dataset.queries, map(best_passages, hits), strict=True))
                yield _row(folder, way, retriever, dataset, run)


def measure_hidden_facts(
    folder: Path, count: int, chosen: Sequence[str], encoder: Encoder, work: Path
) -> dict[str, Any]:
    """Share of facts whose text is the first hit, by retriever and depth."""
    rng = random.Random(0)
    names = list(itertools.product(COLOURS, ANIMALS, CITIES))
    rng.shuffle(names)
    hay = itertools.cycle(sorted(load_beir(folder).documents, key=lambda d: d.id))
    texts, questions, depths = [], {}, {}
    for number, name in enumerate(names[:count]):
        fact, question = FACTS[number % len(FACTS)]
        depth = number % DEPTHS
        id_, details = f"text-{number}", (*name, rng.randrange(1000, 9999))
        texts.append(
            Document(
                id_, _text_with_fact(hay, fact.format(*details), depth / (DEPTHS - 1), encoder)
            )
        )
        questions[id_], depths[id_] = question.format(*details), depth
    result: dict[str, Any] = {"hay": folder.name, "texts": count, "tokens": MAX_TOKENS}
    result["found_first"] = {
        way: _found_first(
            texts, questions, depths, encoder, work / f"facts-{folder.name}-{way}", passage_tokens
        )
        for way, passage_tokens in (("whole", MAX_TOKENS), ("passages", 256))
        if way in chosen
    }
    print(result, flush=True)
    return result


def _found_first(
    texts: Sequence[Document],
    questions: Mapping[str, str],
    depths: Mapping[str, int],
    encoder: Encoder,
    work: Path,
    passage_tokens: int,
) -> dict[str, dict[str, float]]:
    """Share of questions whose text is the first hit, by retriever and depth (0 to 1)."""
    shares: dict[str, dict[str, float]] = {}
    with _build_index(work, texts, encoder, passage_tokens) as index:
        for retriever in RETRIEVERS:
            is_first: dict[int, list[bool]] = defaultdict(list)
            for id_, question in questions.items():
                first_hit = index.search(question, k=1, retriever=retriever)
                is_first[depths[id_]].append(bool(first_hit) and first_hit[0].document_id == id_)
            shares[retriever] = {
                f"{depth / (DEPTHS - 1):.2f}": round(sum(outcomes) / len(outcomes), 3)
                for depth, outcomes in sorted(is_first.items())
            }
    return shares


def _text_with_fact(hay: Iterator[Document], fact: str, depth: float, encoder: Encoder) -> str:
    """A text of MAX_TOKENS tokens with the fact between two of its lines."""
    lines: list[str] = []
    room = MAX_TOKENS - 16 - len(encoder.token_spans(fact))
    while room > 0:
        for line in next(hay).text.splitlines():
            spans = encoder.token_spans(line)
            if len(spans) > room and spans[:room].size:
                line = line[: spans[:room][-1][1]]
            lines.append(line)
            room -= len(spans)
            if room <= 0:
                break
    lines.insert(round(depth * len(lines)), fact)
    return "\n".join(lines)


def _truncation_point(encoder: Encoder, document: Document, tokens: int) -> int:
    """Where to cut a text, so that it and its title have at most so many tokens."""
    room = tokens - 2 - len(encoder.token_spans(document.title))
    spans = encoder.token_spans(document.text)
    return len(document.text) if len(spans) <= room else int(spans[room - 1][1])


def _build_index(path: Path, documents: Sequence[Document], encoder: Encoder, tokens: int) -> Index:
    shutil.rmtree(path, ignore_errors=True)
    index = Index.create(path, encoder=encoder, passage_tokens=tokens)
    index.add(documents)
    return index


def best_passages(hits: Sequence[Hit]) -> dict[str, float]:
    """The score of each document's best passage."""
    best: dict[str, float] = {}
    for hit in hits:
        best.setdefault(hit.document_id, hit.score)
    return best


def _row(
    folder: Path, way: str, retriever: str, dataset: Dataset, run: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    value = means(dataset.qrels, run, ["nDCG@10"])["nDCG@10"]
    row: dict[str, Any] = {"collection": folder.name, "text": way, "retriever": retriever}
    row |= {"nDCG@10": round(value, 4), "queries": len(dataset.queries)}
    print(row, flush=True)
    return row


if __name__ == "__main__":
    run_main(main)
