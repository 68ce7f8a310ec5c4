"""Token vectors of real text for the late-interaction benchmark, made by the embedded model.

    python benchmarks/late_vectors.py OUT SOURCE... [--passages N] [--whole TOKENS]

A SOURCE is a folder in BEIR's format or a `.jsonl.gz` of {"_id", "text"}. OUT gets `tokens.npy`
f16 [T, d], `offsets.npy` i64 [n + 1], `queries.npy` f32 [q, 32, d] and, for a single BEIR folder,
`ids.json`. Each query is several of the folders' queries, joined to fill 32 tokens.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from retrieval.documents import chunk
from retrieval.encoders import load_encoder
from retrieval.encoders.packing import batched
from retrieval.ragged import offsets_of
from retrieval.types import Document, Encoder

QUERY_TOKENS = 32


def read_documents(source: Path) -> Iterator[Document]:
    """The documents of a BEIR folder or of a file of JSON lines."""
    file = source / "corpus.jsonl" if source.is_dir() else source
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        for line in lines:
            row = json.loads(line)
            yield Document(str(row["_id"]), row["text"], row.get("title") or "")


def passage_texts(source: Path, encoder: Encoder, whole: int | None) -> Iterator[str]:
    """The texts to encode: passages of at most 256 tokens, or documents cut at `whole` tokens."""
    for document in read_documents(source):
        if whole is not None:
            text = f"{document.title}\n{document.text}".strip()
            spans = encoder.token_spans(text)
            yield text if len(spans) <= whole - 2 else text[: spans[whole - 3, 1]]
            continue
        for passage in chunk(document, encoder.token_spans, max_tokens=256):
            yield document.text[passage.start : passage.end]


def query_texts(sources: list[Path], count: int) -> list[str]:
    """Texts of several real queries each, drawn with a fixed seed."""
    texts = [
        json.loads(line)["text"]
        for source in sources
        if source.is_dir()
        for line in (source / "queries.jsonl").read_text().splitlines()
    ]
    rng = random.Random(0)
    return [" ".join(rng.sample(texts, 12)) for _ in range(count)]


def main() -> None:
    """Encode queries and passages, and write their vectors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--passages", type=int, default=10**9)
    parser.add_argument(
        "--whole", type=int, help="a document is one passage, cut at so many tokens"
    )
    parser.add_argument("--queries", type=int, default=300)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder()
    query_vectors = np.stack(
        [
            encoder.encode_queries([text]).tokens[:QUERY_TOKENS]
            for text in query_texts(args.sources, args.queries)
        ]
    )
    np.save(args.out / "queries.npy", query_vectors)
    if len(args.sources) == 1 and args.sources[0].is_dir():
        ids = [document.id for document in read_documents(args.sources[0])]
        (args.out / "ids.json").write_text(json.dumps(ids))

    lengths: list[int] = []
    started = time.monotonic()
    with (args.out / "tokens.raw").open("wb") as file:

        def texts() -> Iterator[str]:
            count = 0
            for source in args.sources:
                for text in passage_texts(source, encoder, args.whole):
                    if count == args.passages:
                        return
                    count += 1
                    yield text

        for batch in batched(texts(), 1_024):
            embeddings = encoder.encode_documents(batch)
            file.write(embeddings.tokens.astype(np.float16).tobytes())
            lengths += np.diff(embeddings.offsets).tolist()
            elapsed = time.monotonic() - started
            print(f"\r{len(lengths):,} passages, {sum(lengths) / elapsed:,.0f} tokens/s", end="")
    print()
    offsets = offsets_of(lengths)
    raw = np.memmap(
        args.out / "tokens.raw", np.float16, "r", shape=(offsets[-1], query_vectors.shape[2])
    )
    np.save(args.out / "tokens.npy", raw)
    (args.out / "tokens.raw").unlink()
    np.save(args.out / "offsets.npy", offsets)


if __name__ == "__main__":
    main()
