"""The late-interaction indexes that ours is compared with."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path
from typing import Any, Protocol

TOP_K = 10

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
