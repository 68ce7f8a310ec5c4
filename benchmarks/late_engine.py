"""Our side of the late-interaction benchmark: one stage per process, JSON on the last line.

    python benchmarks/late_engine.py build VECTORS --work FOLDER --passages N --regime exact
    python benchmarks/late_engine.py search VECTORS --work FOLDER --out rankings.npz
    python benchmarks/late_engine.py truth VECTORS --out truth.npz --sizes 1000 10000
    python benchmarks/late_engine.py cut VECTORS --out FOLDER --passages N --tokens 40
    python benchmarks/late_engine.py synthetic VECTORS --work FOLDER --passages 1000000
    python benchmarks/late_engine.py kernels --dims 48 96 128

VECTORS is a folder of `late_vectors.py`. Each stage is a process of its own, so that `peak_rss_mb`
of a search is that of a process that only searches.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import percentile

from retrieval.eval.machine import forget_peak, peak_rss_mb
from retrieval.indexes import kernels
from retrieval.indexes.late import (
    LateSearcher,
    LateSegment,
    merge_compressed,
    merge_exact,
    open_late,
    train_codec,
    write_late,
)
from retrieval.ragged import offsets_of

K = 10
KERNEL_REPEATS = 15
BATCH_REPEATS = 5  # a batch takes a tenth of a second, too little for a single sample
COMMIT_PASSAGES = 10_000  # passages per segment before merging, as commits write them
NOISE = 0.3  # expected length of the noise added to a synthetic token


class Vectors:
    """Memory-mapped token vectors of real text.

    Attributes:
        dim: dimensions of a vector.
        offsets: i64 [n + 1], first tokens of the passages.
        queries: f32 [q, 32, d].
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "tokens.npy"
        self.dim = int(np.load(self._file, mmap_mode="r").shape[1])
        self.offsets = np.load(folder / "offsets.npy")
        self.queries = np.load(folder / "queries.npy")

    def part(self, first: int, last: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Tokens of passages first:last, f32 [T, d], and their offsets, i64 [last - first + 1]."""
        offsets = self.offsets[first : last + 1]
        # Unmapped at once, so that it does not count as the engine's memory.
        tokens = np.load(self._file, mmap_mode="r")
        return tokens[offsets[0] : offsets[-1]].astype(np.float32), offsets - offsets[0]


def cut(args: argparse.Namespace) -> dict[str, Any]:
    """Write the first vectors of the first N passages, and all queries, as a VECTORS folder."""
    offsets = np.load(args.vectors / "offsets.npy")[: args.passages + 1]
    tokens = np.load(args.vectors / "tokens.npy", mmap_mode="r")
    lengths = np.minimum(np.diff(offsets), args.tokens)
    args.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(args.vectors / "queries.npy", args.out)
    starts = offsets_of(lengths)
    shape = (int(starts[-1]), tokens.shape[1])
    copied = np.lib.format.open_memmap(args.out / "tokens.npy", "w+", tokens.dtype, shape)
    for row, length in enumerate(lengths.tolist()):
        copied[starts[row] : starts[row] + length] = tokens[offsets[row] : offsets[row] + length]
    copied.flush()
    # Written last, so that a folder with this file is complete.
    np.save(args.out / "offsets.npy", starts)
    return {"passages": len(lengths), "tokens": shape[0]}


def build(args: argparse.Namespace) -> dict[str, Any]:
    """Write exact segments as commits would, then merge them into one segment of the regime."""
    vectors = Vectors(args.vectors)
    passages = min(args.passages, len(vectors.offsets) - 1)
    shutil.rmtree(args.work, ignore_errors=True)
    build_s = 0.0
    segment_folders = []
    for first in range(0, passages, COMMIT_PASSAGES):
        last = min(first + COMMIT_PASSAGES, passages)
        tokens, offsets = vectors.part(first, last)
        folder = args.work / f"shard{first}"
        started = time.perf_counter()
        write_late(folder, np.arange(first, last), tokens, offsets)
        build_s += time.perf_counter() - started
        segment_folders.append(folder)
        del tokens  # the benchmark's own memory must not count below
    forget_peak()
    started = time.perf_counter()
    train_s = merge_segments(
        [open_late(segment_folder) for segment_folder in segment_folders], args.work / "index", args
    )
    build_s += time.perf_counter() - started
    for segment_folder in segment_folders:
        shutil.rmtree(segment_folder)
    return {"build_s": build_s, "train_s": train_s, "build_peak_rss_mb": peak_rss_mib()}


def merge_segments(segments: list[LateSegment], folder: Path, args: argparse.Namespace) -> float:
    """Merge the segments into one of the regime; the seconds of training the codec."""
    if args.regime == "exact":
        merge_exact(folder, segments)
        return 0.0
    started = time.perf_counter()
    codec = train_codec(segments, bits=args.bits)
    train_s = time.perf_counter() - started
    merge_compressed(folder, segments, codec, lists=args.regime == "lists")
    return train_s


def search(args: argparse.Namespace) -> dict[str, Any]:
    """Time queries one at a time, then all of them in one call."""
    queries = list(np.load(args.vectors / "queries.npy")[: args.queries])
    started = time.perf_counter()
    segment = open_late(args.work / "index")
    open_s = time.perf_counter() - started
    searcher = LateSearcher([segment])
    allowed = None
    if args.share < 1:
        allowed = np.random.default_rng(0).random(len(segment)) < args.share
    options: dict[str, Any] = {"candidates": args.candidates} if args.candidates else {}
    for query in queries[:5]:
        searcher.search([query], K, allowed, **options)
    latencies_s, rankings = [], np.full((len(queries), K), -1)
    for row, query in enumerate(queries):
        started = time.perf_counter()
        ((ids, _),) = searcher.search([query], K, allowed, **options)
        latencies_s.append(time.perf_counter() - started)
        rankings[row, : len(ids)] = ids
    batch_s = []
    for _ in range(BATCH_REPEATS):
        started = time.perf_counter()
        searcher.search(queries, K, allowed, **options)
        batch_s.append(time.perf_counter() - started)
    batch_median_s = float(np.median(batch_s))
    if args.out:
        np.savez(args.out, ids=rankings)
    size = sum(file.stat().st_size for file in (args.work / "index").iterdir())
    return {
        "regime": segment.regime,
        "passages": len(segment),
        "tokens": segment.tokens,
        "dim": segment.dim,
        "bits": 8 if segment.regime == "exact" else segment.codec.bits,
        "queries": len(queries),
        "open_s": open_s,
        "p50_ms": 1e3 * percentile(latencies_s, 50),
        "p95_ms": 1e3 * percentile(latencies_s, 95),
        "qps": len(queries) / batch_median_s,
        "bytes_per_token": size / max(1, segment.tokens),
        "peak_rss_mb": peak_rss_mib(),
    }


def truth(args: argparse.Namespace) -> dict[str, Any]:
    """The K best of the first N passages by float32 MaxSim, for each N, as arrays `top_N`."""
    vectors = Vectors(args.vectors)
    queries = vectors.queries[: args.queries]
    query_tokens = np.concatenate(queries).T.copy()
    sizes = sorted({min(size, len(vectors.offsets) - 1) for size in args.sizes})
    best_scores = np.full((len(queries), 0), 0, np.float32)
    best_ids = np.empty((len(queries), 0), np.int64)
    arrays = {}
    done = 0
    for size in sizes:
        for start in range(done, size, 50):
            stop = min(start + 50, size)
            tokens, offsets = vectors.part(start, stop)
            maxima = np.maximum.reduceat(tokens @ query_tokens, offsets[:-1], axis=0)
            scores = maxima.reshape(len(maxima), len(queries), -1).sum(axis=2).T
            best_scores = np.concatenate([best_scores, scores], axis=1)
            new = np.broadcast_to(np.arange(start, stop), scores.shape)
            best_ids = np.concatenate([best_ids, new], axis=1)
            order = np.argsort(-best_scores, axis=1)[:, :100]
            best_scores, best_ids = (
                np.take_along_axis(best_scores, order, 1),
                np.take_along_axis(best_ids, order, 1),
            )
        done = size
        arrays[f"top_{size}"] = best_ids[:, :K].copy()
    np.savez(args.out, **arrays)
    return {"sizes": sizes}


def synthetic(args: argparse.Namespace) -> dict[str, Any]:
    """Index many passages: the real ones repeatedly, with noise added to each token."""
    vectors = Vectors(args.vectors)
    real = len(vectors.offsets) - 1
    rng = np.random.default_rng(0)
    dim = vectors.dim
    pool = rng.standard_normal((1 << 20, dim), dtype=np.float32) * np.float32(NOISE / dim**0.5)
    shutil.rmtree(args.work, ignore_errors=True)
    segment_folders, tokens_written = [], 0
    while tokens_written < args.tokens and len(segment_folders) * COMMIT_PASSAGES < args.passages:
        first = len(segment_folders) * COMMIT_PASSAGES
        tokens, offsets = vectors.part(first % real, min(first % real + COMMIT_PASSAGES, real))
        if first >= real:
            tokens += pool[rng.integers(0, len(pool), len(tokens))]
            tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
        folder = args.work / f"shard{first}"
        write_late(folder, np.arange(first, first + len(offsets) - 1), tokens, offsets)
        segment_folders.append(folder)
        tokens_written += len(tokens)
        print(f"\r{tokens_written:,} tokens written", end="", flush=True)
    started = time.perf_counter()
    segments = [open_late(segment_folder) for segment_folder in segment_folders]
    train_s = merge_segments(segments, args.work / "index", args)
    build_s = time.perf_counter() - started
    build_peak = peak_rss_mib()
    queries = list(vectors.queries[: args.queries])
    exact = LateSearcher(segments)
    top = [ids for ids, _ in exact.search(queries, K, exhaustive=True)]
    np.savez(args.out, **{f"top_{len(segment_folders) * COMMIT_PASSAGES}": np.stack(top)})
    for segment_folder in segment_folders:
        shutil.rmtree(segment_folder)
    return {"build_s": build_s, "train_s": train_s, "build_peak_rss_mb": build_peak}


def kernel_speeds(args: argparse.Namespace) -> dict[str, Any]:
    """int8 MaxSim of 32 query tokens over 128 MiB of passages of 176 tokens each."""
    rng = np.random.default_rng(0)
    rows = []
    for dim in args.dims:
        passages = (128 << 20) // (176 * dim)
        codes = rng.integers(-127, 128, (passages * 176, dim), dtype=np.int8)
        scales = np.full(len(codes), 0.01, np.float32)
        offsets = np.arange(passages + 1) * 176
        query = rng.integers(-127, 128, (32, dim), dtype=np.int8)
        factors = np.ones(32, np.float32)
        arguments = (codes, scales, offsets, np.arange(passages), query, factors)
        for threads in args.threads:
            os.environ["RETRIEVAL_THREADS"] = str(threads)
            tokens_per_s = len(codes) / _median_seconds(
                lambda a=arguments: kernels.max_sim(*a, np.array([0, 32]))
            )
            rows.append(
                {
                    "name": "max_sim int8",
                    "isa": kernels.isa(),
                    "dim": dim,
                    "threads": threads,
                    "mtokens_per_s": tokens_per_s / 1e6,
                }
            )
    return {"kernels": rows}


def _median_seconds(call: Callable[[], object]) -> float:
    """Median wall seconds of a call, after a warmup."""
    call()
    samples = []
    for _ in range(KERNEL_REPEATS):
        started = time.perf_counter()
        call()
        samples.append(time.perf_counter() - started)
    return float(np.median(samples))


def peak_rss_mib() -> float:
    """Peak resident memory in MiB, since the process started or since `forget_peak`."""
    peak = peak_rss_mb()
    return float("nan") if peak is None else peak


def main() -> None:
    """Run one stage, and print its result as JSON on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    stages = {
        "build": build,
        "search": search,
        "truth": truth,
        "cut": cut,
        "synthetic": synthetic,
        "kernels": kernel_speeds,
    }
    parser.add_argument("stage", choices=stages)
    parser.add_argument("vectors", type=Path, nargs="?")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--passages", type=int, default=10**9)
    parser.add_argument("--tokens", type=int, default=150_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--regime", choices=("exact", "compressed", "lists"), default="compressed")
    parser.add_argument("--bits", type=int, choices=(2, 4), default=4)
    parser.add_argument("--candidates", type=int)
    parser.add_argument("--share", type=float, default=1.0, help="of passages that pass a filter")
    parser.add_argument("--sizes", type=int, nargs="+", default=[])
    parser.add_argument("--dims", type=int, nargs="+", default=[48, 96, 128])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    print("\n" + json.dumps(stages[args.stage](args)))


if __name__ == "__main__":
    main()
