"""A trunk with its heads, and all else that a checkpoint says: what a `TorchEncoder` runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.heads import (
    DenseHead,
    PooledHead,
    ProjectedTokens,
    TokenHead,
    token_vectors,
)
from retrieval.encoders.model.modernbert import ModernBert
from retrieval.encoders.sides import Side


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Parts of a batch's sequences.

    Attributes:
        rows: i64 [R], the tokens of each part, one part's after another's.
        layout: of the parts, R tokens in all.
        prompt_tokens: i64 [p], how many of each part's tokens are a prompt's.
    """

    rows: Tensor
    layout: Layout
    prompt_tokens: Tensor


class Network(nn.Module):
    """A trunk with a dense head, a token head, or both; one pass gives all that they make."""

    def __init__(
        self,
        trunk: ModernBert,
        dense: DenseHead | PooledHead | None = None,
        tokens: TokenHead | ProjectedTokens | None = None,
    ) -> None:
        super().__init__()
        self.trunk, self.dense, self.tokens = trunk, dense, tokens

    def forward(
        self,
        ids: Tensor,
        layout: Layout,
        prompt_tokens: int = 0,
        *,
        parts: Parts | None = None,
        windows: Layout | None = None,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """All vectors of a batch, of unit length; None for a head that is not there.

        Args:
            ids: i64 [T], of the layout's n sequences.
            parts: of the sequences, that get dense vectors in their place.
            windows: w runs of the sequences' tokens, or of the parts', in order, that are to have
                dense vectors too.

        Returns:
            dense f32 [n, D] of the sequences or their parts, tokens f32 [T, d], and the windows'
            dense vectors f32 [w, D].
        """
        # The heads run in float32: they are small, and what they lose shows in the scores.
        hidden = self.trunk(ids, layout).float()
        tokens = None
        if isinstance(self.tokens, TokenHead):
            tokens = token_vectors(self.tokens, self.trunk, hidden, ids, layout)
        elif self.tokens is not None:
            tokens = self.tokens(hidden)
        prompts: int | Tensor = prompt_tokens
        if parts is not None:
            hidden, layout, prompts = hidden[parts.rows], parts.layout, parts.prompt_tokens
        dense = made = None
        if isinstance(self.dense, PooledHead):
            dense = self.dense(hidden, layout, prompts)
        elif self.dense is not None:
            dense = self.dense(hidden, layout)
            made = None if windows is None else self.dense(hidden, windows)
        return dense, tokens, made

    @property
    def pools_spans(self) -> bool:
        """Whether the dense vector of a part of a text is made of that part's tokens alone.

        One that is pooled from the first or the last token is the same for every part.
        """
        modes = self.dense.modes if isinstance(self.dense, PooledHead) else ()
        return not {"cls", "lasttoken"} & {*modes}

    @torch.inference_mode()
    def dims(self) -> tuple[int | None, int | None]:
        """Dimensions of the dense and of the token vectors, found by running one token."""
        dense, tokens, _ = self(torch.zeros(1, dtype=torch.long), Layout.of([1]))
        return (
            None if dense is None else int(dense.shape[1]),
            None if tokens is None else int(tokens.shape[1]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """All that a checkpoint says, read and checked.

    Attributes:
        name: to show: a folder or a Hub id.
        network: in float32 on the CPU.
        tokenizer: without truncation and padding.
        vocabulary: hex digest of what the tokenizer was made from.
        fingerprint: set where the format has one of its own; else `fingerprint_of` decides.
    """

    name: str
    network: Network
    tokenizer: Tokenizer
    vocabulary: str
    document: Side
    query: Side
    fingerprint: str | None = None


def fingerprint_of(checkpoint: Checkpoint) -> str:
    """Hex digest of all that decides the vectors, whatever files it came in.

    Settings at their defaults are left out, so that a setting that a later release brings does not
    change the fingerprint of what could be made before.
    """
    network = checkpoint.network
    config = network.trunk.config
    digest = hashlib.sha256()
    parts = (
        [config.layer_kinds, config.num_heads, config.window, config.global_theta],
        [config.local_theta, config.norm_eps, config.activation],
        [_structure(network.dense), _structure(network.tokens)],
        [_settings(checkpoint.document), _settings(checkpoint.query), checkpoint.vocabulary],
    )
    digest.update(repr(parts).encode("utf-8", "surrogatepass"))
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"\0{name} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().float().contiguous().numpy().data)
    return digest.hexdigest()


def _structure(head: nn.Module | None) -> list[tuple[Any, ...]]:
    """A head's modules by name and class, with what is not among their weights."""
    told = ("modes", "include_prompt", "add_input")
    return [
        (name, type(module).__name__, *(getattr(module, key, None) for key in told))
        for name, module in (() if head is None else head.named_modules())
    ]


def _settings(side: Side) -> list[tuple[str, Any]]:
    values = ((field, getattr(side, field.name)) for field in fields(side))
    return [(field.name, value) for field, value in values if value != field.default]
