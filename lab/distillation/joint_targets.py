"""What several encoders make of texts, as one geometry that a student can learn.

Encoders have no axes in common, but similarities can be compared: the mean of several encoders'
cosines is the dot product of their vectors put side by side. A student of the first encoder's width
needs vectors of that width, too: every other encoder's are turned onto the first's, by the rotation
that brings them nearest (Schönemann, "A generalized solution of the orthogonal Procrustes problem",
1966), and added.
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

_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Read:
    """What one encoder made of the same texts.

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
        text_sides, query_sides: f16 [w, S] and [q, S], the encoders side by side: dot products are
            the weighted mean of their cosines.
    """

    texts: NDArray[np.float16]
    queries: NDArray[np.float16]
    text_sides: NDArray[np.float16]
    query_sides: NDArray[np.float16]


def joint_targets(read: Sequence[Read], *, fitted_on: int = 20_000, seed: int = 0) -> JointTargets:
    """Put encoders together.

    The first one's vectors stay as they are. Of the others the mean is taken away, of texts and of
    queries apart: some have all their vectors in a narrow cone, whose cosines say little.

    Args:
        read: the same texts and queries in the same order; the first encoder is the one whose
            space the student has.
        fitted_on: texts, drawn at random, that rotations are found on; with as many queries.

    Raises:
        InputError: there is no encoder, the weights are not above 0, or the rows do not agree.
    """
    if not read or any(not one.weight > 0 for one in read):
        raise InputError("encoders with weights above 0 are needed, expected one at least")
    shape = len(read[0].texts), len(read[0].queries)
    if any((len(one.texts), len(one.queries)) != shape for one in read):
        raise InputError("the encoders have not read the same texts and queries")
    rng = np.random.default_rng(seed)
    texts, queries = (rng.permutation(count)[:fitted_on] for count in shape)
    first, *others = read
    sides = [(first.texts, first.queries)]
    turned = [(first.weight * first.texts, first.weight * first.queries)]
    base = np.concatenate([first.texts[texts], first.queries[queries]])
    for one in others:
        own = _centred(one.texts), _centred(one.queries)
        sides.append(own)
        onto = _rotation(np.concatenate([own[0][texts], own[1][queries]]), base)
        turned.append(
            (one.weight * _unit(own[0] @ onto), one.weight * _unit(own[1] @ onto)),
        )
    total = sum(one.weight for one in read)
    shares = [np.sqrt(one.weight / total) for one in read]

    def beside(side: int) -> NDArray[np.float16]:
        parts = [share * own[side] for share, own in zip(shares, sides, strict=True)]
        return np.concatenate(parts, axis=1).astype(np.float16)

    def added(side: int) -> NDArray[np.float16]:
        summed: Vectors = np.sum([own[side] for own in turned], axis=0)
        return _unit(summed).astype(np.float16)

    return JointTargets(added(0), added(1), beside(0), beside(1))


@torch.no_grad()
def nearest(vectors: Tensor, count: int, *, repeats: float = 0.97) -> NDArray[np.int32]:
    """The rows that are most like each row, best first: i32 [n, count], none of them itself.

    Args:
        vectors: f32 [n, D], unit length.
        repeats: a row this similar says the same once more, and comes last.
    """
    count = min(count, len(vectors) - 1)
    made: list[NDArray[np.int32]] = []
    for first in range(0, len(vectors), _AT_ONCE):
        similar = vectors[first : first + _AT_ONCE] @ vectors.T
        rows = torch.arange(len(similar), device=vectors.device)
        similar = torch.where(similar > repeats, similar - 3.0, similar)
        similar[rows, rows + first] = -torch.inf
        made.append(similar.topk(count, 1).indices.cpu().numpy().astype(np.int32))
    return np.concatenate(made)


@torch.no_grad()
def found_again(
    queries: Tensor, windows: Tensor, owner: Tensor, own: NDArray[np.int64], *, among: int
) -> NDArray[np.bool_]:
    """For which queries their own text is among the best: bool [q].

    A query whose text not even the teachers find again asks for something else.

    Args:
        queries: [q, S].
        windows: [w, S], of all texts.
        owner: i64 [w], the text that each is of, ascending.
        own: i64 [q], the text of each query.
        among: so many places.
    """
    count = int(owner[-1]) + 1
    kept: list[NDArray[np.bool_]] = []
    for first in range(0, len(queries), _AT_ONCE):
        best = best_windows(queries[first : first + _AT_ONCE], windows, owner, count)
        mine = torch.from_numpy(own[first : first + _AT_ONCE]).to(best.device)
        ahead = (best > best.gather(1, mine[:, None])).sum(1)
        kept.append((ahead < among).cpu().numpy())
    return np.concatenate(kept)


def best_windows(queries: Tensor, windows: Tensor, owner: Tensor, texts: int) -> Tensor:
    """Each query's similarity with each text's best window: [q, texts].

    Args:
        queries: [q, D].
        windows: [w, D]; every text has one at least.
        owner: i64 [w], the text that each is of.
    """
    similar = queries @ windows.T
    out = similar.new_full((len(queries), texts), -torch.inf)
    return out.scatter_reduce(1, owner.expand(len(queries), -1), similar, "amax")


def _centred(vectors: Vectors) -> Vectors:
    return _unit(vectors - vectors.mean(axis=0))


def _unit(vectors: Vectors) -> Vectors:
    return F.normalize(torch.from_numpy(vectors), dim=1).numpy()


def _rotation(own: Vectors, base: Vectors) -> Vectors:
    """[E, D]: orthonormal rows or columns that bring own [n, E] nearest to base [n, D]."""
    left, _, right = np.linalg.svd(own.T.astype(np.float64) @ base, full_matrices=False)
    onto: Vectors = (left @ right).astype(np.float32)
    return onto
