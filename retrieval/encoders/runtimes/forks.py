"""Forks and torch: a process that was forked has none of torch's threads, and waits for them."""

from __future__ import annotations

import os

from retrieval.errors import EncoderError

_computed_in: int | None = None


def check_process(name: str) -> None:
    """Refuse what would wait for ever; to be called before torch computes.

    Args:
        name: of the encoder.

    Raises:
        EncoderError: torch has computed in the process that this one was forked from, and does so
            in several threads.
    """
    global _computed_in
    here = os.getpid()
    if _computed_in is None:
        _computed_in = here
    if _computed_in == here:
        return
    import torch

    if torch.get_num_threads() > 1:
        raise EncoderError(
            f"encoder {name!r} cannot be used in process {here}, a fork of {_computed_in}, where "
            "torch has no threads; begin processes by spawn, as "
            "multiprocessing.get_context('spawn') does"
        )
