"""Codec: token vectors as a centroid and a residual of 2 or 4 bits per dimension.

    vector = mean + rotation @ (unit * (centroid + residual))

The mean is subtracted because a trained encoder's token vectors share a large common part, which
carries no information and would take up the range. The rest is rotated at random, so that all
dimensions have a similar spread and one unit serves all, and measured in units, so that centroids
and residual levels are int8 and a stored vector is rebuilt by one integer addition. The tokens of
some centroids lie closer to them than those of others: each centroid belongs to a class, whose
levels are spaced to suit its tokens.

The segments of an index share its codec, which has a folder of its own beside theirs; in segments
written by an earlier release, the segment itself contains it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted, StorageError
from retrieval.files.regular import read_regular
from retrieval.files.stored_json import parsed
from retrieval.files.unsynced import force
from retrieval.indexes import kernels
from retrieval.indexes.arrays import CURE, force_with_parent, make_folder, open_array, write_array
from retrieval.indexes.assignment import Assigner
from retrieval.indexes.late.frame import Frame, FramedVectors, TokenVectors
from retrieval.indexes.late.query import LateQuery
from retrieval.indexes.quantising import row_blocks

CENTROIDS = "late.centroids.npy"
CLASSES = "late.classes.npy"
LEVELS = "late.levels.npy"
MEAN = "late.mean.npy"
ROTATION = "late.rotation.npy"
CODEC = "late.codec.json"

_FILES = (CENTROIDS, CLASSES, LEVELS, MEAN, ROTATION, CODEC)
_NUMBERS = ("unit", "trained_error", "trained_tokens")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Codec:
    """How a compressed segment stores vectors; equal keys mean equal codecs.

    Attributes:
        mean: f32 [d].
        rotation: f32 [d, d], orthogonal.
        unit: the size of one step of the integers.
        centroids: i8 [K, d], in units, K from 1 to 65,536.
        classes: u8 [K], the class of each centroid, below C.
        levels: i8 [C, 2 ** bits], rows ascending: the value of each residual code, in units.
        trained_error: relative squared error on the vectors it was trained on, see `error`.
        trained_tokens: how many tokens there were in all (not only in the sample) when it was
            trained.
        key: hex digest of everything that determines the stored bytes.
        total: i64 [d], the sum of the centroids.
        longest: the length of the longest centroid, in units.
    """

    mean: NDArray[np.float32]
    rotation: NDArray[np.float32]
    unit: float
    centroids: NDArray[np.int8]
    classes: NDArray[np.uint8]
    levels: NDArray[np.int8]
    trained_error: float
    trained_tokens: int
    key: str
    total: NDArray[np.int64]
    longest: float

    @classmethod
    def of(
        cls,
        mean: NDArray[np.float32],
        rotation: NDArray[np.float32],
        unit: float,
        centroids: NDArray[np.int8],
        classes: NDArray[np.uint8],
        levels: NDArray[np.int8],
        *,
        trained_error: float = 0.0,
        trained_tokens: int = 0,
    ) -> Codec:
        """A codec with these parts."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (mean, rotation, np.float64(unit), centroids, classes, levels):
            digest.update(np.ascontiguousarray(array).data)
        key = digest.hexdigest()
        stored = (mean, rotation, unit, centroids, classes, levels)
        total = centroids.sum(axis=0, dtype=np.int64)
        squares = np.einsum("kd,kd->k", centroids, centroids, dtype=np.int32)
        longest = float(squares.max(initial=0)) ** 0.5
        return cls(*stored, trained_error, trained_tokens, key, total, longest)

    @property
    def dim(self) -> int:
        """d of the vectors."""
        return int(self.centroids.shape[1])

    @property
    def bits(self) -> int:
        """Bits per dimension of a residual: 2 or 4."""
        return int(self.levels.shape[1]).bit_length() - 1

    @property
    def frame(self) -> Frame:
        """Mean, rotation and unit."""
        return Frame(self.mean, self.rotation, self.unit)

    def decode(self, codes: NDArray[np.uint16], residuals: NDArray[np.uint8]) -> FramedVectors:
        """The vectors that codes u16 [T] and packed residuals u8 [T, d * bits / 8] stand for."""
        units = kernels.decode(codes, residuals, self.centroids, self.classes, self.levels)
        return FramedVectors(units, self.frame)

    def constant(self, query: LateQuery) -> np.float32:
        """What the subtracted mean adds to every passage's score."""
        return np.float32(query.weights @ (query.vectors @ self.mean))

    def error(self, vectors: NDArray[np.float32]) -> float:
        """Squared error of storing vectors f32 [T, d], relative to their squared lengths.

        Lengths are measured from the mean, so that the figure does not flatter an encoder whose
        vectors are all alike; 0 for no vectors.
        """
        return self.lost(vectors, *Compressor(self).encode(vectors))

    def lost(
        self,
        vectors: NDArray[np.float32],
        codes: NDArray[np.uint16],
        residuals: NDArray[np.uint8],
    ) -> float:
        """The error of vectors f32 [T, d] that are stored as these codes and residuals."""
        total = lost = 0.0
        for rows in row_blocks(vectors):
            part = vectors[rows]
            total += float(np.square(part - self.mean, dtype=np.float64).sum())
            missed = part - self.decode(codes[rows], residuals[rows])[:]
            lost += float(np.square(missed, dtype=np.float64).sum())
        return lost / total if total else 0.0

    def write(self, folder: Path) -> None:
        """Write the codec's files into a folder (created if need be) and fsync it."""
        make_folder(folder)
        write_array(folder / CENTROIDS, "|i1", self.centroids.shape, [self.centroids])
        write_array(folder / CLASSES, "|u1", self.classes.shape, [self.classes])
        write_array(folder / LEVELS, "|i1", self.levels.shape, [self.levels])
        write_array(folder / MEAN, "<f4", self.mean.shape, [self.mean])
        write_array(folder / ROTATION, "<f4", self.rotation.shape, [self.rotation])
        write_json(folder / CODEC, {name: getattr(self, name) for name in _NUMBERS})
        force_with_parent(folder)


class Compressor:
    """Encodes vectors with a codec; made once for many blocks of them.

    Attributes:
        codec: the codec.
    """

    __slots__ = ("_assign", "_tables", "codec")

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._assign = Assigner(codec.centroids)
        self._tables = nearest_level(codec.levels)

    def encode(self, vectors: TokenVectors) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """Codes u16 [T] and packed residuals u8 [T, d * bits / 8] of vectors f32 [T, d]."""
        codec = self.codec
        units = codec.frame.units(vectors)
        codes = self._assign(units)
        return codes, kernels.encode(
            units, codes, codec.centroids, codec.classes, self._tables, codec.bits
        )


def open_codec(folder: Path) -> Codec:
    """The codec whose files are in `folder`.

    Raises:
        IndexCorrupted: a file is missing or damaged.
    """
    centroids = open_array(folder / CENTROIDS, "|i1", ndim=2)
    classes = open_array(folder / CLASSES, "|u1", ndim=1)
    levels = open_array(folder / LEVELS, "|i1", ndim=2)
    mean = open_array(folder / MEAN, "<f4", ndim=1)
    rotation = open_array(folder / ROTATION, "<f4", ndim=2)
    numbers = numbers_of(read_json(folder / CODEC), _NUMBERS, folder / CODEC)
    if not 1 <= len(centroids) <= 1 << 16:
        raise IndexCorrupted(f"{folder / CENTROIDS} holds {len(centroids)} centroids; {CURE}")
    if levels.shape[1] not in (4, 16) or not len(levels):
        raise IndexCorrupted(f"{folder / LEVELS} is {levels.shape}, not rows of 4 or 16; {CURE}")
    if len(classes) != len(centroids) or int(classes.max()) >= len(levels):
        raise IndexCorrupted(f"{folder / CLASSES} does not match centroids and levels; {CURE}")
    if mean.shape != centroids.shape[1:] or not np.isfinite(mean).all():
        raise IndexCorrupted(f"{folder / MEAN} is not a mean of the centroids' dimension; {CURE}")
    if rotation.shape != (len(mean), len(mean)) or not np.isfinite(rotation).all():
        raise IndexCorrupted(
            f"{folder / ROTATION} is not a rotation of the centroids' dimension; {CURE}"
        )
    if numbers["unit"] <= 0:
        raise IndexCorrupted(f"{folder / CODEC} holds numbers that are not valid; {CURE}")
    return Codec.of(
        mean,
        rotation,
        numbers["unit"],
        centroids,
        classes,
        levels,
        trained_error=numbers["trained_error"],
        trained_tokens=int(numbers["trained_tokens"]),
    )


_opened: WeakValueDictionary[tuple[object, ...], Codec] = WeakValueDictionary()
_lock = threading.Lock()


def open_shared_codec(folder: Path) -> Codec:
    """`open_codec` for a codec of several segments: as long as one uses it, others use the same.

    Opening one reads all its centroids, 6 MB where there are 65,536, and maps them.

    Raises:
        IndexCorrupted: a file is missing or damaged.
    """
    try:
        files = [(folder / name).stat() for name in _FILES]
    except OSError:
        return open_codec(folder)  # raises with the name of what is missing
    states = ((file.st_ino, file.st_size, file.st_mtime_ns) for file in files)
    identity = (str(folder.absolute()), *states)
    with _lock:
        codec = _opened.get(identity)
        if codec is None:
            codec = _opened[identity] = open_codec(folder)
    return codec


def nearest_level(levels: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Each class's code of the level nearest to each difference from -255 to 255: u8 [C, 511]."""
    differences = np.arange(-255, 256)
    distances = np.abs(differences[:, None] - levels[:, None, :].astype(np.int64))
    codes: NDArray[np.uint8] = distances.argmin(axis=2).astype(np.uint8)
    return codes


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values as JSON into a new file, and force it to the disk."""
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(values, file)
    except OSError as problem:
        raise StorageError(f"cannot write {path}: {problem.strerror}") from problem
    force(path)


_MAX_NUMBERS = 1 << 20  # bytes; far more than a handful of numbers takes


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote; IndexCorrupted if it is missing or not JSON."""
    try:
        text = read_regular(path, max_bytes=_MAX_NUMBERS)
    except OSError as error:
        raise IndexCorrupted(f"{path} is missing or cannot be read; {CURE}") from error
    try:
        return parsed(text)
    except ValueError as error:
        raise IndexCorrupted(f"{path} does not hold a codec's numbers; {CURE}") from error


def numbers_of(values: Any, names: Sequence[str], path: Path) -> Mapping[str, float]:
    """Finite numbers of the JSON object in `path`, by name; IndexCorrupted if one is missing."""
    try:
        found = {name: float(values[name]) for name in names}
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise IndexCorrupted(f"{path} does not hold a codec's numbers; {CURE}") from error
    if not np.isfinite(list(found.values())).all():
        raise IndexCorrupted(f"{path} holds numbers that are not valid; {CURE}")
    return found
