"""Several processes train one model: each works on its share of a step, and gradients are summed.

`torchrun` starts the processes and gives each its rank; without it there is one. Every process
holds the whole model and makes the same update, so that weights stay equal without being sent.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

BUCKET = 1 << 25
"""Numbers that are summed over the processes at once: 128 MiB of f32."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of the run.

    Attributes:
        rank: of this process, from 0.
        count: number of processes.
        device: on which this process computes.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and logs."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(value)
        return value

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set on any process."""
        if self.count == 1:
            return list(flags)
        raised = torch.tensor([float(flag) for flag in flags], device=self.device)
        return [value > 0 for value in self.sum(raised).tolist()]

    def share(self, count: int) -> NDArray[np.int64]:
        """Which of `count` numbered items this process works on, perhaps none: i64 [n]."""
        return np.arange(self.rank, count, self.count)

    def gather(self, local: Tensor, rows: NDArray[np.int64], total: int) -> Tensor:
        """Rows [total, ...] of all processes; gradients flow into this process's rows.

        A loss over all rows, computed on every process and differentiated on each for its own rows,
        has the sum over the processes as its gradient, which `sum_gradients` computes.

        Args:
            local: [r, ...], the rows of this process.
            rows: i64 [r], their positions; each position belongs to one process.
            total: number of all rows.
        """
        if self.count == 1:
            return local
        positions = torch.from_numpy(rows).to(local.device)
        gathered = local.new_zeros(total, *local.shape[1:], dtype=torch.float32)
        gathered[positions] = local.detach().float()
        return self.sum(gathered).to(local.dtype).index_copy(0, positions, local)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Give every process the sum of all processes' gradients.

        Args:
            parameters: the same ones in the same order on every process. A missing gradient, of a
                process without a share of the step, counts as zeros.
        """
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets(parameters):
            flat = self.sum(torch.cat([p.grad.reshape(-1) for p in bucket if p.grad is not None]))
            for parameter, part in zip(
                bucket, torch.split(flat, [p.numel() for p in bucket]), strict=True
            ):
                parameter.grad = part.view_as(parameter)

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.count > 1:
            dist.barrier()


@contextlib.contextmanager
def join_ranks(device: str | None = None) -> Iterator[Ranks]:
    """Join the run that `torchrun` started, or be the only process.

    Args:
        device: "cpu" or "cuda"; None is CUDA where there is one. Each process takes the GPU of its
            local rank.
    """
    cuda = torch.cuda.is_available() if device is None else device.startswith("cuda")
    count = int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if count == 1:
        yield Ranks(device=torch.device(device or ("cuda" if cuda else "cpu")))
        return
    local_device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(local_device)
    # A long timeout, since the leading process may prepare text while the others wait. If one
    # dies, torchrun ends the others at once.
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(hours=12))
    try:
        yield Ranks(dist.get_rank(), count, local_device)
    finally:
        dist.destroy_process_group()


def _buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters in groups of at most `BUCKET` numbers, or of one parameter."""
    bucket: list[Tensor] = []
    size = 0
    for parameter in parameters:
        if bucket and size + parameter.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket
