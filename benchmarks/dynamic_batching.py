"""What dynamic batching gains and costs where the network runs in torch: queries of 16 threads.

    python benchmarks/dynamic_batching.py --out FILE.json

A ModernBERT of random weights (6 layers of 384) on this machine's processor; in turns, queries are
encoded as they come together, and each by itself as a batch of its own. A single thread's queries
show what batching costs whoever is alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from environment import environment
from json_files import write_json

sys.path.insert(0, str(Path(__file__).parents[1]))

from retrieval.encoders.checkpoints import open_folder, read_checkpoint
from retrieval.encoders.model.heads import DenseHead
from retrieval.encoders.model.network import Network
from retrieval.encoders.runtimes.torch import TorchEncoder
from tests.encoders.random_models import save_trunk

THREADS = 16
SIZE = {"hidden_size": 384, "intermediate_size": 576, "num_hidden_layers": 6}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        read = read_checkpoint(open_folder(save_trunk(Path(scratch), **SIZE)))
        network = Network(read.network.trunk, DenseHead(384, 384), None)
        encoder = TorchEncoder(replace(read, network=network), device="cpu")
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "search", "late"]
    queries = [
        " ".join(words[at % 7 : at % 7 + 3 + at % 5]) + f" {at}" for at in range(args.queries)
    ]

    def together(query: str) -> object:
        return encoder.encode_queries([query])

    def alone(query: str) -> object:
        reader = encoder._reader("query")
        return encoder._run(reader, list(encoder._read(reader, [query])))

    rows = {}
    for threads in (1, THREADS):
        rounds = []
        for number in range(args.rounds + 1):
            ways: dict[str, Any] = {"together": together, "alone": alone}
            for way in sorted(ways, reverse=number % 2 == 1):
                ways[way] = timed(ways[way], queries, threads)
            rounds.append(ways)
        rounds = rounds[1:]
        rows[threads] = {
            way: {
                key: round(statistics.median(one[way][key] for one in rounds), 2)
                for key in ("p50_ms", "p95_ms", "queries_per_second", "processor_ms")
            }
            for way in ("together", "alone")
        }
        print(threads, json.dumps(rows[threads]), flush=True)
    if args.out:
        result = environment(("modernbert-retrieval", "torch", "numpy")) | {
            "note": args.note,
            "load": os.getloadavg(),
            "network": SIZE,
            "queries_of_a_round": args.queries,
            "rounds": args.rounds,
            "by_threads": rows,
        }
        write_json(args.out, result)


def timed(work: Callable[[str], object], queries: list[str], threads: int) -> dict[str, Any]:
    """Milliseconds of a query, by the clock and of the processor, and queries a second."""

    def one(query: str) -> float:
        began = time.perf_counter()
        work(query)
        return 1000 * (time.perf_counter() - began)

    began, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        each = sorted(pool.map(one, queries))
    return {
        "p50_ms": statistics.median(each),
        "p95_ms": each[int(0.95 * len(each))],
        "queries_per_second": len(queries) / (time.perf_counter() - began),
        "processor_ms": 1000 * (time.process_time() - processor) / len(queries),
    }


if __name__ == "__main__":
    main()
