"""A teacher's vectors, each text encoded once: on disk, by the teacher's and the text's digests.

    FOLDER/<fingerprint>/<side>/<number>/    keys.npy, dense.npy, tokens.npy, offsets.npy

Vectors are kept in half precision, a folder a block of texts, mapped into memory for reading. A
block is written aside and renamed, so that a run that is killed loses one block at most.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.types import Embeddings, Encoder, EncoderSide, ProgressCallback, ProgressUpdate

BLOCK = 1024
"""Texts of one block."""

_ARRAYS = ("dense", "tokens", "offsets")


@dataclass(frozen=True, slots=True)
class TextVectors:
    """One text's vectors: dense f32 [D] and tokens f32 [t, d], None for a head not there."""

    dense: NDArray[np.float32] | None
    tokens: NDArray[np.float32] | None


class TeacherCache:
    """The vectors of one teacher."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder = encoder
        self._folder = folder / encoder.fingerprint[:32]
        self._places: dict[EncoderSide, dict[bytes, tuple[int, int]]] = {
            "query": {},
            "document": {},
        }
        self._blocks: dict[EncoderSide, list[dict[str, NDArray[Any]]]] = {
            "query": [],
            "document": [],
        }
        for side in self._places:
            for block in sorted((self._folder / side).glob("[0-9]*[0-9]")):
                self._open(side, block)

    def add(
        self,
        texts: Iterable[str],
        side: EncoderSide,
        *,
        progress: ProgressCallback | None = None,
    ) -> int:
        """Encode the texts that are not there yet; returns how many they were.

        Args:
            progress: called after every block of texts.
        """
        known = self._places[side]
        new = [text for text in dict.fromkeys(texts) if _key(text) not in known]
        for first in range(0, len(new), BLOCK):
            block = new[first : first + BLOCK]
            encode = (
                self.encoder.encode_queries if side == "query" else self.encoder.encode_documents
            )
            self._write(side, block, encode(block))
            if progress is not None:
                done = first + len(block)
                progress(ProgressUpdate("asking the teacher", done, len(new), "texts"))
        return len(new)

    def get(self, text: str, side: EncoderSide) -> TextVectors:
        """The vectors of a text that was added; KeyError for another."""
        block, row = self._places[side][_key(text)]
        arrays = self._blocks[side][block]
        dense = tokens = None
        if "dense" in arrays:
            dense = arrays["dense"][row].astype(np.float32)
        if "tokens" in arrays:
            start, end = arrays["offsets"][row : row + 2]
            tokens = arrays["tokens"][start:end].astype(np.float32)
        return TextVectors(dense, tokens)

    def _write(self, side: EncoderSide, texts: list[str], made: Embeddings) -> None:
        folder = self._folder / side
        folder.mkdir(parents=True, exist_ok=True)
        block = folder / f"{len(self._blocks[side]):06}"
        part = block.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        np.save(part / "keys.npy", np.frombuffer(b"".join(map(_key, texts)), "V16"))
        for name in _ARRAYS:
            array = getattr(made, name)
            if array is not None:
                np.save(part / f"{name}.npy", array if name == "offsets" else array.astype("<f2"))
        part.rename(block)
        self._open(side, block)

    def _open(self, side: EncoderSide, block: Path) -> None:
        number = len(self._blocks[side])
        for row, key in enumerate(np.load(block / "keys.npy").tolist()):
            self._places[side][key] = (number, row)
        self._blocks[side].append(
            {
                name: np.load(path, mmap_mode="r")
                for name in _ARRAYS
                if (path := block / f"{name}.npy").exists()
            }
        )


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
