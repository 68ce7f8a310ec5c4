"""Vectors of texts in a folder, found again by the texts: one file when done, parts until then."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.eval.building import BUILT, forget_built

Vector = NDArray[np.float32]
"""f32 [D]"""

_VECTORS, _TEXTS, _PARTS = "vectors.npy", "texts.npy", "parts"


def text_digest(text: str) -> int:
    """64 bits that stand for a text."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")


def read_vectors(place: Path) -> NDArray[np.float32]:
    """What `write_vectors` wrote, f32 [n, D]."""
    found: NDArray[np.float32] = np.load(place / _VECTORS, allow_pickle=False)
    return found


def kept_vectors(place: Path) -> dict[int, Vector]:
    """What is there of an earlier version of the texts, or of a run that was stopped, by digest."""
    found: dict[int, Vector] = {}
    if (place / BUILT).is_file() and (place / _TEXTS).is_file():
        digests = np.load(place / _TEXTS, allow_pickle=False)
        found |= dict(zip(digests.tolist(), read_vectors(place), strict=True))
    for path in sorted((place / _PARTS).glob("*.npz")):
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as part:
                found |= dict(zip(part["texts"].tolist(), part["vectors"], strict=True))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)  # cut off; it is encoded again
    return found


def write_part(place: Path, vectors: Mapping[int, Vector]) -> None:
    """Keep some vectors by digest, until `write_vectors`."""
    folder = place / _PARTS
    folder.mkdir(parents=True, exist_ok=True)
    last = max((int(path.stem) for path in folder.glob("*.npz")), default=-1)
    path = folder / f"{last + 1:06}.npz"
    scratch = path.with_suffix(".part")
    with scratch.open("wb") as file:
        texts = np.array(list(vectors), np.uint64)
        np.savez(file, texts=texts, vectors=np.stack(list(vectors.values())))
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def write_vectors(place: Path, digests: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Write all vectors, f32 [n, D], and whose they are; the parts go."""
    place.mkdir(parents=True, exist_ok=True)
    forget_built(place)
    np.save(place / _VECTORS, vectors, allow_pickle=False)
    np.save(place / _TEXTS, np.array(digests, np.uint64), allow_pickle=False)
    shutil.rmtree(place / _PARTS, ignore_errors=True)
