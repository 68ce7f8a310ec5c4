"""The MaxSim kernels that ours are compared with."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from late_peer_steps.timing import time_call

KERNEL_PASSAGES, PASSAGE_TOKENS, QUERY_TOKENS = 3_000, 176, 32


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


def kernel(args: argparse.Namespace) -> dict[str, Any]:
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
