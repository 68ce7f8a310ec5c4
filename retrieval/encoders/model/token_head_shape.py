"""Widths of a token head, read off its stored tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.encoders.model_folder import NEAR, TOKEN_HEAD
from retrieval.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class TokenHeadShape:
    """What a token head reads and makes; see `retrieval.encoders.model.heads.TokenHead`.

    Attributes:
        dim: d, of the token vectors.
        inner: width between its two layers.
        near: numbers that it reads of each neighbour's embedding; 0 where it reads none.
        reach: neighbours to each side that it reads.
    """

    dim: int
    inner: int
    near: int = 0
    reach: int = 0

    @property
    def beside(self) -> int:
        """Numbers that the head reads beside a token's hidden vector."""
        return self.near * (2 * self.reach + 1)

    def sizes(self, hidden: int) -> dict[str, tuple[int, int]]:
        """The shapes of its tensors, by name."""
        skip, up, down = TOKEN_HEAD
        inputs = hidden + self.beside
        sizes = {
            skip: (self.dim, inputs),
            up: (self.inner, inputs),
            down: (self.dim, self.inner),
        }
        return sizes | {NEAR: (self.near, hidden)} if self.near else sizes

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]], hidden: int) -> TokenHeadShape | None:
        """The head that these shapes, by tensors' names, are of; None where there is none.

        Raises:
            CheckpointError: a tensor of the head is missing, or they do not fit each other.
        """
        found = {name: shapes[name] for name in (*TOKEN_HEAD, NEAR) if name in shapes}
        if not found:
            return None
        missing = [name for name in TOKEN_HEAD if name not in found]
        if missing:
            raise CheckpointError(
                f"{missing[0]} is missing, expected the whole token head or none of it"
            )
        for name, shape in found.items():
            if len(shape) != 2 or 0 in shape:
                raise CheckpointError(f"{name} is {tuple(shape)}, expected a matrix")
        skip, up, _ = TOKEN_HEAD
        dim, inputs = found[skip]
        near = found[NEAR][0] if NEAR in found else 0
        sides = (inputs - hidden) // near - 1 if near else 0
        head = cls(dim, found[up][0], near, max(sides, 0) // 2)
        for name, expected in head.sizes(hidden).items():
            if tuple(found[name]) != expected:
                raise CheckpointError(f"{name} is {tuple(found[name])}, expected {expected}")
        return head
