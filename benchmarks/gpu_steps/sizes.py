"""How much each step measures: enough to load a GPU, or as little as a test needs."""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.encoders.model.config import ModernBertConfig


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of all steps.

    Attributes:
        models: shapes by name: `base` and `large` as published, `embedded` as in this package.
        lengths: tokens of the sequences on which outputs are checked.
        short, long: (number of texts, tokens of the longest) for measuring throughput.
        batches: batch sizes to try with peers, for short and for long texts.
        seconds: least duration of measuring one speed.
        matrix: side of the matrices of the first step.
        passages: number of passages of a search.
        passage_tokens: their mean length.
        queries: queries of a batch.
        query_tokens: tokens of a query.
        dense: (vectors, dimensions) of a dense search.
        train_tokens: tokens of a training step.
        train_seconds: how long the recipe is trained.
    """

    models: dict[str, ModernBertConfig]
    lengths: tuple[int, ...]
    short: tuple[int, int]
    long: tuple[int, int]
    batches: tuple[tuple[int, ...], tuple[int, ...]]
    seconds: float
    matrix: int
    passages: int
    passage_tokens: int
    queries: int
    query_tokens: int
    dense: tuple[int, int]
    train_tokens: int
    train_seconds: float


def shape(vocabulary: int, hidden: int, inner: int, layers: int, heads: int) -> ModernBertConfig:
    """A ModernBERT whose every third layer is global, as in all published ones."""
    kinds = tuple("local" if layer % 3 else "global" for layer in range(layers))
    return ModernBertConfig(vocabulary, hidden, inner, layers, heads, kinds)  # type: ignore[arg-type]


REAL = Sizes(
    models={
        "base": shape(50_368, 768, 1152, 22, 12),
        "large": shape(50_368, 1024, 2624, 28, 16),
        "embedded": shape(30_522, 384, 768, 6, 6),
    },
    lengths=(8192, 1, 2, 63, 64, 65, 127, 128, 129, 130, 511, 777, 1500, 3),
    short=(4_096, 512),
    long=(96, 8_192),
    batches=((32, 128, 512), (4, 16)),
    seconds=1.0,
    matrix=8_192,
    passages=1_000_000,
    passage_tokens=150,
    queries=32,
    query_tokens=32,
    dense=(1_000_000, 384),
    train_tokens=32_768,
    train_seconds=12.0,
)
"""Base and large are those of Warner et al. (2024). Ids beyond the tokenizer's are never used."""

DRY = Sizes(
    models={
        name: shape(30_522, 128, 64 * wide, 4, 2)
        for name, wide in (("base", 1), ("large", 2), ("embedded", 3))
    },
    lengths=(300, 1, 2, 63, 64, 65, 129, 3),
    short=(12, 64),
    long=(3, 400),
    batches=((4, 8), (2,)),
    seconds=0.0,
    matrix=64,
    passages=40,
    passage_tokens=12,
    queries=3,
    query_tokens=5,
    dense=(200, 32),
    train_tokens=128,
    train_seconds=0.5,
)
