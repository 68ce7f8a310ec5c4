"""What turns the trunk's hidden vectors into embeddings: pooling, and one head a kind of vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.modernbert import ModernBert
from retrieval.encoders.model.token_head_shape import TokenHeadShape

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""The modes of `pool`, under the names that sentence-transformers gives them."""


def mean_pool(hidden: Tensor, layout: Layout) -> Tensor:
    """Mean over each sequence's tokens: [T, H] to [n, H], summed in float32."""
    return pool(hidden, layout, "mean")


def pool(hidden: Tensor, layout: Layout, mode: str, skip: int | Tensor = 0) -> Tensor:
    """One vector a sequence.

    Args:
        hidden: [T, H].
        mode: one of `POOLING_MODES`. "cls" takes the first token, "lasttoken" the last,
            "weightedmean" weighs a token by its position, counted from 1.
        skip: leading tokens of each sequence (a prompt) that are left out, or i64 [n], of each; the
            last token never is.

    Returns:
        f32 [n, H].
    """
    device = hidden.device
    starts, stops = layout.cu_seqlens[:-1].long(), layout.cu_seqlens[1:].long()
    lengths = stops - starts
    # Not a tensor of one number: that would be copied, and the copy waits for the device.
    asked = skip.expand_as(lengths) if isinstance(skip, Tensor) else torch.full_like(lengths, skip)
    skipped = torch.minimum(asked, lengths - 1)
    if mode == "cls":
        return hidden[starts + skipped].float()
    if mode == "lasttoken":
        return hidden[stops - 1].float()
    owner = torch.arange(len(layout.lengths), device=device).repeat_interleave(
        lengths, output_size=layout.total
    )
    vectors = hidden.float()
    shape = (len(layout.lengths), hidden.shape[1])
    every = isinstance(skip, int) and skip == 0
    pooled = None if every else layout.positions >= skipped[owner]
    if mode == "max":
        if pooled is not None:
            vectors = vectors.masked_fill(~pooled[:, None], -torch.inf)
        out = torch.full(shape, -torch.inf, device=device)
        return out.scatter_reduce(0, owner[:, None].expand_as(vectors), vectors, "amax")
    total = (lengths - skipped).float()
    weights = None if pooled is None else pooled.float()
    if mode == "weightedmean":
        positions = (layout.positions + 1).float()
        weights = positions if weights is None else weights * positions
        total = torch.zeros(shape[0], device=device).index_add(0, owner, weights)
    if weights is not None:
        vectors = vectors * weights[:, None]
    sums = torch.zeros(shape, device=device).index_add(0, owner, vectors)
    return sums / (total.sqrt() if mode == "mean_sqrt_len_tokens" else total)[:, None]


class DenseHead(nn.Module):
    """Mean of the hidden vectors, projected; its output is normalised to unit length."""

    def __init__(self, hidden: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim, hidden))

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """[T, H] to f32 [n, D], unit length."""
        return F.normalize(F.linear(mean_pool(hidden, layout), self.weight.float()), dim=-1)


class TokenHead(nn.Module):
    """One vector a token: a linear map, plus two layers that correct it.

    A hidden vector has a little of the whole text in it, and the more the longer the text. A head
    with `near` reads beside it what the words just before and after are, each by itself: a few
    numbers of every neighbour's embedding, which no text around it changes.
    """

    def __init__(self, hidden: int, shape: TokenHeadShape) -> None:
        super().__init__()
        self.shape = shape
        inputs = hidden + shape.beside
        self.skip = nn.Linear(inputs, shape.dim, bias=False)
        self.up = nn.Linear(inputs, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, shape.dim, bias=False)
        self.near = nn.Linear(hidden, shape.near, bias=False) if shape.near else None

    def forward(
        self, hidden: Tensor, embedded: Tensor | None = None, around: Tensor | None = None
    ) -> Tensor:
        """Hidden vectors to token vectors.

        Args:
            hidden: [T, H].
            embedded: [E, H], embeddings after their norm, for a head with `near`.
            around: i64 [T, 2 reach + 1], of each token the rows of `embedded` that are its
                neighbours and its own, in the order of the text; E where the text has ended.

        Returns:
            f32 [T, d], unit length.
        """
        if self.near is not None:
            if embedded is None or around is None:
                raise TypeError("this token head reads the embeddings too")
            rows = F.pad(self.near(embedded), (0, 0, 0, 1))
            hidden = torch.cat([hidden, rows[around].flatten(1)], dim=1)
        out = self.skip(hidden) + self.down(F.gelu(self.up(hidden)))
        return F.normalize(out.float(), dim=-1)


def neighbours(layout: Layout, reach: int) -> Tensor:
    """`around` of a batch's tokens, for embeddings of the batch itself: i64 [T, 2 reach + 1]."""
    device = layout.cu_seqlens.device
    steps = torch.arange(-reach, reach + 1, device=device)
    lengths = layout.counts.repeat_interleave(layout.counts, output_size=layout.total)
    places = layout.positions[:, None] + steps
    inside = (places >= 0) & (places < lengths[:, None])
    rows = torch.arange(layout.total, device=device)[:, None] + steps
    return rows.masked_fill(~inside, layout.total)


def token_vectors(
    head: TokenHead, trunk: ModernBert, hidden: Tensor, ids: Tensor, layout: Layout
) -> Tensor:
    """The head on a trunk's own batch: ids i64 [T] and hidden [T, H] to f32 [T, d]."""
    embedded = around = None
    if head.near is not None:
        embedded = trunk.embeddings(ids).to(hidden.dtype)
        around = neighbours(layout, head.shape.reach)
    vectors: Tensor = head(hidden, embedded, around)
    return vectors


class Projection(nn.Module):
    """A Dense module of sentence-transformers or PyLate: linear, activated, perhaps residual."""

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool, activation: nn.Module, residual: bool
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=bias)
        self.activation = activation
        self.add_input = residual
        self.residual = (
            nn.Linear(inputs, outputs, bias=False) if residual and inputs != outputs else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        out: Tensor = self.activation(self.linear(x))
        if not self.add_input:
            return out
        added: Tensor = out + (x if self.residual is None else self.residual(x))
        return added


class UnitLength(nn.Module):
    """Scales vectors to length 1; a zero stays zero."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] to [..., D]."""
        return F.normalize(x, dim=-1)


class PooledHead(nn.Module):
    """The dense head of a sentence-transformers pipeline; its output is normalised in any case.

    Attributes:
        before: applied to every token's vector.
        modes: of pooling; several are put side by side.
        include_prompt: whether a prompt's tokens are pooled too.
        after: applied to the pooled vector.
    """

    def __init__(
        self,
        modes: Sequence[str] = ("mean",),
        *,
        include_prompt: bool = True,
        before: Sequence[nn.Module] = (),
        after: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.modes = tuple(modes)
        self.include_prompt = include_prompt
        self.before = nn.Sequential(*before)
        self.after = nn.Sequential(*after)

    def forward(self, hidden: Tensor, layout: Layout, prompt_tokens: int | Tensor = 0) -> Tensor:
        """[T, H] to f32 [n, D], unit length."""
        skip = 0 if self.include_prompt else prompt_tokens
        x: Tensor = self.before(hidden)
        pooled = torch.cat([pool(x, layout, mode, skip) for mode in self.modes], dim=-1)
        return F.normalize(self.after(pooled), dim=-1)


class ProjectedTokens(nn.Module):
    """The token head of a late-interaction pipeline; its output is normalised in any case."""

    def __init__(self, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.Sequential(*steps)

    def forward(self, hidden: Tensor) -> Tensor:
        """[T, H] to f32 [T, d], unit length."""
        return F.normalize(self.steps(hidden).float(), dim=-1)
