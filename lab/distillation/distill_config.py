"""Settings of distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DistillConfig:
    """Settings of a distillation run.

    Attributes:
        tokens: tokens of text to see in all, pairs included.
        batch_tokens: tokens of one step.
        pairs: pairs of query and text added to a step, after `pairs_from` of the run.
        pairs_from: share of the run without pairs and long texts.
        pair_weight: weight of the contrast between the pairs.
        rank_weight: weight of the teachers' ranking of a batch's texts for each of its queries.
        needle_weight: weight of telling passages of long texts from the same with a word changed,
            if `distill` is given the words; 0 leaves it out.
        long_every: one step of so many is on long texts, after `pairs_from` of the run; 0 for none.
        long_odds: how many times as often a length of long texts (512, 1,024 and so on to 8,192
            tokens) is drawn as the one half as long.
        muon: peak learning rate of the trunk's matrices, which Muon updates.
        adam: peak learning rate of everything else, which AdamW updates.
        embedding: factor on `adam` for the embedding table; 0 freezes it as the teacher has it.
        layerwise: weight of the inner layers' distances to the first teacher's, in the first half
            of the run.
        axes: what the token head learns: the first teacher's `principal` axes, from which it then
            starts, or those nearest to what an already trained student does (`fitted`).
        decay: share of the run in which the learning rate falls.
        seed: of the order of texts and pairs.
        checkpoint_seconds: time between two checkpoints.
    """

    tokens: int = 9_000_000
    batch_tokens: int = 4096
    pairs: int = 32
    pairs_from: float = 0.5
    pair_weight: float = 0.1
    rank_weight: float = 0.2
    needle_weight: float = 0.5
    long_every: int = 8
    long_odds: float = 0.5
    muon: float = 1e-2
    adam: float = 1.5e-3
    embedding: float = 0.0
    layerwise: float = 0.3
    axes: Literal["principal", "fitted"] = "principal"
    decay: float = 0.4
    seed: int = 0
    checkpoint_seconds: float = 300.0
