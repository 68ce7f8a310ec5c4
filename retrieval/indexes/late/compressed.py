"""A compressed segment: a centroid and a residual of 2 or 4 bits per dimension for each token.

In addition to the ids and offsets of every late segment: `late.codes.npy` u16 [T], the centroid of
    each token; `late.residuals.npy` u8 [T, d * bits / 8]; where the codec is; and, in a large
    segment, `late.coarse_codes.npy` u16 [T], if another codec's centroids narrow better, and
    inverted lists: in all 2 + d * bits / 8 bytes per token, 2 more with coarse codes, and the
    codecs once per index.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted
from retrieval.files.resident import resident_of_files
from retrieval.indexes import kernels
from retrieval.indexes.arrays import CURE, mapping_of, open_array
from retrieval.indexes.kernels.ragged import Tokens
from retrieval.indexes.late.codec import CENTROIDS, Codec
from retrieval.indexes.late.codec_place import CodecPlace
from retrieval.indexes.late.frame import FramedVectors
from retrieval.indexes.late.lists import open_lists
from retrieval.indexes.late.passages import Passages, dim_problem, open_passages
from retrieval.indexes.late.query import LateQuery

CODES = "late.codes.npy"
RESIDUALS = "late.residuals.npy"
COARSE_CODES = "late.coarse_codes.npy"

_RESIDENT = 1 << 27  # bytes of residuals that searches may leave mapped
_FAULT = 64 << 10  # bytes that a system maps around what is read, where it does not say


class CompressedSegment(Passages):
    """A memory-mapped compressed segment; any number of threads may read it at once.

    Attributes:
        codes: u16 [T], below the number of centroids.
        residuals: u8 [T, d * bits / 8].
        codec: the codec that decodes them.
        shared: the folder that the codec is in, beside the segment's; None if it is in its own.
        error: relative squared error of the stored vectors, see `Codec.error`.
        coarse_quantiser: the codec whose centroids narrow the segment, if that is another one.
        coarse_codes: u16 [T], each token's centroid in that codec; `codes` if there is none.
        lists: inverted lists by `coarse_codes`, or None in a segment that is scanned.
    """

    __slots__ = (
        "_mapped_before",
        "_read",
        "coarse_codes",
        "coarse_quantiser",
        "codec",
        "codes",
        "error",
        "lists",
        "residuals",
        "shared",
    )

    def __init__(self, folder: Path) -> None:
        """Map the segment in `folder`; IndexCorrupted names the file that is missing or damaged."""
        place = CodecPlace.open(folder)
        self.codec, self.shared, self.error = place.codec, place.shared, place.error
        self.coarse_quantiser = place.coarse_quantiser
        problem = dim_problem(self.codec.dim)
        if problem is not None:
            raise IndexCorrupted(f"{folder / CENTROIDS}: {problem}; {CURE}")
        self.codes: NDArray[np.uint16] = open_array(folder / CODES, "<u2", ndim=1)
        self.residuals: NDArray[np.uint8] = open_array(folder / RESIDUALS, "|u1", ndim=2)
        ids, offsets = open_passages(folder, len(self.codes))
        shape = (len(self.codes), self.codec.dim * self.codec.bits // 8)
        if self.residuals.shape != shape:
            raise IndexCorrupted(
                f"{folder / RESIDUALS} is {self.residuals.shape}, expected {shape}; {CURE}"
            )
        self.coarse_codes = self.codes
        if self.coarse_quantiser is not None:
            self.coarse_codes = open_array(folder / COARSE_CODES, "<u2", ndim=1)
            if (
                self.coarse_quantiser.codec.dim != self.codec.dim
                or self.coarse_codes.shape != self.codes.shape
            ):
                raise IndexCorrupted(f"{folder / COARSE_CODES} does not match the codes; {CURE}")
        self.lists = open_lists(folder, len(ids), len(self.narrowing.centroids))
        self._read, self._mapped_before = 0, resident_of_files() or 0
        stored = (self.codes, self.residuals, self.coarse_codes)
        super().__init__(folder, ids, offsets, dim=self.codec.dim, tokens=stored)

    @property
    def regime(self) -> Literal["compressed", "lists"]:
        """How the segment is searched."""
        return "compressed" if self.lists is None else "lists"

    @property
    def narrowing(self) -> Codec:
        """The codec whose centroids `coarse_codes` refers to."""
        return self.codec if self.coarse_quantiser is None else self.coarse_quantiser.codec

    def max_sim(self, query: LateQuery, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """MaxSim of the query and each passage as stored, f32 [r]; -inf for an empty one."""
        turned = query.turned(self.codec.rotation)
        with self._naming(CODES):
            scores = kernels.max_sim_compressed(
                self.codes,
                self.residuals,
                self.codec.centroids,
                self.codec.classes,
                self.codec.levels,
                self.offsets,
                rows,
                turned.codes,
                turned.factors * np.float32(self.codec.unit),
            )
        self._count(rows)
        return scores + self.codec.constant(query)

    def centroid_max(self, table: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Approximate scores from each passage's centroids, i32 [r]; see `kernels.centroid_max`.

        Args:
            table: the query's scores with the narrowing centroids, see `candidates.Table`.
            rows: i64 [r].
        """
        return kernels.centroid_max(table, self.coarse_codes, self.offsets, rows)

    def stored_of(self, tokens: Tokens) -> FramedVectors:
        """The vectors of these token rows as they are stored, [t, d]."""
        with self._naming(CODES):
            return self.codec.decode(self.codes[tokens], self.residuals[tokens])

    def codes_of(self, tokens: Tokens) -> NDArray[np.uint16]:
        """`codes` of these token rows, checked to be below the number of centroids."""
        return self._naming_centroids(self.codes[tokens], self.codec, CODES)

    def coarse_codes_of(self, tokens: Tokens) -> NDArray[np.uint16]:
        """Like `codes_of`, for `coarse_codes`."""
        return self._naming_centroids(self.coarse_codes[tokens], self.narrowing, self._coarse_name)

    @property
    def _coarse_name(self) -> str:
        return CODES if self.coarse_quantiser is None else COARSE_CODES

    def _naming_centroids(
        self, codes: NDArray[np.uint16], codec: Codec, name: str
    ) -> NDArray[np.uint16]:
        if len(codes) and int(codes.max()) >= len(codec.centroids):
            raise self._damaged(name)
        return codes

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Name the damaged file when a kernel is given a position outside of its arrays.

        Such a position can be a code. Codes are not checked when the segment is opened: there are
        hundreds of megabytes of them, of which a search reads little. Narrowing treats a code
        without a centroid as one far from every token.
        """
        try:
            yield
        except (ValueError, IndexError) as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> IndexCorrupted:
        return IndexCorrupted(f"{self.folder / name} contains out-of-range centroids; {CURE}")

    def _count(self, rows: NDArray[np.int64]) -> None:
        """Release the residuals' pages from time to time; otherwise all that was read stays.

        They stay in the page cache, so mapping them again is cheap. Other arrays are small beside
        them, and every search reads much of those. Around what is read the system maps 64 KiB, or
        megabytes where the page cache holds the file in large pieces: so what is mapped is asked
        for, of the whole process.
        """
        if self.residuals.nbytes <= _RESIDENT:
            return
        self._read += len(rows) * _FAULT
        now = resident_of_files()
        if now is None:
            grown = self._read
        else:
            self._mapped_before = min(self._mapped_before, now)
            grown = now - self._mapped_before
        if grown <= _RESIDENT:
            return
        if mapped := mapping_of(self.residuals):
            mapped.madvise(mmap.MADV_DONTNEED)
        self._read, self._mapped_before = 0, resident_of_files() or 0
