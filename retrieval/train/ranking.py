"""Ranking losses: imitating a teacher's ranking, and ranking judged texts first.

All take similarities of n queries and texts from the heads: cosines of pooled vectors, or
MaxSim averaged over a query's tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def min_max(scores: Tensor) -> Tensor:
    """Each row [n, c] scaled to the range from 0 to 1; a row of equal scores becomes 0."""
    low, high = scores.amin(1, keepdim=True), scores.amax(1, keepdim=True)
    return (scores - low) / (high - low).clamp_min(1e-6)


def ranking_distillation_loss(
    scores: Tensor, teacher: Tensor, *, temperature: float, teacher_temperature: float
) -> Tensor:
    """KL divergence of the student's distribution over candidates from the teacher's.

    Args:
        scores: f32 [n, c], the student's scores of each query's candidates.
        teacher: f32 [n, c], the teacher's scores, on any scale, such as `min_max`'s.
        temperature: temperature of the student's softmax.
        teacher_temperature: temperature of the teacher's softmax.

    Returns:
        The mean over the queries.
    """
    wanted = F.softmax(teacher / teacher_temperature, 1)
    return F.kl_div(F.log_softmax(scores / temperature, 1), wanted, reduction="batchmean")


def ranking_contrastive_loss(
    scores: Tensor, own: Tensor, allowed: Tensor, *, temperature: float
) -> Tensor:
    """Cross-entropy of each query's own text against hard negatives and the batch's other texts.

    Args:
        scores: f32 [n, m].
        own: i64 [n], the column of each query's text.
        allowed: bool [n, m], False for texts that must not be negatives: other texts that are
            judged to answer the query too. A query's own text is always included.
    """
    allowed = allowed.scatter(1, own[:, None], True)
    return F.cross_entropy((scores / temperature).masked_fill(~allowed, -1e30), own)


def anchor_loss(
    dense: Tensor, tokens: Tensor, dense_before: Tensor, tokens_before: Tensor
) -> Tensor:
    """Cosine distances of both heads' vectors to the starting model's.

    Args:
        dense, dense_before: f32 [n, D], unit length.
        tokens, tokens_before: f32 [T, d], unit length.
    """
    moved = (dense * dense_before).sum(1), (tokens * tokens_before).sum(1)
    return 2 - moved[0].mean() - moved[1].mean()


def maxsim_matrix(queries: Sequence[Tensor], texts: Sequence[Tensor]) -> Tensor:
    """[n, m]: mean over query i's tokens of the best similarity with a token of text j."""
    similar = torch.cat(list(queries)) @ torch.cat(list(texts)).T
    by_text = torch.split(similar, [len(text) for text in texts], dim=1)
    best = torch.stack([part.amax(1) for part in by_text], 1)
    by_query = torch.split(best, [len(query) for query in queries])
    return torch.stack([part.mean(0) for part in by_query])
