"""MaxSim and dense search over vectors in the device's memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from gpu_steps import limits
from gpu_steps.reporting import Run, Skip
from gpu_steps.segments import CompressedSegment, ExactSegment
from gpu_steps.timing import peak_memory, time_calls
from retrieval.gpu import triton_obstacle

TOP_K = 100
_CHUNK_TOKENS = 1 << 21  # tokens that the plain program scores at once


def max_sim(run: Run) -> None:
    """A batch of queries against every passage, in milliseconds per query."""
    exact = ExactSegment.random(run)
    run.row({"by": "triton int8"}, partial(_max_sim_row, run, exact, _exact_by_triton(exact)))
    run.row(
        {"by": "torch, bfloat16 products"},
        partial(_max_sim_row, run, exact, _exact_by_torch(exact)),
    )
    compressed = CompressedSegment.random(run)
    run.row(
        {"by": "triton, 4 bits"},
        partial(_max_sim_row, run, compressed, _compressed_by_triton(compressed)),
    )
    run.row({"by": "triton, centroids alone"}, partial(_centroid_row, run, compressed))


def _max_sim_row(
    run: Run, segment: ExactSegment | CompressedSegment, work: Callable[[], torch.Tensor]
) -> dict[str, Any]:
    """Latency, limit and peak memory of one MaxSim implementation."""
    timing = time_calls(run, work)
    device_limits = limits.of_device(run)
    # A multiply-add per dimension of each pair of tokens; vectors are read once for all queries.
    operations = 2.0 * segment.tokens * segment.dim * segment.query.shape[0]
    limit_s = None
    if device_limits is not None:
        limit_s = max(operations / device_limits.int8, segment.nbytes / device_limits.memory)
    row = {"passages": segment.passages, "tokens": segment.tokens, "dim": segment.dim} | timing
    return row | _per_query(timing["best_s"], segment.queries, limit_s) | peak_memory(run, work)


def _exact_by_triton(segment: ExactSegment) -> Callable[[], torch.Tensor]:
    """The Triton kernel on 8-bit vectors."""

    def work() -> torch.Tensor:
        from retrieval.indexes.gpu.max_sim import max_sim as kernel

        return _top_passages(kernel(*segment.arguments, longest=segment.longest))

    return _require_triton(segment.codes.device, work)


def _compressed_by_triton(segment: CompressedSegment) -> Callable[[], torch.Tensor]:
    """The Triton kernel on compressed vectors."""

    def work() -> torch.Tensor:
        from retrieval.indexes.gpu.max_sim_compressed import max_sim_compressed as kernel

        return _top_passages(kernel(*segment.arguments, longest=segment.longest))

    return _require_triton(segment.codes.device, work)


def _centroid_row(run: Run, segment: CompressedSegment) -> dict[str, Any]:
    """The first stage of a search: every passage by its centroids, one query after another."""

    def work() -> torch.Tensor:
        from retrieval.indexes.gpu.centroid_max import centroid_max as kernel

        candidates = [
            kernel(table, segment.codes, segment.offsets, segment.rows)
            .topk(min(512, segment.passages))
            .indices
            for table in segment.tables
        ]
        return torch.stack(candidates).cpu()

    work = _require_triton(segment.codes.device, work)
    timing = time_calls(run, work)
    device_limits = limits.of_device(run)
    limit_s = device_limits and 2.0 * segment.tokens * segment.queries / device_limits.memory
    row = {"passages": segment.passages, "tokens": segment.tokens} | timing
    return row | _per_query(timing["best_s"], segment.queries, limit_s)


def _top_passages(scores: torch.Tensor) -> torch.Tensor:
    """The best passages of each query, i64 [B, k] on the CPU."""
    return scores.topk(min(TOP_K, scores.shape[1]), dim=1).indices.cpu()


def _require_triton(device: torch.device, work: Callable[[], torch.Tensor]) -> Any:
    """The work, which raises `Skip` when called where the kernels cannot run."""

    def checked() -> torch.Tensor:
        obstacle = triton_obstacle(device.type)
        if obstacle is not None:
            raise Skip(obstacle)
        return work()

    return checked


def _exact_by_torch(segment: ExactSegment) -> Callable[[], torch.Tensor]:
    """What one writes without a kernel: all products in chunks, then each passage's maximum."""

    def work() -> torch.Tensor:
        scores = segment.query.new_empty((segment.queries, segment.passages), dtype=torch.float32)
        query = segment.query.bfloat16()
        query_tokens = segment.query.shape[0] // segment.queries
        step = max(1, _CHUNK_TOKENS // max(1, segment.tokens // segment.passages))
        for first in range(0, segment.passages, step):
            last = min(first + step, segment.passages)
            start, stop = int(segment.bounds[first]), int(segment.bounds[last])
            dots = segment.codes[start:stop].bfloat16() @ query.T
            dots = dots * segment.scales[start:stop, None].bfloat16()
            lengths = torch.from_numpy(np.diff(segment.bounds[first : last + 1])).to(dots.device)
            maxima = torch.segment_reduce(dots.float(), "max", lengths=lengths, axis=0)
            chunk_scores = (
                (maxima * segment.factors)
                .reshape(last - first, segment.queries, query_tokens)
                .sum(2)
            )
            scores[:, first:last] = chunk_scores.T
        return _top_passages(scores)

    return work


def dense(run: Run) -> None:
    """The nearest of many vectors for a batch of queries, by torch and by FAISS."""
    count, dim = run.sizes.dense
    generator = torch.Generator(device=run.device).manual_seed(0)
    vectors = torch.randn(count, dim, generator=generator, device=run.device)
    vectors /= vectors.norm(dim=1, keepdim=True)
    queries = vectors[:: max(1, count // run.sizes.queries)][: run.sizes.queries].contiguous()
    k = min(TOP_K, count)
    for dtype in (torch.float32, torch.float16):
        run.row(
            {"by": f"torch {dtype}"},
            partial(_dense_by_torch, run, vectors.to(dtype), queries.to(dtype), k),
        )
    run.row({"by": "faiss on the GPU"}, lambda: _dense_by_faiss(run, vectors, queries, k))


def _dense_by_torch(
    run: Run, vectors: torch.Tensor, queries: torch.Tensor, k: int
) -> dict[str, Any]:
    timing = time_calls(run, lambda: (queries @ vectors.T).topk(k, dim=1).indices.cpu())
    return timing | _dense_row(run, vectors, len(queries), timing["best_s"])


def _dense_by_faiss(
    run: Run, vectors: torch.Tensor, queries: torch.Tensor, k: int
) -> dict[str, Any]:
    try:
        import faiss
    except ImportError:
        raise Skip("faiss is not installed") from None
    if not hasattr(faiss, "StandardGpuResources") or not faiss.get_num_gpus():
        raise Skip("this faiss sees no GPU")
    flat = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), vectors.shape[1])
    flat.add(vectors.cpu().numpy())
    host_queries = queries.cpu().numpy()
    timing = time_calls(run, lambda: flat.search(host_queries, k))
    return timing | _dense_row(run, vectors, len(queries), timing["best_s"])


def _dense_row(run: Run, vectors: torch.Tensor, queries: int, best_s: float) -> dict[str, Any]:
    """A row whose limit is reading every vector once."""
    device_limits = limits.of_device(run)
    limit_s = device_limits and vectors.nbytes / device_limits.memory
    row = {"vectors": len(vectors), "dim": vectors.shape[1]}
    return row | _per_query(best_s, queries, limit_s)


def _per_query(best_s: float, queries: int, limit_s: float | None) -> dict[str, Any]:
    """Milliseconds per query of a batch, and the least that the device's limits allow."""
    return {
        "queries": queries,
        "ms_per_query": float(f"{1e3 * best_s / queries:.4g}"),
        "limit_ms_per_query": limit_s and float(f"{1e3 * limit_s / queries:.4g}"),
        "of_limit": limit_s and round(limit_s / best_s, 4),
    }
