"""The peers' side of the late-interaction benchmark. It runs in the peers' own environment.

    python benchmarks/late_peers.py plaid|warp VECTORS --work FOLDER [--out RANKINGS] [--reuse]
    python benchmarks/late_peers.py kernel numkong|maxsim-cpu --dim D

`peers-requirements.txt` lists the environment's packages; nothing of this project is imported.
VECTORS is a folder of `late_vectors.py`. The last line of standard output is one JSON object;
RANKINGS is an `.npz` whose `ids` i64 [q, k] holds the best passages of each query, -1 where it
has fewer.

Building, searching and updating run in a process each, so that each reports its own peak memory.
FOLDER keeps the index and `build.json`; `--reuse` searches an existing index.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from late_peer_steps.indexes import ENGINES, TOP_K, PeerIndex, Result
from late_peer_steps.kernels import KERNELS, kernel
from late_peer_steps.timing import time_call

WARMUP = 5
BATCH_REPEATS = 5  # as of our engine
NEW_PASSAGES = 100


def passage_vectors(vectors: Path, first: int, stop: int) -> list[Any]:
    """Passages `first` to `stop` as views of the mapped file, f16 [n_i, d] each, without a copy."""
    torch = importlib.import_module("torch")
    # Mapped copy-on-write, as torch warns of memory that it may not write.
    tokens = torch.from_numpy(np.load(vectors / "tokens.npy", mmap_mode="c"))
    offsets = np.load(vectors / "offsets.npy")
    return [tokens[offsets[i] : offsets[i + 1]] for i in range(first, stop)]


def passage_count(vectors: Path, requested: int | None) -> int:
    """How many passages to index: all, or as many as requested."""
    available = len(np.load(vectors / "offsets.npy", mmap_mode="r")) - 1
    if requested is not None and requested > available:
        raise SystemExit(f"{vectors} holds {available:,} passages, {requested:,} were asked for")
    return requested or available


def peak_rss_mib(field: str = "VmHWM") -> float:
    """Peak resident memory of this process in MiB, or another field of its status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return round(int(line.split()[1]) / 1024, 1)
    raise SystemExit(f"/proc/self/status has no {field}: this benchmark needs Linux")


def cpu_seconds() -> float:
    """User and system seconds of this process and of the children that it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def folder_bytes(folder: Path) -> int:
    """Total size of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def build(args: argparse.Namespace) -> Result:
    """Build FOLDER/index, and write FOLDER/build.json once it is complete."""
    kind = ENGINES[args.what]
    index, record = args.work / "index", args.work / "build.json"
    record.unlink(missing_ok=True)
    shutil.rmtree(index, ignore_errors=True)
    args.work.mkdir(parents=True, exist_ok=True)
    count = passage_count(args.vectors, args.passages)
    passages = passage_vectors(args.vectors, 0, count)
    tokens, dim = sum(len(passage) for passage in passages), passages[0].shape[1]
    engine: PeerIndex = kind(index, args)
    cpu_before = cpu_seconds()
    build_s = time_call(lambda: engine.build(passages))
    size = folder_bytes(index)
    result = {
        "engine": kind.distribution,
        "version": importlib.metadata.version(kind.distribution),
        "passages": count,
        "tokens": tokens,
        "dim": dim,
        "bits": args.bits,
        "build_s": round(build_s, 2),
        "build_cpu_s": round(cpu_seconds() - cpu_before, 2),
        "build_peak_rss_mb": peak_rss_mib(),
        "bytes_on_disk": size,
        "bytes_per_token": round(size / tokens, 2),
        "build_settings": {
            "kmeans_passages": args.kmeans_passages or "engine's default",
            "float32_products": args.float32_products,
        },
    }
    record.write_text(json.dumps(result, indent=2) + "\n")
    return result


def read_build(args: argparse.Namespace) -> Result:
    """FOLDER/build.json, checked against the command line."""
    record = args.work / "build.json"
    if not record.exists():
        raise SystemExit(f"{record} is missing: no finished index there; leave out --reuse")
    result: Result = json.loads(record.read_text())
    requested = {"passages": passage_count(args.vectors, args.passages), "bits": args.bits}
    for name, value in requested.items():
        if result[name] != value:
            raise SystemExit(f"{args.work} has {name} {result[name]}, {value} was asked for")
    return result


def search(args: argparse.Namespace) -> Result:
    """Time the queries one at a time, then all of them in one call."""
    torch = importlib.import_module("torch")
    read_build(args)
    queries = torch.from_numpy(np.load(args.vectors / "queries.npy")[: args.queries])
    started = time.perf_counter()
    engine: PeerIndex = ENGINES[args.what](args.work / "index", args)
    engine.load()
    load_s = time.perf_counter() - started
    for i in range(min(WARMUP, len(queries))):
        engine.search(queries[i : i + 1], batch=False)
    ids = np.full((len(queries), TOP_K), -1, np.int64)
    latencies_s = np.empty(len(queries))
    for i in range(len(queries)):
        started = time.perf_counter()
        ranking = engine.search(queries[i : i + 1], batch=False)[0]
        latencies_s[i] = time.perf_counter() - started
        ids[i, : len(ranking)] = [passage for passage, _ in ranking]
    batches_s = [
        time_call(lambda: engine.search(queries, batch=True)) for _ in range(BATCH_REPEATS)
    ]
    if args.out is not None:
        np.savez(args.out, ids=ids)
    return {
        "load_s": round(load_s, 2),
        "queries": len(queries),
        "p50_ms": round(float(np.percentile(latencies_s, 50)) * 1e3, 2),
        "p95_ms": round(float(np.percentile(latencies_s, 95)) * 1e3, 2),
        "qps": round(len(queries) / float(np.median(batches_s)), 2),
        "peak_rss_mb": peak_rss_mib(),
        "settings": engine.settings(queries),
    }


def change(args: argparse.Namespace) -> Result:
    """Add passages to a copy of the index, then delete one: seconds until both take effect."""
    torch = importlib.import_module("torch")
    count = read_build(args)["passages"]
    available = passage_count(args.vectors, None)
    # Passages that the index lacks, or, where it has them all, its last ones once more.
    first = min(count, available - args.add)
    passages = [
        passage.clone() for passage in passage_vectors(args.vectors, first, first + args.add)
    ]
    query = torch.from_numpy(np.load(args.vectors / "queries.npy")[:1])
    copy = args.work / "changed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(args.work / "index", copy)
    try:
        engine: PeerIndex = ENGINES[args.what](copy, args)
        engine.load()
        best = engine.search(query, batch=False)[0][0][0]
        add_s = time_call(lambda: engine.add(passages))
        delete_s = time_call(lambda: engine.delete(best))
    finally:
        shutil.rmtree(copy)
    return {
        "added": len(passages),
        "add_s": round(add_s, 3),
        "delete_one_ms": round(delete_s * 1e3, 2),
        "change_peak_rss_mb": peak_rss_mib(),
    }


STAGES = {"build": build, "search": search, "change": change}


def run_stages(args: argparse.Namespace, arguments: Sequence[str]) -> Result:
    """Run the chosen stages, each in a process of its own, and merge their results."""
    if args.stage is not None:
        return STAGES[args.stage](args)
    stages = [] if args.reuse else ["build"]
    stages += ["search"] + (["change"] if args.add else [])
    results = [read_build(args)] if args.reuse else []
    for stage in stages:
        completed = subprocess.run(
            [sys.executable, __file__, *arguments, "--stage", stage],
            stdout=subprocess.PIPE,
            text=True,
        )
        if completed.returncode:
            raise SystemExit(f"{args.what}: {stage} ended with status {completed.returncode}")
        results.append(json.loads(completed.stdout.splitlines()[-1]))
    return {name: value for result in results for name, value in result.items()}


def make_parser() -> argparse.ArgumentParser:
    """The command-line parser."""
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = top.add_subparsers(dest="what", required=True)
    for name in ENGINES:
        one = commands.add_parser(name)
        one.add_argument("vectors", type=Path)
        one.add_argument("--work", type=Path, required=True, help="where the index is kept")
        one.add_argument("--passages", type=int, help="the first so many (default: all)")
        one.add_argument("--queries", type=int, default=100)
        one.add_argument("--out", type=Path, help="where the rankings go (.npz)")
        one.add_argument("--reuse", action="store_true", help="search the index that is there")
        one.add_argument(
            "--add", type=int, nargs="?", const=NEW_PASSAGES, default=0, help="time changes too"
        )
        one.add_argument("--stage", choices=STAGES, help="this stage only, in this process")
        one.add_argument("--bits", type=int, default=4)
        one.add_argument("--kmeans-passages", type=int, help="passages that the centroids are of")
        one.add_argument("--nprobe", type=int, help="clusters probed for a query token")
        one.add_argument("--threads", type=int, help="(default: the engine's; all for a batch)")
        if name == "plaid":
            one.add_argument("--full-scores", type=int, help="passages scored in full")
            one.add_argument(
                "--float32-products",
                action="store_true",
                help="multiply matrices faster than the engine does: the same index, sooner",
            )
        else:
            one.set_defaults(float32_products=False)
            one.add_argument("--bound", type=int)
            one.add_argument("--t-prime", type=int)
            one.add_argument("--max-candidates", type=int)
            one.add_argument("--centroid-threshold", type=float)
    one = commands.add_parser("kernel")
    one.add_argument("library", choices=KERNELS)
    one.add_argument("--dim", type=int, required=True)
    one.add_argument("--repeats", type=int, default=7)
    return top


def main() -> None:
    """Run what the command line asks for, and print one JSON object on the last line."""
    arguments = sys.argv[1:]
    args = make_parser().parse_args(arguments)
    result = kernel(args) if args.what == "kernel" else run_stages(args, arguments)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
