"""Hidden vectors of texts, computed by the CPU's network and kept on disk.

A head trained on a frozen trunk needs each text encoded only once. The trunk is rounded to int8 as
it will be in use, so that the head is trained on the vectors that it will get. It is exported with
a token head that passes the hidden vectors through, and runs on all cores.
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
"""Inner width of the pass-through head; the compiled network takes multiples of it."""


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
        """Rows of the vectors of these texts, one text after the other: i64 [r]."""
        return np.concatenate(
            [np.arange(self.offsets[text], self.offsets[text + 1]) for text in texts]
        )

    def lengths(self, texts: Sequence[int] | NDArray[np.int64]) -> list[int]:
        """Numbers of tokens of these texts."""
        return [int(self.offsets[text + 1] - self.offsets[text]) for text in texts]

    def around(self, rows: NDArray[Any], reach: int, beyond: int) -> NDArray[np.int64]:
        """Ids of the tokens at these rows and of their neighbours, in the order of the text.

        Args:
            rows: i64 [r].
            reach: neighbours to each side.
            beyond: the id of places outside the text.

        Returns:
            i64 [r, 2 reach + 1].
        """
        text = np.searchsorted(self.offsets, rows, side="right") - 1
        places = np.asarray(rows)[:, None] + np.arange(-reach, reach + 1)
        inside = (places >= self.offsets[text][:, None]) & (
            places < self.offsets[text + 1][:, None]
        )
        return np.where(inside, self.ids[np.where(inside, places, 0)], beyond)


class Trunk:
    """A student's trunk on the CPU; call `close` when everything is encoded."""

    def __init__(self, student: Student, tokenizer_json: Path) -> None:
        """Export the trunk, rounded, to a folder that lasts as long as this object."""
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
        """Remove the exported folder."""
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
            texts: token ids of each text.
            folder: where vectors are kept, by texts and trunk. Existing ones are read; unfinished
            ones
                are computed again.
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

        def encode_one(text: int) -> tuple[int, NDArray[np.float32]]:
            return text, self._network(ids[offsets[text] : offsets[text + 1]])["tokens"]

        with ThreadPoolExecutor(usable_cores()) as pool:
            for text, vectors in pool.map(encode_one, range(count)):
                if rows is None:
                    rows = open_memmap(path, "w+", np.float16, (len(ids), vectors.shape[1]))
                rows[offsets[text] : offsets[text + 1]] = vectors
                if progress is not None:
                    done = int(offsets[text + 1])
                    progress(ProgressUpdate("encoding", done, len(ids), "tokens"))
        if rows is not None:
            rows.flush()


def full_length(unit: Tensor, gain: Tensor) -> Tensor:
    """The output of the trunk's last norm, of which only the direction was kept.

    A layer norm divides by the standard deviation and multiplies by its gain: without the gain, a
    vector's length is the square root of its width.

    Args:
        unit: [T, H].
        gain: f32 [H], the norm's weights.
    """
    vectors = unit.float()
    length = (vectors / gain).norm(dim=-1, keepdim=True).clamp_min(1e-12)
    full: Tensor = vectors * (gain.shape[0] ** 0.5 / length)
    return full


def rows_of(hidden: HiddenStates, rows: NDArray[Any], gain: Tensor) -> Tensor:
    """The hidden vectors of these rows at full length, f32 [r, H]."""
    return full_length(torch.from_numpy(np.ascontiguousarray(hidden.vectors[rows])), gain)
