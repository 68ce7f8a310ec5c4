"""Hidden vectors of texts, as the network of a CPU computes them, kept on the disk.

A head that is trained on a trunk which stays as it is needs each text encoded once. The trunk is
rounded to int8 as it will be in use, so that the head learns on what it will meet. It is exported
with a token head that hands the hidden vectors through, and run on all cores.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from retrieval.encoders import model_folder
from retrieval.encoders.export.onnx_graph import export
from retrieval.encoders.model_folder import DENSE_HEAD, NEAR, QUERY_WEIGHTS, TOKEN_HEAD
from retrieval.encoders.runtimes.cpu import Network, network_of, usable_cores
from retrieval.errors import CheckpointError
from retrieval.files.whole import PART, move_whole
from retrieval.ragged import offsets_of
from retrieval.train.student import Student
from retrieval.types import ProgressCallback, ProgressUpdate

_INNER = 16
"""Width inside a head that hands through; the compiled network takes multiples of it."""


@dataclass(frozen=True, slots=True)
class HiddenStates:
    """Hidden vectors of texts.

    Attributes:
        vectors: f16 [T, H], of unit length.
        offsets: i64 [n + 1]; text i owns vectors[offsets[i]:offsets[i + 1]].
        ids: i64 [T], the tokens.
    """

    vectors: NDArray[np.float16]
    offsets: NDArray[np.int64]
    ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, texts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the vectors of these texts, one text after the other."""
        return np.concatenate(
            [np.arange(self.offsets[text], self.offsets[text + 1]) for text in texts]
        )

    def lengths(self, texts: Sequence[int] | NDArray[np.int64]) -> list[int]:
        """Tokens of these texts."""
        return [int(self.offsets[text + 1] - self.offsets[text]) for text in texts]

    def around(self, rows: NDArray[Any], reach: int, beyond: int) -> NDArray[np.int64]:
        """Tokens around these rows and their own, in the order of the text.

        Returns:
            i64 [r, 2 reach + 1]: ids; `beyond` where the text has ended.
        """
        text = np.searchsorted(self.offsets, rows, side="right") - 1
        places = np.asarray(rows)[:, None] + np.arange(-reach, reach + 1)
        inside = (places >= self.offsets[text][:, None]) & (
            places < self.offsets[text + 1][:, None]
        )
        return np.where(inside, self.ids[np.where(inside, places, 0)], beyond)


class Trunk:
    """A student's trunk on the CPU; `close` when all is encoded."""

    def __init__(self, student: Student, tokenizer_json: Path) -> None:
        """Export it, rounded, to a folder that lasts as long as this object."""
        self._folder = tempfile.TemporaryDirectory(prefix="retrieval-trunk-")
        hidden = student.config.hidden_size
        state = {
            name: weights
            for name, weights in student.arrays().items()
            if name not in (DENSE_HEAD, NEAR, QUERY_WEIGHTS)
        }
        skip, up, down = TOKEN_HEAD
        state[skip] = np.eye(hidden, dtype=np.float32)
        state[up] = np.zeros((_INNER, hidden), np.float32)
        state[down] = np.zeros((hidden, _INNER), np.float32)
        export(
            self._folder.name,
            config=student.config.to_dict(),
            state=state,
            tokenizer_json=tokenizer_json,
            retrieval_config={"name": "trunk"},
        )
        self._network: Network = network_of(Path(self._folder.name))
        self._fingerprint = model_folder.fingerprint(Path(self._folder.name))

    def close(self) -> None:
        """Remove what was exported."""
        self._folder.cleanup()

    def encode(
        self,
        texts: Sequence[NDArray[Any]],
        folder: Path,
        *,
        progress: ProgressCallback | None = None,
    ) -> HiddenStates:
        """Hidden vectors of texts of token ids, special tokens included.

        Args:
            folder: where they are kept, by what was encoded and by which trunk: what is there
                already is read. What is begun and not finished is begun again.
            progress: called after every text.
        """
        offsets = offsets_of([len(text) for text in texts])
        ids = np.concatenate(texts).astype(np.int64)
        digest = hashlib.sha256(self._fingerprint.encode())
        digest.update(offsets.tobytes())
        digest.update(ids.tobytes())
        path = folder / f"{digest.hexdigest()[:24]}.npy"
        if not path.exists():
            part = path.with_name(path.name + PART)
            self._write(part, ids, offsets, progress)
            move_whole(part, path)
        try:
            vectors = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError):
            raise CheckpointError(
                f"{path} is damaged or cannot be read: remove it, and it is made again"
            ) from None
        return HiddenStates(vectors, offsets, ids)

    def _write(
        self,
        path: Path,
        ids: NDArray[np.int64],
        offsets: NDArray[np.int64],
        progress: ProgressCallback | None,
    ) -> None:
        count = len(offsets) - 1
        rows: np.memmap[Any, np.dtype[np.float16]] | None = None

        def one(text: int) -> tuple[int, NDArray[np.float32]]:
            return text, self._network(ids[offsets[text] : offsets[text + 1]])["tokens"]

        with ThreadPoolExecutor(usable_cores()) as pool:
            for text, vectors in pool.map(one, range(count)):
                if rows is None:
                    rows = open_memmap(path, "w+", np.float16, (len(ids), vectors.shape[1]))
                rows[offsets[text] : offsets[text + 1]] = vectors
                if progress is not None:
                    done = int(offsets[text + 1])
                    progress(ProgressUpdate("encoding", done, len(ids), "tokens"))
        if rows is not None:
            rows.flush()


def full_length(unit: Tensor, gain: Tensor) -> Tensor:
    """What the trunk's last norm gave, of which only the direction was kept.

    A layer norm divides by the standard deviation and multiplies by its gain: without the gain the
    vector is as long as the square root of its width.

    Args:
        unit: [T, H].
        gain: f32 [H], the norm's weights.
    """
    vectors = unit.float()
    length = (vectors / gain).norm(dim=-1, keepdim=True).clamp_min(1e-12)
    full: Tensor = vectors * (gain.shape[0] ** 0.5 / length)
    return full


def rows_of(hidden: HiddenStates, rows: NDArray[Any], gain: Tensor) -> Tensor:
    """f32 [r, H], the hidden vectors of these rows at full length."""
    return full_length(torch.from_numpy(np.ascontiguousarray(hidden.vectors[rows])), gain)
