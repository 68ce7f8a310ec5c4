"""Our half of the late-interaction benchmark: one stage a process, JSON on the last line.

    python benchmarks/late_engine.py build VECTORS --work FOLDER --passages N --regime exact
    python benchmarks/late_engine.py search VECTORS --work FOLDER --out rankings.npz
    python benchmarks/late_engine.py truth VECTORS --out truth.npz --sizes 1000 10000
    python benchmarks/late_engine.py cut VECTORS --out FOLDER --passages N --tokens 40
    python benchmarks/late_engine.py synthetic VECTORS --work FOLDER --passages 1000000
    python benchmarks/late_engine.py kernels --dims 48 96 128

VECTORS is a folder of `late_vectors.py`. A stage of its own process, so that `peak_rss_mb` is that
of a process which only searches.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.eval.machine import forget_peak
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
BATCHES = 5  # one takes a tenth of a second: a single one says little
SHARD = 10_000  # passages written at once, as a commit would
NOISE = 0.3  # of a synthetic token's length


class Vectors:
    """Token vectors of real text, mapped."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "tokens.npy"
        self.dim = int(np.load(self._file, mmap_mode="r").shape[1])
        self.offsets = np.load(folder / "offsets.npy")
        self.queries = np.load(folder / "queries.npy")

    def part(self, first: int, last: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The tokens of passages first:last and their offsets."""
        bounds = self.offsets[first : last + 1]
        mapped = np.load(self._file, mmap_mode="r")  # let go of at once: not ours to be measured
        return mapped[bounds[0] : bounds[-1]].astype(np.float32), bounds - bounds[0]


def cut(given: argparse.Namespace) -> dict[str, Any]:
    """Write the first vectors of each of the first N passages, and the queries, as VECTORS."""
    offsets = np.load(given.vectors / "offsets.npy")[: given.passages + 1]
    tokens = np.load(given.vectors / "tokens.npy", mmap_mode="r")
    lengths = np.minimum(np.diff(offsets), given.tokens)
    given.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(given.vectors / "queries.npy", given.out)
    starts = offsets_of(lengths)
    shape = (int(starts[-1]), tokens.shape[1])
    kept = np.lib.format.open_memmap(given.out / "tokens.npy", "w+", tokens.dtype, shape)
    for row, length in enumerate(lengths.tolist()):
        kept[starts[row] : starts[row] + length] = tokens[offsets[row] : offsets[row] + length]
    kept.flush()
    np.save(given.out / "offsets.npy", starts)  # last: a folder that has it is whole
    return {"passages": len(lengths), "tokens": shape[0]}


def build(given: argparse.Namespace) -> dict[str, Any]:
    """Write exact segments as commits would, then one segment of the regime."""
    vectors = Vectors(given.vectors)
    passages = min(given.passages, len(vectors.offsets) - 1)
    shutil.rmtree(given.work, ignore_errors=True)
    seconds = 0.0
    shards = []
    for first in range(0, passages, SHARD):
        last = min(first + SHARD, passages)
        tokens, offsets = vectors.part(first, last)
        folder = given.work / f"shard{first}"
        started = time.perf_counter()
        write_late(folder, np.arange(first, last), tokens, offsets)
        seconds += time.perf_counter() - started
        shards.append(folder)
        del tokens  # ours, and not to be measured with what follows
    forget_peak()
    started = time.perf_counter()
    trained = promote([open_late(shard) for shard in shards], given.work / "index", given)
    seconds += time.perf_counter() - started
    for shard in shards:
        shutil.rmtree(shard)
    return {"build_s": seconds, "train_s": trained, "build_peak_rss_mb": peak_mb()}


def promote(segments: list[LateSegment], folder: Path, given: argparse.Namespace) -> float:
    """Write the segments as one; the seconds of training, which are part of the whole."""
    if given.regime == "exact":
        merge_exact(folder, segments)
        return 0.0
    started = time.perf_counter()
    codec = train_codec(segments, bits=given.bits)
    seconds = time.perf_counter() - started
    merge_compressed(folder, segments, codec, lists=given.regime == "lists")
    return seconds


def search(given: argparse.Namespace) -> dict[str, Any]:
    """Queries one at a time, then all in one call."""
    queries = list(np.load(given.vectors / "queries.npy")[: given.queries])
    started = time.perf_counter()
    segment = open_late(given.work / "index")
    opened = time.perf_counter() - started
    searcher = LateSearcher([segment])
    allowed = None
    if given.share < 1:
        allowed = np.random.default_rng(0).random(len(segment)) < given.share
    options: dict[str, Any] = {"candidates": given.candidates} if given.candidates else {}
    for query in queries[:5]:
        searcher.search([query], K, allowed, **options)
    seconds, found = [], np.full((len(queries), K), -1)
    for place, query in enumerate(queries):
        started = time.perf_counter()
        ((ids, _),) = searcher.search([query], K, allowed, **options)
        seconds.append(time.perf_counter() - started)
        found[place, : len(ids)] = ids
    batches = []
    for _ in range(BATCHES):
        started = time.perf_counter()
        searcher.search(queries, K, allowed, **options)
        batches.append(time.perf_counter() - started)
    batch = float(np.median(batches))
    if given.out:
        np.savez(given.out, ids=found)
    size = sum(file.stat().st_size for file in (given.work / "index").iterdir())
    return {
        "regime": segment.regime,
        "passages": len(segment),
        "tokens": segment.tokens,
        "dim": segment.dim,
        "bits": 8 if segment.regime == "exact" else segment.codec.bits,
        "queries": len(queries),
        "open_s": opened,
        "p50_ms": float(np.percentile(seconds, 50)) * 1e3,
        "p95_ms": float(np.percentile(seconds, 95)) * 1e3,
        "qps": len(queries) / batch,
        "bytes_per_token": size / max(1, segment.tokens),
        "peak_rss_mb": peak_mb(),
    }


def truth(given: argparse.Namespace) -> dict[str, Any]:
    """The K best of the first N passages by float32 MaxSim, for each N: arrays `top_N`."""
    vectors = Vectors(given.vectors)
    queries = vectors.queries[: given.queries]
    flat = np.concatenate(queries).T.copy()
    sizes = sorted({min(size, len(vectors.offsets) - 1) for size in given.sizes})
    best = np.full((len(queries), 0), 0, np.float32)
    names = np.empty((len(queries), 0), np.int64)
    found = {}
    first = 0
    for size in sizes:
        for start in range(first, size, 50):
            stop = min(start + 50, size)
            tokens, offsets = vectors.part(start, stop)
            peaks = np.maximum.reduceat(tokens @ flat, offsets[:-1], axis=0)
            scores = peaks.reshape(len(peaks), len(queries), -1).sum(axis=2).T
            best = np.concatenate([best, scores], axis=1)
            new = np.broadcast_to(np.arange(start, stop), scores.shape)
            names = np.concatenate([names, new], axis=1)
            order = np.argsort(-best, axis=1)[:, :100]
            best, names = np.take_along_axis(best, order, 1), np.take_along_axis(names, order, 1)
        first = size
        found[f"top_{size}"] = names[:, :K].copy()
    np.savez(given.out, **found)
    return {"sizes": sizes}


def synthetic(given: argparse.Namespace) -> dict[str, Any]:
    """Many passages: the real ones again and again, each token moved by noise of its own."""
    vectors = Vectors(given.vectors)
    real = len(vectors.offsets) - 1
    rng = np.random.default_rng(0)
    dim = vectors.dim
    pool = rng.standard_normal((1 << 20, dim), dtype=np.float32) * np.float32(NOISE / dim**0.5)
    shutil.rmtree(given.work, ignore_errors=True)
    shards, tokens_made = [], 0
    while tokens_made < given.tokens and len(shards) * SHARD < given.passages:
        first = len(shards) * SHARD
        tokens, offsets = vectors.part(first % real, min(first % real + SHARD, real))
        if first >= real:
            tokens += pool[rng.integers(0, len(pool), len(tokens))]
            tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
        folder = given.work / f"shard{first}"
        write_late(folder, np.arange(first, first + len(offsets) - 1), tokens, offsets)
        shards.append(folder)
        tokens_made += len(tokens)
        print(f"\r{tokens_made:,} tokens written", end="", flush=True)
    started = time.perf_counter()
    segments = [open_late(shard) for shard in shards]
    trained = promote(segments, given.work / "index", given)
    seconds = time.perf_counter() - started
    peak = peak_mb()
    queries = list(vectors.queries[: given.queries])
    exact = LateSearcher(segments)
    top = [ids for ids, _ in exact.search(queries, K, exhaustive=True)]
    np.savez(given.out, **{f"top_{len(shards) * SHARD}": np.stack(top)})
    for shard in shards:
        shutil.rmtree(shard)
    return {"build_s": seconds, "train_s": trained, "build_peak_rss_mb": peak}


def kernel_speeds(given: argparse.Namespace) -> dict[str, Any]:
    """int8 MaxSim of 32 query tokens over passages of 176 tokens, as many as fill 128 MB."""
    rng = np.random.default_rng(0)
    rows = []
    for dim in given.dims:
        passages = (128 << 20) // (176 * dim)
        codes = rng.integers(-127, 128, (passages * 176, dim), dtype=np.int8)
        scales = np.full(len(codes), 0.01, np.float32)
        offsets = np.arange(passages + 1) * 176
        query = rng.integers(-127, 128, (32, dim), dtype=np.int8)
        factors = np.ones(32, np.float32)
        arguments = (codes, scales, offsets, np.arange(passages), query, factors)
        for threads in given.threads:
            os.environ["RETRIEVAL_THREADS"] = str(threads)
            speed = len(codes) / _least(lambda a=arguments: kernels.max_sim(*a, np.array([0, 32])))
            rows.append(
                {
                    "name": "max_sim int8",
                    "isa": kernels.isa(),
                    "dim": dim,
                    "threads": threads,
                    "mtokens_per_s": speed / 1e6,
                }
            )
    return {"kernels": rows}


def _least(call: Any) -> float:
    call()

    def times() -> Iterator[float]:
        for _ in range(15):
            started = time.perf_counter()
            call()
            yield time.perf_counter() - started

    return float(np.median(list(times())))


def peak_mb() -> float:
    """The most memory that this process had resident since it began, or since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def main() -> None:
    """Run what the command line asks for."""
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
    parser.add_argument("--share", type=float, default=1.0, help="of passages that a filter keeps")
    parser.add_argument("--sizes", type=int, nargs="+", default=[])
    parser.add_argument("--dims", type=int, nargs="+", default=[48, 96, 128])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    print("\n" + json.dumps(stages[args.stage](args)))


if __name__ == "__main__":
    main()
