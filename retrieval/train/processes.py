"""In how many processes training runs, which torch's launcher decides."""

from __future__ import annotations

import os

from retrieval.errors import InputError


def check_alone(what: str) -> None:
    """Raise InputError if `torchrun` started several processes, where one is to run."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        raise InputError(
            f"{count} processes were started, {what} runs in one: start it without torchrun"
        )
