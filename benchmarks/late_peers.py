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
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

WARMUP = 5
TOP_K = 10
BATCH_REPEATS = 5  # as of our engine
NEW_PASSAGES = 100
KERNEL_PASSAGES, PASSAGE_TOKENS, QUERY_TOKENS = 3_000, 176, 32

Result = dict[str, Any]
Ranking = list[tuple[int, float]]


class PeerIndex(Protocol):
    """What the benchmark needs of a peer. Vectors and queries are torch tensors on the CPU."""

    def build(self, passages: list[Any]) -> None:
        """Write an index of `passages`, f16 [n_i, d] each, at the engine's defaults."""

    def load(self) -> None:
        """Open the index so that the next search needs nothing more."""

    def settings(self, queries: Any) -> Result:
        """The search's settings as they will be used."""

    def search(self, queries: Any, *, batch: bool) -> list[Ranking]:
        """The best passages of each query, f32 [q, 32, d]: (id, score), best first."""

    def add(self, passages: list[Any]) -> None:
        """Add passages to the open index, searchable on return."""

    def delete(self, passage: int) -> None:
        """Remove one passage from the open index."""


class _Plaid:
    """fast-plaid, with its own defaults where the command line sets nothing."""

    distribution = "fast-plaid"

    def __init__(self, index: Path, args: argparse.Namespace) -> None:
        module = importlib.import_module("fast_plaid.search")
        self.args = args
        self.chosen = {"n_ivf_probe": args.nprobe or 8, "n_full_scores": args.full_scores or 4096}
        self.engine: Any = module.FastPlaid(index=str(index), device="cpu")

    def build(self, passages: list[Any]) -> None:
        if self.args.float32_products:
            multiply_half_in_float32()
        self.engine.create(
            passages, nbits=self.args.bits, n_samples_kmeans=self.args.kmeans_passages
        )

    def load(self) -> None:
        """Nothing to do: the constructor opened it."""

    def settings(self, queries: Any) -> Result:
        return self.chosen | {"batch_processes": self.args.threads or "engine's default"}

    def search(self, queries: Any, *, batch: bool) -> list[Ranking]:
        rankings: list[Ranking] = self.engine.search(
            queries,
            top_k=TOP_K,
            show_progress=False,
            n_processes=self.args.threads if batch else None,
            **self.chosen,
        )
        return rankings

    def add(self, passages: list[Any]) -> None:
        self.engine.update(passages)

    def delete(self, passage: int) -> None:
        self.engine.delete([passage])


class _Warp:
    """xtr-warp-rs. It derives settings from the index where the command line sets nothing."""

    distribution = "xtr-warp-rs"

    def __init__(self, index: Path, args: argparse.Namespace) -> None:
        self.args = args
        self.requested = {
            "nprobe": args.nprobe,
            "bound": args.bound,
            "t_prime": args.t_prime,
            "max_candidates": args.max_candidates,
            "centroid_score_threshold": args.centroid_threshold,
        }
        # Its default is one thread, for one query and for a batch; a batch gets every core here.
        self.threads: int = args.threads or 1
        self.batch_threads: int = args.threads or os.cpu_count() or 1
        self.engine: Any = importlib.import_module("xtr_warp").XTRWarp(str(index), device="cpu")

    def build(self, passages: list[Any]) -> None:
        self.engine.create(
            passages,
            device="cpu",
            nbits=self.args.bits,
            n_samples_kmeans=self.args.kmeans_passages,
            show_progress=False,
        )

    def load(self) -> None:
        self.engine.load("cpu")

    def settings(self, queries: Any) -> Result:
        bound, nprobe, threshold, candidates, t_prime = self.engine.optimize_hyperparams(
            TOP_K, queries[:1]
        )
        derived = {
            "nprobe": nprobe,
            "bound": bound,
            "t_prime": t_prime,
            "max_candidates": candidates,
            "centroid_score_threshold": threshold,
        }
        requested = {name: value for name, value in self.requested.items() if value is not None}
        return derived | requested | {"threads": self.threads, "batch_threads": self.batch_threads}

    def search(self, queries: Any, *, batch: bool) -> list[Ranking]:
        rankings: list[Ranking] = self.engine.search(
            queries,
            top_k=TOP_K,
            num_threads=self.batch_threads if batch else self.threads,
            show_progress=False,
            **self.requested,
        )
        return rankings

    def add(self, passages: list[Any]) -> None:
        self.engine.add(passages, show_progress=False)

    def delete(self, passage: int) -> None:
        self.engine.delete([passage])


# Overrides of torch's operators, each in effect as long as its object lives.
OVERRIDES: list[Any] = []

ENGINES: dict[str, type[_Plaid] | type[_Warp]] = {"plaid": _Plaid, "warp": _Warp}


def multiply_half_in_float32() -> None:
    """Have torch multiply f16 matrices on the CPU in f32 and round, for the rest of this process.

    Without AVX512-FP16 torch has no fast f16 product, and fast-plaid's build spends most of its
    time there. The index is the same to the bit, but its build time is no longer the engine's own,
    which `build.json` records.
    """
    torch = importlib.import_module("torch")
    nothing = torch.zeros(())

    def product(left: Any, right: Any) -> Any:
        # Not `mm` itself, which would come back here.
        return torch.addmm(nothing, left.float(), right.float(), beta=0).to(left.dtype)

    library = torch.library.Library("aten", "IMPL")
    library.impl("mm", product, "CPU")
    OVERRIDES.append(library)


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


def time_call(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


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


def unit_vectors(rng: np.random.Generator, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Random unit vectors, f32 of the given shape."""
    vectors = rng.standard_normal(shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors


def numkong_calls(
    query: np.ndarray[Any, Any], passages: np.ndarray[Any, Any]
) -> dict[str, Callable[[], list[float]]]:
    """A call that scores every passage, for each type that numkong packs.

    Its score is a distance, the sum of 1 - cosine, which is turned into MaxSim here.
    """
    numkong = importlib.import_module("numkong")
    torch = importlib.import_module("torch")

    def call(dtype: str) -> Callable[[], list[float]]:
        def pack(vectors: np.ndarray[Any, Any]) -> Any:
            tensor = torch.from_numpy(vectors).to(getattr(torch, dtype))
            return numkong.maxsim_pack(numkong.from_dlpack(tensor))

        packed_query, packed = pack(query), [pack(passage) for passage in passages]
        score = numkong.maxsim_packed
        return lambda: [len(query) - score(packed_query, passage) for passage in packed]

    return {dtype: call(dtype) for dtype in ("float32", "float16", "bfloat16")}


def maxsim_cpu_calls(
    query: np.ndarray[Any, Any], passages: np.ndarray[Any, Any]
) -> dict[str, Callable[[], list[float]]]:
    """A call for passages of one length and one for passages of any, both of float32."""
    maxsim_cpu = importlib.import_module("maxsim_cpu")
    as_list = list(passages)
    return {
        "float32, one length": lambda: list(maxsim_cpu.maxsim_scores(query, passages)),
        "float32, any length": lambda: list(maxsim_cpu.maxsim_scores_variable(query, as_list)),
    }


def numkong_isa() -> str:
    """The newest x86 kernels of numkong that the processor supports."""
    capabilities = importlib.import_module("numkong").get_capabilities()
    newest_last = ("serial", "neon", "haswell", "skylake", "icelake", "genoa", "sapphire", "turin")
    return [name for name in newest_last if capabilities.get(name)][-1]


KERNELS = {
    "numkong": (numkong_calls, numkong_isa),
    # By its own documentation: AVX2, without AVX-512.
    "maxsim-cpu": (maxsim_cpu_calls, lambda: "avx2"),
}


def kernel(args: argparse.Namespace) -> Result:
    """Million passage tokens per second on one thread, for the fastest data type."""
    # Thread pools read this when they start; no library with one is imported yet.
    os.environ.update({"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    make_calls, isa = KERNELS[args.library]
    rng = np.random.default_rng(0)
    query = unit_vectors(rng, QUERY_TOKENS, args.dim)
    passages = unit_vectors(rng, KERNEL_PASSAGES, PASSAGE_TOKENS, args.dim)
    exact = np.array([(query @ passage.T).max(1).sum() for passage in passages[:20]])
    rates = {}
    for name, call in make_calls(query, passages).items():
        # numkong finds the best token in int8, which costs random vectors a few percent.
        if not np.allclose(call()[:20], exact, rtol=0.1):
            raise SystemExit(f"{args.library}, {name}: its scores are not MaxSim")
        median_s = float(np.median([time_call(call) for _ in range(args.repeats)]))
        rates[name] = round(KERNEL_PASSAGES * PASSAGE_TOKENS / median_s / 1e6, 2)
    fastest = max(rates, key=lambda name: rates[name])
    return {
        "name": args.library,
        "version": importlib.metadata.version(args.library),
        "isa": isa(),
        "dtype": fastest.partition(",")[0],
        "dim": args.dim,
        "threads": 1,
        "mtokens_per_s": rates[fastest],
        "all": rates,
    }


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
