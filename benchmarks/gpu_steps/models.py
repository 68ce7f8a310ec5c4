"""Models of the published shapes with random weights, and texts of given numbers of tokens."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from gpu_steps.reporting import Run
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.heads import PooledHead
from retrieval.encoders.model.modernbert import ModernBert
from retrieval.encoders.model.network import Checkpoint, Network
from retrieval.encoders.model_folder import TOKENIZER_FILE
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.encoders.sides import Side
from retrieval.encoders.tokenization import load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = 2
"""Tokens around a text: [CLS] and [SEP]."""


@functools.cache
def tokenizer() -> Tokenizer:
    """The embedded model's, which is BERT's; the only one that is at hand without a network."""
    return load_tokenizer(embedded_folder() / TOKENIZER_FILE)


@functools.cache
def trunk(config: ModernBertConfig) -> ModernBert:
    """A trunk of that shape with random weights, in float32 on the CPU."""
    with torch.device("meta"):
        made = ModernBert(config)
    made.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0)
            else:  # as large as a trained model's, so that layers do more than pass on
                parameter.normal_(0.0, 1.2 * parameter.shape[1] ** -0.5, generator=generator)
    return made.eval().requires_grad_(False)


def encoder(run: Run, config: ModernBertConfig, *, longest: int) -> TorchEncoder:
    """Mean pooling over a trunk of that shape, on the run's device, in half precision on a GPU."""
    side = Side(longest)
    checkpoint = Checkpoint(
        name="random",
        network=Network(copy.deepcopy(trunk(config)), PooledHead()),
        tokenizer=tokenizer(),
        vocabulary="BERT",
        document=side,
        query=side,
        fingerprint="random",
    )
    return TorchEncoder(checkpoint, device=run.device)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts, and how many tokens each has, special ones included."""

    texts: list[str]
    lengths: list[int]

    @property
    def tokens(self) -> int:
        """In all."""
        return sum(self.lengths)


def mixed(count: int, longest: int) -> Texts:
    """Texts of mixed lengths: normal about half of the longest, a quarter of it wide.

    So Warner et al. (2024) measure texts of variable length; the width is ours.
    """
    random = np.random.default_rng(0)
    drawn = random.normal(longest / 2, longest / 4, count).round().clip(8, longest)
    return of_lengths(drawn.astype(int).tolist(), longest)


def of_lengths(lengths: Sequence[int], longest: int) -> Texts:
    """Texts of about so many tokens, out of this project's documentation.

    What is counted is what an encoder reads that cuts texts at `longest` tokens.
    """
    text, spans = _prose()
    random = np.random.default_rng(1)
    made = []
    for length in lengths:
        own = max(1, length - SPECIAL)
        first = int(random.integers(0, len(spans) - own))
        made.append(text[spans[first, 0] : spans[first + own - 1, 1]])
    counted = [len(one.ids) for one in tokenizer().encode_batch_fast(made)]
    return Texts(made, [min(length, longest) for length in counted])


def ids(lengths: Sequence[int]) -> torch.Tensor:
    """Random token ids of sequences of these lengths: i64 [T]."""
    generator = torch.Generator().manual_seed(2)
    return torch.randint(999, 30_000, (sum(lengths),), generator=generator)


@functools.cache
def _prose() -> tuple[str, np.ndarray]:
    """The documentation as one text, long enough, and its tokens' characters: i64 [t, 2]."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    encoding = tokenizer().encode(text, add_special_tokens=False)
    return text, np.array(encoding.offsets, np.int64)
