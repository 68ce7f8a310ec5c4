"""MaxSim and dense search over vectors that lie on the device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from gpu_steps import limits
from gpu_steps.made import Compressed, Exact
from gpu_steps.reporting import Run, Skip
from gpu_steps.timing import peak, seconds
from retrieval.gpu import triton_obstacle

BEST = 100
_CHUNK = 1 << 21  # tokens that the plain program scores at once


def max_sim(run: Run) -> None:
    """A batch of queries against every passage, in milliseconds a query."""
    exact = Exact.random(run)
    run.row({"by": "triton int8"}, partial(_timed, run, exact, _by_triton(exact)))
    run.row({"by": "torch, bfloat16 products"}, partial(_timed, run, exact, _by_torch(exact)))
    compressed = Compressed.random(run)
    run.row({"by": "triton, 4 bits"}, partial(_timed, run, compressed, _compressed(compressed)))
    run.row({"by": "triton, centroids alone"}, partial(_centroids, run, compressed))


def _timed(run: Run, made: Exact | Compressed, work: Callable[[], torch.Tensor]) -> dict[str, Any]:
    taken = seconds(run, work)
    known = limits.of(run)
    # Products with every query's tokens, and the vectors read once for all of them.
    products = 2.0 * made.tokens * made.dim * made.query.shape[0]
    limit = None
    if known is not None:
        limit = max(products / known.int8, made.nbytes / known.memory)
    found = {"passages": made.passages, "tokens": made.tokens, "dim": made.dim} | taken
    return found | _by_query(taken["best_s"], made.queries, limit) | peak(run, work)


def _by_triton(made: Exact) -> Callable[[], torch.Tensor]:
    def work() -> torch.Tensor:
        from retrieval.indexes.gpu.max_sim import max_sim as kernel

        return _best(kernel(*made.arguments, longest=made.longest))

    return _if_possible(made.codes.device, work)


def _compressed(made: Compressed) -> Callable[[], torch.Tensor]:
    def work() -> torch.Tensor:
        from retrieval.indexes.gpu.max_sim_compressed import max_sim_compressed as kernel

        return _best(kernel(*made.arguments, longest=made.longest))

    return _if_possible(made.codes.device, work)


def _centroids(run: Run, made: Compressed) -> dict[str, Any]:
    """The first stage of a search: every passage by its centroids, one query after another."""

    def work() -> torch.Tensor:
        from retrieval.indexes.gpu.centroid_max import centroid_max as kernel

        best = [
            kernel(table, made.codes, made.offsets, made.rows).topk(min(512, made.passages)).indices
            for table in made.tables
        ]
        return torch.stack(best).cpu()

    work = _if_possible(made.codes.device, work)
    taken = seconds(run, work)
    known = limits.of(run)
    limit = known and 2.0 * made.tokens * made.queries / known.memory
    found = {"passages": made.passages, "tokens": made.tokens} | taken
    return found | _by_query(taken["best_s"], made.queries, limit)


def _best(scores: torch.Tensor) -> torch.Tensor:
    """The best passages of each query, i64 [B, k] on the CPU."""
    return scores.topk(min(BEST, scores.shape[1]), dim=1).indices.cpu()


def _if_possible(device: torch.device, work: Callable[[], torch.Tensor]) -> Any:
    """The work, or `Skip` when it is called, where the kernels cannot run."""

    def checked() -> torch.Tensor:
        why = triton_obstacle(device.type)
        if why is not None:
            raise Skip(why)
        return work()

    return checked


def _by_torch(made: Exact) -> Callable[[], torch.Tensor]:
    """What one writes without a kernel: all products, then the best of each passage."""

    def work() -> torch.Tensor:
        scores = made.query.new_empty((made.queries, made.passages), dtype=torch.float32)
        query = made.query.bfloat16()
        each = made.query.shape[0] // made.queries
        step = max(1, _CHUNK // max(1, made.tokens // made.passages))
        for first in range(0, made.passages, step):
            last = min(first + step, made.passages)
            start, stop = int(made.bounds[first]), int(made.bounds[last])
            dots = made.codes[start:stop].bfloat16() @ query.T
            dots = dots * made.scales[start:stop, None].bfloat16()
            lengths = torch.from_numpy(np.diff(made.bounds[first : last + 1])).to(dots.device)
            best = torch.segment_reduce(dots.float(), "max", lengths=lengths, axis=0)
            parts = (best * made.factors).reshape(last - first, made.queries, each).sum(2)
            scores[:, first:last] = parts.T
        return _best(scores)

    return work


def dense(run: Run) -> None:
    """The nearest of many vectors for a batch of queries: torch's products, and FAISS."""
    count, dim = run.sizes.dense
    generator = torch.Generator(device=run.device).manual_seed(0)
    vectors = torch.randn(count, dim, generator=generator, device=run.device)
    vectors /= vectors.norm(dim=1, keepdim=True)
    asked = vectors[:: max(1, count // run.sizes.queries)][: run.sizes.queries].contiguous()
    best = min(BEST, count)
    for dtype in (torch.float32, torch.float16):
        run.row(
            {"by": f"torch {dtype}"},
            partial(_dense, run, vectors.to(dtype), asked.to(dtype), best),
        )
    run.row({"by": "faiss on the GPU"}, lambda: _faiss(run, vectors, asked, best))


def _dense(run: Run, vectors: torch.Tensor, asked: torch.Tensor, best: int) -> dict[str, Any]:
    taken = seconds(run, lambda: (asked @ vectors.T).topk(best, dim=1).indices.cpu())
    return taken | _of_memory(run, vectors, len(asked), taken["best_s"])


def _faiss(run: Run, vectors: torch.Tensor, asked: torch.Tensor, best: int) -> dict[str, Any]:
    try:
        import faiss
    except ImportError:
        raise Skip("faiss is not installed") from None
    if not hasattr(faiss, "StandardGpuResources") or not faiss.get_num_gpus():
        raise Skip("this faiss sees no GPU")
    flat = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), vectors.shape[1])
    flat.add(vectors.cpu().numpy())
    queries = asked.cpu().numpy()
    taken = seconds(run, lambda: flat.search(queries, best))
    return taken | _of_memory(run, vectors, len(asked), taken["best_s"])


def _of_memory(run: Run, vectors: torch.Tensor, queries: int, best_s: float) -> dict[str, Any]:
    known = limits.of(run)
    limit = known and vectors.nbytes / known.memory
    found = {"vectors": len(vectors), "dim": vectors.shape[1]}
    return found | _by_query(best_s, queries, limit)


def _by_query(best_s: float, queries: int, limit_s: float | None) -> dict[str, Any]:
    """Of a batch of so many queries: milliseconds of each, and the least that limits allow."""
    return {
        "queries": queries,
        "ms_per_query": float(f"{1e3 * best_s / queries:.4g}"),
        "limit_ms_per_query": limit_s and float(f"{1e3 * limit_s / queries:.4g}"),
        "of_limit": limit_s and round(limit_s / best_s, 4),
    }
