"""The peers' half of the late-interaction benchmark. It runs in the peers' own environment.

    python benchmarks/late_peers.py plaid|warp VECTORS --work FOLDER [--out RANKINGS] [--reuse]
    python benchmarks/late_peers.py kernel numkong|maxsim-cpu --dim D

`peers-requirements.txt` makes the environment; nothing of this project is imported here. VECTORS is
a folder of `late_vectors.py`. The last line of standard output is one JSON object; RANKINGS is an
`.npz` whose `ids` i64 [q, k] holds the best passages of each query, -1 where there are fewer.

Building, searching and changing run in a process each, so that each tells its own peak memory.
FOLDER keeps the index and `build.json`; `--reuse` searches an index that is there already.
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

WARM_UP = 5
TOP_K = 10
NEW_PASSAGES = 100
KERNEL_PASSAGES, PASSAGE_TOKENS, QUERY_TOKENS = 3_000, 176, 32

Result = dict[str, Any]
Ranking = list[tuple[int, float]]


class SharedIndex(Protocol):
    """What the benchmark asks of a peer. Vectors and queries are torch tensors on the CPU."""

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
    """fast-plaid. Its own defaults where the command line says nothing."""

    distribution = "fast-plaid"

    def __init__(self, index: Path, given: argparse.Namespace) -> None:
        module = importlib.import_module("fast_plaid.search")
        self.given = given
        self.chosen = {"n_ivf_probe": given.nprobe or 8, "n_full_scores": given.full_scores or 4096}
        self.engine: Any = module.FastPlaid(index=str(index), device="cpu")

    def build(self, passages: list[Any]) -> None:
        if self.given.float32_products:
            half_products_in_float32()
        self.engine.create(
            passages, nbits=self.given.bits, n_samples_kmeans=self.given.kmeans_passages
        )

    def load(self) -> None:
        """Nothing to do: the constructor opened it."""

    def settings(self, queries: Any) -> Result:
        return self.chosen | {"batch_processes": self.given.threads or "engine's default"}

    def search(self, queries: Any, *, batch: bool) -> list[Ranking]:
        found: list[Ranking] = self.engine.search(
            queries,
            top_k=TOP_K,
            show_progress=False,
            n_processes=self.given.threads if batch else None,
            **self.chosen,
        )
        return found

    def add(self, passages: list[Any]) -> None:
        self.engine.update(passages)

    def delete(self, passage: int) -> None:
        self.engine.delete([passage])


class _Warp:
    """xtr-warp-rs. It derives its settings from the index where the command line says nothing."""

    distribution = "xtr-warp-rs"

    def __init__(self, index: Path, given: argparse.Namespace) -> None:
        self.given = given
        self.asked = {
            "nprobe": given.nprobe,
            "bound": given.bound,
            "t_prime": given.t_prime,
            "max_candidates": given.max_candidates,
            "centroid_score_threshold": given.centroid_threshold,
        }
        # Its default is one thread, for one query and for a batch; a batch gets every core here.
        self.threads: int = given.threads or 1
        self.batch_threads: int = given.threads or os.cpu_count() or 1
        self.engine: Any = importlib.import_module("xtr_warp").XTRWarp(str(index), device="cpu")

    def build(self, passages: list[Any]) -> None:
        self.engine.create(
            passages,
            device="cpu",
            nbits=self.given.bits,
            n_samples_kmeans=self.given.kmeans_passages,
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
        asked = {name: value for name, value in self.asked.items() if value is not None}
        return derived | asked | {"threads": self.threads, "batch_threads": self.batch_threads}

    def search(self, queries: Any, *, batch: bool) -> list[Ranking]:
        found: list[Ranking] = self.engine.search(
            queries,
            top_k=TOP_K,
            num_threads=self.batch_threads if batch else self.threads,
            show_progress=False,
            **self.asked,
        )
        return found

    def add(self, passages: list[Any]) -> None:
        self.engine.add(passages, show_progress=False)

    def delete(self, passage: int) -> None:
        self.engine.delete([passage])


# Overrides of torch's functions, each of which holds for as long as its object lives.
OVERRIDES: list[Any] = []

ENGINES: dict[str, type[_Plaid] | type[_Warp]] = {"plaid": _Plaid, "warp": _Warp}


def half_products_in_float32() -> None:
    """Have torch multiply f16 matrices on the CPU in f32 and round, for the rest of this process.

    Without AVX512-FP16 torch has no fast f16 product, and on such a machine fast-plaid's build
    spends most of its time there. The index comes out the same to the bit; only its build time is
    no longer the engine's own, so that `build.json` says that this was asked for.
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
    """Passages `first` to `stop` as views, f16 [n_i, d], of the mapped file: nothing is copied."""
    torch = importlib.import_module("torch")
    # Mapped copy-on-write, as torch warns of memory that it may not write.
    tokens = torch.from_numpy(np.load(vectors / "tokens.npy", mmap_mode="c"))
    offsets = np.load(vectors / "offsets.npy")
    return [tokens[offsets[i] : offsets[i + 1]] for i in range(first, stop)]


def passage_count(vectors: Path, asked: int | None) -> int:
    """How many passages to index: all, or as many as asked for."""
    held = len(np.load(vectors / "offsets.npy", mmap_mode="r")) - 1
    if asked is not None and asked > held:
        raise SystemExit(f"{vectors} holds {held:,} passages, {asked:,} were asked for")
    return asked or held


def memory_mb(field: str = "VmHWM") -> float:
    """The most memory this process has had resident, in MB (or another field of its status)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return round(int(line.split()[1]) / 1024, 1)
    raise SystemExit(f"/proc/self/status has no {field}: this benchmark needs Linux")


def cpu_seconds() -> float:
    """User and system seconds of this process and of those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def folder_bytes(folder: Path) -> int:
    """The size of every file under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def build(given: argparse.Namespace) -> Result:
    """Build FOLDER/index and write FOLDER/build.json once it is whole."""
    kind = ENGINES[given.what]
    index, record = given.work / "index", given.work / "build.json"
    record.unlink(missing_ok=True)
    shutil.rmtree(index, ignore_errors=True)
    given.work.mkdir(parents=True, exist_ok=True)
    count = passage_count(given.vectors, given.passages)
    passages = passage_vectors(given.vectors, 0, count)
    tokens, dim = sum(len(passage) for passage in passages), passages[0].shape[1]
    engine: SharedIndex = kind(index, given)
    cpu = cpu_seconds()
    took = seconds(lambda: engine.build(passages))
    size = folder_bytes(index)
    result = {
        "engine": kind.distribution,
        "version": importlib.metadata.version(kind.distribution),
        "passages": count,
        "tokens": tokens,
        "dim": dim,
        "bits": given.bits,
        "build_s": round(took, 2),
        "build_cpu_s": round(cpu_seconds() - cpu, 2),
        "build_peak_rss_mb": memory_mb(),
        "bytes_on_disk": size,
        "bytes_per_token": round(size / tokens, 2),
        "build_settings": {
            "kmeans_passages": given.kmeans_passages or "engine's default",
            "float32_products": given.float32_products,
        },
    }
    record.write_text(json.dumps(result, indent=2) + "\n")
    return result


def built(given: argparse.Namespace) -> Result:
    """What build.json says of the index in FOLDER, held to what the command line asks for."""
    record = given.work / "build.json"
    if not record.exists():
        raise SystemExit(f"{record} is missing: no finished index there; leave out --reuse")
    result: Result = json.loads(record.read_text())
    asked = {"passages": passage_count(given.vectors, given.passages), "bits": given.bits}
    for name, value in asked.items():
        if result[name] != value:
            raise SystemExit(f"{given.work} has {name} {result[name]}, {value} was asked for")
    return result


def search(given: argparse.Namespace) -> Result:
    """Search the index one query at a time, then all in one call."""
    torch = importlib.import_module("torch")
    built(given)
    queries = torch.from_numpy(np.load(given.vectors / "queries.npy")[: given.queries])
    started = time.perf_counter()
    engine: SharedIndex = ENGINES[given.what](given.work / "index", given)
    engine.load()
    load_s = time.perf_counter() - started
    for i in range(min(WARM_UP, len(queries))):
        engine.search(queries[i : i + 1], batch=False)
    ids = np.full((len(queries), TOP_K), -1, np.int64)
    took = np.empty(len(queries))
    for i in range(len(queries)):
        started = time.perf_counter()
        ranking = engine.search(queries[i : i + 1], batch=False)[0]
        took[i] = time.perf_counter() - started
        ids[i, : len(ranking)] = [passage for passage, _ in ranking]
    batch_s = seconds(lambda: engine.search(queries, batch=True))
    if given.out is not None:
        np.savez(given.out, ids=ids)
    return {
        "load_s": round(load_s, 2),
        "queries": len(queries),
        "p50_ms": round(float(np.percentile(took, 50)) * 1e3, 2),
        "p95_ms": round(float(np.percentile(took, 95)) * 1e3, 2),
        "qps": round(len(queries) / batch_s, 2),
        "peak_rss_mb": memory_mb(),
        "settings": engine.settings(queries),
    }


def change(given: argparse.Namespace) -> Result:
    """Add passages to a copy of the index, then delete one: seconds until both are searchable."""
    torch = importlib.import_module("torch")
    count = built(given)["passages"]
    held = passage_count(given.vectors, None)
    # Passages that the index lacks, or, where it has them all, its last ones once more.
    first = min(count, held - given.add)
    passages = [
        passage.clone() for passage in passage_vectors(given.vectors, first, first + given.add)
    ]
    query = torch.from_numpy(np.load(given.vectors / "queries.npy")[:1])
    copy = given.work / "changed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(given.work / "index", copy)
    try:
        engine: SharedIndex = ENGINES[given.what](copy, given)
        engine.load()
        best = engine.search(query, batch=False)[0][0][0]
        add_s = seconds(lambda: engine.add(passages))
        delete_s = seconds(lambda: engine.delete(best))
    finally:
        shutil.rmtree(copy)
    return {
        "added": len(passages),
        "add_s": round(add_s, 3),
        "delete_one_ms": round(delete_s * 1e3, 2),
        "change_peak_rss_mb": memory_mb(),
    }


STAGES = {"build": build, "search": search, "change": change}


def staged(given: argparse.Namespace, arguments: Sequence[str]) -> Result:
    """Run the stages that the command line asks for, a process each, into one result."""
    if given.stage is not None:
        return STAGES[given.stage](given)
    stages = [] if given.reuse else ["build"]
    stages += ["search"] + (["change"] if given.add else [])
    results = [built(given)] if given.reuse else []
    for stage in stages:
        done = subprocess.run(
            [sys.executable, __file__, *arguments, "--stage", stage],
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{given.what}: {stage} ended with status {done.returncode}")
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: value for result in results for name, value in result.items()}


def unit_vectors(rng: np.random.Generator, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Random vectors of length one, f32."""
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
    """The newest x86 kernels that numkong finds the processor fit for."""
    found = importlib.import_module("numkong").get_capabilities()
    newest_last = ("serial", "neon", "haswell", "skylake", "icelake", "genoa", "sapphire", "turin")
    return [name for name in newest_last if found.get(name)][-1]


KERNELS = {
    "numkong": (numkong_calls, numkong_isa),
    # Its own account: AVX2, and no use of AVX-512.
    "maxsim-cpu": (maxsim_cpu_calls, lambda: "avx2"),
}


def kernel(given: argparse.Namespace) -> Result:
    """Million passage tokens a second of one thread, for the type that is the fastest there."""
    # Thread pools read this when they start, and nothing that has one is imported yet.
    os.environ.update({"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    make_calls, isa = KERNELS[given.library]
    rng = np.random.default_rng(0)
    query = unit_vectors(rng, QUERY_TOKENS, given.dim)
    passages = unit_vectors(rng, KERNEL_PASSAGES, PASSAGE_TOKENS, given.dim)
    exact = np.array([(query @ passage.T).max(1).sum() for passage in passages[:20]])
    rates = {}
    for name, call in make_calls(query, passages).items():
        # numkong finds the best token by int8, so that random vectors cost it a few percent.
        if not np.allclose(call()[:20], exact, rtol=0.1):
            raise SystemExit(f"{given.library}, {name}: its scores are not MaxSim")
        took = float(np.median([seconds(call) for _ in range(given.repeats)]))
        rates[name] = round(KERNEL_PASSAGES * PASSAGE_TOKENS / took / 1e6, 2)
    fastest = max(rates, key=lambda name: rates[name])
    return {
        "name": given.library,
        "version": importlib.metadata.version(given.library),
        "isa": isa(),
        "dtype": fastest.partition(",")[0],
        "dim": given.dim,
        "threads": 1,
        "mtokens_per_s": rates[fastest],
        "all": rates,
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
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
    """Print one JSON object on the last line."""
    arguments = sys.argv[1:]
    args = parser().parse_args(arguments)
    result = kernel(args) if args.what == "kernel" else staged(args, arguments)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
