"""What the student is pulled towards: the teacher's vectors, and the answers of known pairs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.encoders.attention import Layout
from retrieval.encoders.heads import mean_pool
from retrieval.train.ranking import min_max, ranking_distillation_loss
from retrieval.train.student import Output
from retrieval.train.teacher import Targets

DENSE_TEMPERATURE = 0.05
LATE_TEMPERATURE = 0.02


def distillation_loss(
    out: Output, targets: Targets, layout: Layout, axes: Tensor, *, layerwise: float = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """Cosine distances to the teacher: token by token, pooled, and of the token head.

    Args:
        axes: f32 [d, D], the teacher's principal axes: the token head learns its projection.
        layerwise: weight of the distance between hidden layers and the teacher's at the same
            depth; without effect where the two are of other widths.

    Returns:
        The loss, and its parts for the log.
    """
    unit = F.normalize(targets.hidden, dim=-1)
    parts = {
        "token": 1 - F.cosine_similarity(out.hidden.float(), targets.hidden).mean(),
        "pooled": 1
        - F.cosine_similarity(out.dense, mean_pool(targets.hidden, layout), dim=-1).mean(),
        "late": 1 - F.cosine_similarity(out.tokens, unit @ axes.T).mean(),
    }
    loss = parts["token"] + 2 * parts["pooled"] + 0.5 * parts["late"]
    pairs = matched_layers(len(out.states), len(targets.states))
    if layerwise and pairs and out.states[0].shape[1] == targets.states[0].shape[1]:
        distances = [
            1 - F.cosine_similarity(out.states[own].float(), targets.states[other].float()).mean()
            for own, other in pairs
        ]
        loss = loss + layerwise * torch.stack(distances).sum()
    return loss, parts


def matched_layers(own: int, teacher: int) -> list[tuple[int, int]]:
    """Inner layers at the same depth of a student of `own` layers and of its teacher.

    As many as the shallower one has, without the last, whose output has losses of its own.
    """
    depth = min(own, teacher)
    return [
        (round(own * at / depth) - 1, round(teacher * at / depth) - 1) for at in range(1, depth)
    ]


def pair_losses(
    out: Output, targets: Targets, layout: Layout, count: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Losses of `count` queries followed by the `count` texts that answer them.

    Returns:
        The contrast with the batch's other texts, for each head, and the distance from the
        teacher's ranking of them; the teacher ranks by the sum of its pooled and token similarity.
    """
    lengths = list(layout.lengths)
    own = torch.split(out.tokens, lengths)
    hidden = torch.split(F.normalize(targets.hidden, dim=-1), lengths)
    pooled = F.normalize(mean_pool(targets.hidden, layout), dim=-1)
    with torch.no_grad():
        wanted = min_max(pooled[:count] @ pooled[count:].T)
        wanted = wanted + min_max(maxsim_matrix(hidden[:count], hidden[count:]))
    dense = out.dense[:count] @ out.dense[count:].T
    late = maxsim_matrix(own[:count], own[count:])
    contrast = {
        "pair_dense": symmetric_contrast(dense / DENSE_TEMPERATURE),
        "pair_late": contrast_of(late / LATE_TEMPERATURE),
    }
    ranking = {
        name: ranking_distillation_loss(
            scores,
            in_range_of(scores, wanted),
            temperature=temperature,
            teacher_temperature=temperature,
        )
        for name, scores, temperature in (
            ("rank_dense", dense, DENSE_TEMPERATURE),
            ("rank_late", late, LATE_TEMPERATURE),
        )
    }
    return contrast, ranking


def contrast_of(scores: Tensor) -> Tensor:
    """Cross-entropy of each query's own text against the batch's others: [n, n] to a scalar."""
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def symmetric_contrast(scores: Tensor) -> Tensor:
    """The same both ways: each text's own query against the others as well."""
    return (contrast_of(scores) + contrast_of(scores.T)) / 2


def in_range_of(scores: Tensor, teacher: Tensor) -> Tensor:
    """The teacher's similarities [n, m], each row as far apart as the student's own.

    A teacher's sums and a student's similarities share no scale: what is learnt then is the order
    and the relative distances, and the contrast decides how far they are apart.
    """
    own = scores.detach()
    return min_max(teacher) * (own.amax(1, keepdim=True) - own.amin(1, keepdim=True))


def maxsim_matrix(queries: Sequence[Tensor], texts: Sequence[Tensor]) -> Tensor:
    """[n, m]: mean over query i's tokens of the best similarity with a token of text j."""
    similar = torch.cat(list(queries)) @ torch.cat(list(texts)).T
    by_text = torch.split(similar, [len(text) for text in texts], dim=1)
    best = torch.stack([part.amax(1) for part in by_text], 1)
    by_query = torch.split(best, [len(query) for query in queries])
    return torch.stack([part.mean(0) for part in by_query])
