"""The state that a run leaves on the disk, and goes on from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.errors import CheckpointError
from retrieval.files.whole import replacing

STATE_FILE = "state.pt"


def save_state(folder: Path, settings: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write the state of a run; one that is killed here keeps the state before.

    Args:
        settings: plain values that a run must share to go on from this state.
        state: tensors, numbers, strings, and lists, tuples and dictionaries of them.
    """
    with replacing(folder / STATE_FILE) as file:
        torch.save({"settings": json.dumps(settings, sort_keys=True), **state}, file)


def load_state(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state of the run in a folder, with tensors on the CPU, or None if there is none yet.

    Only tensors and plain values are read; a pickle that holds anything else is refused.

    Raises:
        CheckpointError: the file is damaged, or the run there has other settings.
    """
    state = read_state(folder)
    if state is not None:
        check_settings(folder / STATE_FILE, state, settings)
    return state


def read_state(folder: Path) -> dict[str, Any] | None:
    """The same, whatever the run's settings are.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as wrong:  # torch raises whatever the damage leads to
        raise _unreadable(path, wrong) from None
    if not isinstance(state, dict):
        raise _unreadable(path, TypeError(f"a {type(state).__name__}, expected a dictionary"))
    return state


def check_settings(path: Path, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise CheckpointError, with what differs, if a file's state is of a run of other settings."""
    try:
        found = json.loads(state["settings"])
    except (KeyError, TypeError, ValueError) as wrong:
        raise _unreadable(path, wrong) from None
    if difference := _difference(found, json.loads(json.dumps(settings)), ""):
        raise CheckpointError(
            f"{path} is of a run with other settings ({difference}): "
            "start it with those, or choose another folder"
        )


def arrays_digest(*arrays: NDArray[Any]) -> str:
    """What tells these arrays from others, for the settings of a run: 24 hex digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def _unreadable(path: Path, wrong: Exception) -> CheckpointError:
    reason = (str(wrong).splitlines() or [repr(wrong)])[0]
    return CheckpointError(f"{path} cannot be read ({reason[:120]}): remove it to begin anew")


def _difference(found: Any, given: Any, at: str) -> str | None:
    """The first place where two values of JSON differ, in words."""
    if isinstance(found, dict) and isinstance(given, dict) and found.keys() == given.keys():
        pairs = [(f"{at}.{key}", found[key], given[key]) for key in found]
    elif isinstance(found, list) and isinstance(given, list) and len(found) == len(given):
        pairs = [(f"{at}[{i}]", *both) for i, both in enumerate(zip(found, given, strict=True))]
    elif found == given:
        return None
    else:
        return f"{at.lstrip('.')} is {json.dumps(found)} there, {json.dumps(given)} here"
    return next((said for name, a, b in pairs if (said := _difference(a, b, name))), None)
