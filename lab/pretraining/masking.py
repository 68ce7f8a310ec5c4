"""Masked language modelling: which tokens are hidden, the network that guesses them, its loss.

Of the tokens that are no special ones, 30 % are to be guessed (Wettig et al., "Should You Mask 15%
in Masked Language Modeling?", 2022; ModernBERT takes the same share). As in BERT (Devlin et al.,
2018), and in ModernBERT's own code (`mlm_masking` in its sequence_packer.py), 80 % of these are
replaced by [MASK], 10 % by a random token, and 10 % stay. There is no next-sentence prediction.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.modernbert import MaskedLMHead, ModernBert
from retrieval.errors import CheckpointError, InputError


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """A batch of T tokens, m of which are to be predicted.

    Attributes:
        ids: i64 [T], the input of the network.
        positions: i64 [m], ascending, of the tokens to predict.
        targets: i64 [m], the original tokens there.
    """

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    targets: NDArray[np.int64]


class Masking:
    """Masks a share of the tokens of a batch.

    Args:
        mask_id: of [MASK].
        special: ids that are never masked and never used as random replacements.
        vocab_size: ids run from 0 to this.
        share: of the tokens that are not special, to be predicted.
        masked, random: shares of these that are replaced by [MASK], and by a random token.

    Raises:
        InputError: a share is not between 0 and 1, or every id is special.
    """

    def __init__(
        self,
        mask_id: int,
        special: Collection[int],
        vocab_size: int,
        *,
        share: float = 0.3,
        masked: float = 0.8,
        random: float = 0.1,
    ) -> None:
        if not 0 < share <= 1 or min(masked, random) < 0 or masked + random > 1:
            raise InputError(
                f"a share of {share} to guess, {masked} of it masked and {random} random: "
                "expected shares between 0 and 1, the last two together at most 1"
            )
        self.mask_id, self.share, self.masked, self.random = mask_id, share, masked, random
        self._special = np.zeros(vocab_size, dtype=bool)
        self._special[[mask_id, *special]] = True
        self._ordinary = np.flatnonzero(~self._special)
        if not len(self._ordinary):
            raise InputError(f"all {vocab_size} tokens are special, expected some that are not")

    def __call__(self, ids: NDArray[Any], rng: np.random.Generator) -> Masked:
        """Mask tokens of a batch, integers [T].

        The share is met to the token over the whole batch, with at least one token to predict if
        any may be.
        """
        ids = ids.astype(np.int64)
        candidates = np.flatnonzero(~self._special[ids])
        count = min(max(round(self.share * len(candidates)), 1), len(candidates))
        chosen = rng.permutation(candidates)[:count]
        mask_count = round(self.masked * count)
        random_end = mask_count + round(self.random * count)
        input_ids = ids.copy()
        input_ids[chosen[:mask_count]] = self.mask_id
        input_ids[chosen[mask_count:random_end]] = rng.choice(
            self._ordinary, len(chosen[mask_count:random_end])
        )
        positions = np.sort(chosen)
        return Masked(input_ids, positions, ids[positions])


class MaskedLM(nn.Module):
    """A trunk and the head that predicts masked tokens.

    Args:
        tied: whether the decoder's matrix is the embedding table itself, as in ModernBERT.
    """

    def __init__(self, config: ModernBertConfig, *, tied: bool = True) -> None:
        super().__init__()
        self.tied = tied
        self.trunk = ModernBert(config)
        self.lm_head = MaskedLMHead(config)
        if tied:
            self.lm_head.decoder.weight = self.trunk.embeddings.tok_embeddings.weight

    def forward(self, ids: Tensor, layout: Layout, positions: Tensor) -> Tensor:
        """Logits over the vocabulary, at the given positions only, to save time and memory.

        Args:
            ids: i64 [T], the sequences of `layout` one after the other.
            layout: lengths of the sequences.
            positions: i64 [m] in the flat batch.

        Returns:
            [m, vocab].
        """
        logits: Tensor = self.lm_head(self.trunk(ids, layout)[positions])
        return logits

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Small random weights, the head's as small as those back into the residual stream."""
        generator = torch.Generator().manual_seed(seed)
        self.trunk.initialise(generator)
        config = self.trunk.config
        std = config.initializer_range * (2.0 * config.num_layers) ** -0.5
        for name, parameter in self.lm_head.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            elif not (self.tied and name == "decoder.weight"):
                nn.init.trunc_normal_(
                    parameter, std=std, a=-2 * std, b=2 * std, generator=generator
                )

    def named_weights(self) -> dict[str, Tensor]:
        """Every weight once, under the names of `ModernBertForMaskedLM` in transformers."""
        weights = {f"model.{name}": tensor for name, tensor in self.trunk.state_dict().items()}
        weights |= self.lm_head.state_dict()
        if self.tied:
            del weights["decoder.weight"]
        return weights


def masked_lm_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy summed over the m tokens to predict, in f32, so that parts of a batch add up.

    Args:
        logits: [m, vocab].
        targets: i64 [m].
    """
    return F.cross_entropy(logits.float(), targets, reduction="sum")


def special_ids(vocabulary: dict[str, int]) -> dict[str, int]:
    """The ids of [CLS], [SEP], [MASK], [PAD] and [UNK], as far as the vocabulary has them.

    Raises:
        CheckpointError: one of the first three is missing.
    """
    ids: dict[str, int] = {
        word: vocabulary[word]
        for word in ("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]")
        if word in vocabulary
    }
    missing = [word for word in ("[CLS]", "[SEP]", "[MASK]") if word not in ids]
    if missing:
        raise CheckpointError(
            f"the tokenizer has no {', '.join(missing)}: masked language modelling begins and "
            "ends each text with [CLS] and [SEP] and hides tokens behind [MASK]"
        )
    return ids
