"""The number of training processes, which torch's launcher determines."""

from __future__ import annotations

import os

from retrieval.errors import InputError


def check_alone(what: str) -> None:
    """Raise InputError if `torchrun` started several processes instead of one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        raise InputError(
            f"{count} processes were started, but {what} needs one: start it without torchrun"
        )
