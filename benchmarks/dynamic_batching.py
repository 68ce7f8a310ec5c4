"""What dynamic batching gains and costs where the network runs in torch: queries from 16 threads.

    python benchmarks/dynamic_batching.py --out FILE.json

A ModernBERT with random weights (6 layers of 384) encodes queries on the CPU, in alternating
rounds: batched as they arrive together, and each as a batch of its own. Queries of a single thread
show what batching costs a lone client.
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
from timing import percentile

sys.path.insert(0, str(Path(__file__).parents[1]))

from retrieval.encoders.checkpoints import open_folder, read_checkpoint
from retrieval.encoders.model.heads import DenseHead
from retrieval.encoders.model.network import Network
from retrieval.encoders.runtimes.torch import TorchEncoder
from tests.encoders.random_models import save_trunk

THREADS = 16
SIZE = {"hidden_size": 384, "intermediate_size": 576, "num_hidden_layers": 6}


def main() -> None:
    """Measure both ways, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = read_checkpoint(open_folder(save_trunk(Path(scratch), **SIZE)))
        network = Network(checkpoint.network.trunk, DenseHead(384, 384), None)
        encoder = TorchEncoder(replace(checkpoint, network=network), device="cpu")
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "search", "late"]
    queries = [
        " ".join(words[index % 7 : index % 7 + 3 + index % 5]) + f" {index}"
        for index in range(args.queries)
    ]

    def encode_batched(query: str) -> object:
        return encoder.encode_queries([query])

    def encode_alone(query: str) -> object:
        reader = encoder._reader("query")
        return encoder._run(reader, list(encoder._read(reader, [query])))

    rows = {}
    for threads in (1, THREADS):
        rounds = []
        for number in range(args.rounds + 1):
            modes: dict[str, Any] = {"together": encode_batched, "alone": encode_alone}
            for mode in sorted(modes, reverse=number % 2 == 1):
                modes[mode] = measure_latencies(modes[mode], queries, threads)
            rounds.append(modes)
        rounds = rounds[1:]
        rows[threads] = {
            mode: {
                key: round(statistics.median(round_[mode][key] for round_ in rounds), 2)
                for key in ("p50_ms", "p95_ms", "queries_per_second", "processor_ms")
            }
            for mode in ("together", "alone")
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


def measure_latencies(
    work: Callable[[str], object], queries: list[str], threads: int
) -> dict[str, Any]:
    """Wall and CPU milliseconds per query, and queries per second."""

    def latency_ms(query: str) -> float:
        started = time.perf_counter()
        work(query)
        return 1000 * (time.perf_counter() - started)

    started, cpu_before = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        latencies_ms = list(pool.map(latency_ms, queries))
    return {
        "p50_ms": percentile(latencies_ms, 50),
        "p95_ms": percentile(latencies_ms, 95),
        "queries_per_second": len(queries) / (time.perf_counter() - started),
        "processor_ms": 1000 * (time.process_time() - cpu_before) / len(queries),
    }


if __name__ == "__main__":
    main()
