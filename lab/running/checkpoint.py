"""The state that a run saves, and resumes from."""

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
    """Write the state of a run atomically: if the process is killed, the previous state stays.

    Args:
        folder: of the run.
        settings: plain values that a run must share to resume from this state.
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
    """The state of the run in a folder, whatever its settings are, or None if there is none yet.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises whatever the damage leads to
        raise _unreadable(path, error) from None
    if not isinstance(state, dict):
        raise _unreadable(path, TypeError(f"a {type(state).__name__}, expected a dictionary"))
    return state


def check_settings(path: Path, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise CheckpointError, with the difference, if a state is of a run with other settings."""
    try:
        saved = json.loads(state["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from None
    if difference := _difference(saved, json.loads(json.dumps(settings)), ""):
        raise CheckpointError(
            f"{path} is of a run with other settings ({difference}): "
            "start it with those, or choose another folder"
        )


def arrays_digest(*arrays: NDArray[Any]) -> str:
    """A digest of arrays for the settings of a run: 24 hex digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    """The error for a file that cannot be read."""
    reason = (str(error).splitlines() or [repr(error)])[0]
    return CheckpointError(f"{path} cannot be read ({reason[:120]}): remove it to begin anew")


def _difference(saved: Any, current: Any, path: str) -> str | None:
    """The first place where two JSON values differ, in words; None if they are equal."""
    if isinstance(saved, dict) and isinstance(current, dict) and saved.keys() == current.keys():
        pairs = [(f"{path}.{key}", saved[key], current[key]) for key in saved]
    elif isinstance(saved, list) and isinstance(current, list) and len(saved) == len(current):
        pairs = [(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(saved, current, strict=True))]
    elif saved == current:
        return None
    else:
        return f"{path.lstrip('.')} is {json.dumps(saved)} there, {json.dumps(current)} here"
    return next((text for name, a, b in pairs if (text := _difference(a, b, name))), None)
