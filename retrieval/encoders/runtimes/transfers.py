"""What goes to a device and comes back, beside what it computes; the same code on a CPU.

Nothing here waits for the device but `Returned.wait`: while it computes a batch, the next ones are
made ready and queued, and vectors of the ones before are copied by a stream of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.encoders.model.attention.layout import on_device

T = TypeVar("T")

Vectors = tuple[NDArray[np.float32] | None, ...]


def sent(array: NDArray[np.int64], device: torch.device) -> Tensor:
    """The numbers on the device; it copies them while it computes."""
    return on_device(torch.from_numpy(array), device)


def copying_stream(device: torch.device) -> torch.cuda.Stream | None:
    """A stream that copies beside what the device computes; None where nothing needs copying."""
    if device.type != "cuda":
        return None
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class Returned:
    """Vectors on their way back, batch after batch, until they are waited for."""

    def __init__(self, device: torch.device, copies: torch.cuda.Stream | None) -> None:
        """Begin with none.

        Args:
            device: from where.
            copies: of `copying_stream`.
        """
        self._device, self._copies = device, copies
        self._coming: list[tuple[Callable[[Vectors], None], tuple[Tensor | None, ...]]] = []

    def take(self, tensors: tuple[Tensor | None, ...], put: Callable[[Vectors], None]) -> None:
        """Begin to copy a batch's vectors; `put` gets them, in f32, when they are waited for."""
        if self._copies is None:
            coming = tuple(None if one is None else one.float() for one in tensors)
        else:
            self._copies.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._copies):
                coming = tuple(None if one is None else self._copied(one) for one in tensors)
        self._coming.append((put, coming))

    def wait(self) -> None:
        """Wait for all that is coming, and hand it over in the order in which it was taken."""
        if self._copies is not None and self._coming:
            self._copies.synchronize()
        coming, self._coming = self._coming, []
        for put, tensors in coming:
            put(tuple(None if one is None else one.numpy() for one in tensors))

    def _copied(self, tensor: Tensor) -> Tensor:
        assert self._copies is not None
        # The allocator must not give the memory away before this stream has read it.
        tensor.record_stream(self._copies)
        host = torch.empty(tensor.shape, dtype=torch.float32, pin_memory=True)
        return host.copy_(tensor.float(), non_blocking=True)


def made_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items; each is made in a thread of its own while the one before is used."""

    def following() -> list[T]:
        return list(islice(items, 1))

    with ThreadPoolExecutor(1, thread_name_prefix="retrieval-read") as maker:
        coming = maker.submit(following)
        while item := coming.result():
            coming = maker.submit(following)
            yield from item
