"""The vectors of several encoders as one geometry that a student can learn.

Encoders have no axes in common, but their similarities can be compared: the mean of several
encoders' cosines is the dot product of their concatenated vectors. A student of the first encoder's
width needs vectors of that width as well: every other encoder's are rotated onto the first's, by
the rotation that brings them nearest (Schönemann, "A generalized solution of the orthogonal
Procrustes problem", 1966), and added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from retrieval.errors import InputError

Vectors = NDArray[np.float32]

_BATCH = 1024


@dataclass(frozen=True, slots=True)
class TeacherVectors:
    """One encoder's vectors of the texts and queries that all encoders read.

    Attributes:
        texts: f32 [w, E], unit length.
        queries: f32 [q, E], unit length.
        weight: of its similarities among the encoders'.
    """

    texts: Vectors
    queries: Vectors
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class JointTargets:
    """One geometry of several encoders; all rows have unit length.

    Attributes:
        texts, queries: f16 [w, D] and [q, D], in the first encoder's space.
        text_sides, query_sides: f16 [w, S] and [q, S], the encoders' vectors concatenated: dot
            products are the weighted mean of their cosines.
    """

    texts: NDArray[np.float16]
    queries: NDArray[np.float16]
    text_sides: NDArray[np.float16]
    query_sides: NDArray[np.float16]


def combine_teachers(
    teachers: Sequence[TeacherVectors], *, fitted_on: int = 20_000, seed: int = 0
) -> JointTargets:
    """Combine several encoders into one geometry.

    The first one's vectors stay as they are. The others are centred, texts and queries separately:
    some encoders have all their vectors in a narrow cone, whose cosines say little.

    Args:
        teachers: the same texts and queries in the same order; the first encoder's space is the
            student's.
        fitted_on: number of random texts on which rotations are computed, and of queries.
        seed: of that choice.

    Raises:
        InputError: there is no encoder, the weights are not above 0, or the rows do not agree.
    """
    if not teachers or any(not teacher.weight > 0 for teacher in teachers):
        raise InputError("encoders with weights above 0 are needed, expected one at least")
    shape = len(teachers[0].texts), len(teachers[0].queries)
    if any((len(teacher.texts), len(teacher.queries)) != shape for teacher in teachers):
        raise InputError("the encoders have not read the same texts and queries")
    rng = np.random.default_rng(seed)
    texts, queries = (rng.permutation(count)[:fitted_on] for count in shape)
    first, *others = teachers
    sides = [(first.texts, first.queries)]
    rotated = [(first.weight * first.texts, first.weight * first.queries)]
    base = np.concatenate([first.texts[texts], first.queries[queries]])
    for teacher in others:
        centred = _centre(teacher.texts), _centre(teacher.queries)
        sides.append(centred)
        rotation = _rotation(np.concatenate([centred[0][texts], centred[1][queries]]), base)
        rotated.append(
            (
                teacher.weight * _normalise(centred[0] @ rotation),
                teacher.weight * _normalise(centred[1] @ rotation),
            ),
        )
    total = sum(teacher.weight for teacher in teachers)
    shares = [np.sqrt(teacher.weight / total) for teacher in teachers]

    def concatenated(side: int) -> NDArray[np.float16]:
        parts = [share * vectors[side] for share, vectors in zip(shares, sides, strict=True)]
        return np.concatenate(parts, axis=1).astype(np.float16)

    def mean_direction(side: int) -> NDArray[np.float16]:
        summed: Vectors = np.sum([vectors[side] for vectors in rotated], axis=0)
        return _normalise(summed).astype(np.float16)

    return JointTargets(mean_direction(0), mean_direction(1), concatenated(0), concatenated(1))


@torch.no_grad()
def nearest(vectors: Tensor, count: int, *, repeats: float = 0.97) -> NDArray[np.int32]:
    """The rows most similar to each row, best first, without itself: i32 [n, count].

    Args:
        vectors: f32 [n, D], unit length.
        count: how many, at most.
        repeats: rows at least this similar are near duplicates, and come last.
    """
    count = min(count, len(vectors) - 1)
    parts: list[NDArray[np.int32]] = []
    for first in range(0, len(vectors), _BATCH):
        similar = vectors[first : first + _BATCH] @ vectors.T
        rows = torch.arange(len(similar), device=vectors.device)
        similar = torch.where(similar > repeats, similar - 3.0, similar)
        similar[rows, rows + first] = -torch.inf
        parts.append(similar.topk(count, 1).indices.cpu().numpy().astype(np.int32))
    return np.concatenate(parts)


@torch.no_grad()
def is_recalled(
    queries: Tensor, windows: Tensor, owner: Tensor, own: NDArray[np.int64], *, among: int
) -> NDArray[np.bool_]:
    """For which queries their own text is among the best: bool [q].

    A query whose text not even the teachers find asks for something else.

    Args:
        queries: [q, S].
        windows: [w, S], of all texts.
        owner: i64 [w], the text of each window, ascending.
        own: i64 [q], the text of each query.
        among: how many places count.
    """
    count = int(owner[-1]) + 1
    parts: list[NDArray[np.bool_]] = []
    for first in range(0, len(queries), _BATCH):
        best = best_windows(queries[first : first + _BATCH], windows, owner, count)
        own_batch = torch.from_numpy(own[first : first + _BATCH]).to(best.device)
        ahead = (best > best.gather(1, own_batch[:, None])).sum(1)
        parts.append((ahead < among).cpu().numpy())
    return np.concatenate(parts)


def best_windows(queries: Tensor, windows: Tensor, owner: Tensor, texts: int) -> Tensor:
    """Each query's similarity with each text's best window: [q, texts].

    Args:
        queries: [q, D].
        windows: [w, D]; every text has at least one.
        owner: i64 [w], the text of each window.
        texts: number of texts.
    """
    similar = queries @ windows.T
    out = similar.new_full((len(queries), texts), -torch.inf)
    return out.scatter_reduce(1, owner.expand(len(queries), -1), similar, "amax")


def _centre(vectors: Vectors) -> Vectors:
    return _normalise(vectors - vectors.mean(axis=0))


def _normalise(vectors: Vectors) -> Vectors:
    return F.normalize(torch.from_numpy(vectors), dim=1).numpy()


def _rotation(vectors: Vectors, base: Vectors) -> Vectors:
    """[E, D]: orthonormal rows or columns that bring vectors [n, E] nearest to base [n, D]."""
    left, _, right = np.linalg.svd(vectors.T.astype(np.float64) @ base, full_matrices=False)
    rotation: Vectors = (left @ right).astype(np.float32)
    return rotation
