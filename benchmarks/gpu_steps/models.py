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
SPECIAL_TOKENS = 2
"""Tokens around a text: [CLS] and [SEP]."""


@functools.cache
def embedded_tokenizer() -> Tokenizer:
    """The embedded model's tokenizer, which is BERT's and needs no download."""
    return load_tokenizer(embedded_folder() / TOKENIZER_FILE)


@functools.cache
def random_trunk(config: ModernBertConfig) -> ModernBert:
    """A trunk of that shape with random weights, in float32 on the CPU."""
    with torch.device("meta"):
        trunk = ModernBert(config)
    trunk.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trunk.parameters():
            if parameter.ndim < 2:
                parameter.fill_(1.0)
            else:  # as large as a trained model's, so that layers change their input
                parameter.normal_(0.0, 1.2 * parameter.shape[1] ** -0.5, generator=generator)
    return trunk.eval().requires_grad_(False)


def random_encoder(run: Run, config: ModernBertConfig, *, longest: int) -> TorchEncoder:
    """Mean pooling over a random trunk, on the run's device, in half precision on a GPU."""
    side = Side(longest)
    checkpoint = Checkpoint(
        name="random",
        network=Network(copy.deepcopy(random_trunk(config)), PooledHead()),
        tokenizer=embedded_tokenizer(),
        vocabulary="BERT",
        document=side,
        query=side,
        fingerprint="random",
    )
    return TorchEncoder(checkpoint, device=run.device)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts, and how many tokens each has, special tokens included."""

    texts: list[str]
    lengths: list[int]

    @property
    def tokens(self) -> int:
        """Number of tokens of all texts."""
        return sum(self.lengths)


def mixed_texts(count: int, longest: int) -> Texts:
    """Texts of normally distributed lengths: mean half of `longest`, deviation a quarter of it.

    So Warner et al. (2024) measure texts of variable length; the deviation is ours.
    """
    rng = np.random.default_rng(0)
    lengths = rng.normal(longest / 2, longest / 4, count).round().clip(8, longest)
    return texts_of_lengths(lengths.astype(int).tolist(), longest)


def texts_of_lengths(lengths: Sequence[int], longest: int) -> Texts:
    """Texts of about so many tokens each, taken from this project's documentation.

    The lengths of the result are what an encoder reads that truncates texts at `longest` tokens.
    """
    text, spans = _prose()
    rng = np.random.default_rng(1)
    texts = []
    for length in lengths:
        size = max(1, length - SPECIAL_TOKENS)
        first = int(rng.integers(0, len(spans) - size))
        texts.append(text[spans[first, 0] : spans[first + size - 1, 1]])
    actual = [len(encoding.ids) for encoding in embedded_tokenizer().encode_batch_fast(texts)]
    return Texts(texts, [min(length, longest) for length in actual])


def random_ids(lengths: Sequence[int]) -> torch.Tensor:
    """Random token ids of sequences of these lengths, i64 [T]."""
    generator = torch.Generator().manual_seed(2)
    return torch.randint(999, 30_000, (sum(lengths),), generator=generator)


@functools.cache
def _prose() -> tuple[str, np.ndarray]:
    """The documentation as one text, and the character span of each token, i64 [t, 2]."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    encoding = embedded_tokenizer().encode(text, add_special_tokens=False)
    return text, np.array(encoding.offsets, np.int64)
