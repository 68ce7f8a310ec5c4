"""What the student is pulled towards: the teachers' vectors, and the answers of known pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.distillation.teacher_outputs import TeacherOutput
from retrieval.encoders.model.attention import Layout
from retrieval.train.ranking import maxsim_matrix, min_max, ranking_distillation_loss
from retrieval.train.student import Output

DENSE_TEMPERATURE = 0.05
LATE_TEMPERATURE = 0.02

TOKEN, POOLED, LATE = 1.0, 2.0, 0.5
"""What each distance counts in a teacher's loss."""


@dataclass(frozen=True, slots=True)
class Share:
    """What part of a step's tokens and texts a batch has, where processes share the step."""

    tokens: float = 1.0
    texts: float = 1.0


WHOLE = Share()


def teachers_loss(
    out: Output,
    outputs: Sequence[TeacherOutput],
    weights: Sequence[float],
    projections: Sequence[Tensor | None],
    layout: Layout,
    axes: Tensor,
    *,
    layerwise: float = 0.0,
    share: Share = WHOLE,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the teachers' losses, each by its weight.

    The token head and the inner layers learn from the first teacher alone.

    Returns:
        The loss, and its parts for the log; from the second teacher on with the teacher's number.
    """
    losses: list[Tensor] = []
    named: dict[str, Tensor] = {}
    for number, (output, weight, projection) in enumerate(
        zip(outputs, weights, projections, strict=True), start=1
    ):
        loss, parts = distillation_loss(
            out,
            output,
            layout,
            axes if number == 1 else None,
            projection=projection,
            layerwise=layerwise,
            share=share,
        )
        losses.append(weight * loss)
        suffix = "" if number == 1 else f"_{number}"
        named |= {f"{part}{suffix}": value for part, value in parts.items()}
    return torch.stack(losses).sum(), named


def distillation_loss(
    out: Output,
    output: TeacherOutput,
    layout: Layout,
    axes: Tensor | None = None,
    *,
    projection: Tensor | None = None,
    layerwise: float = 0.0,
    share: Share = WHOLE,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Cosine distances to one teacher: token by token, pooled, and of the token head.

    Args:
        axes: f32 [d, D], the teacher's principal axes: the token head learns its projection. None
            leaves the token head out.
        projection: f32 [D, E], from the student's vectors to the teacher's space; None is none.
        layerwise: weight of the distance between hidden layers and the teacher's at the same
            depth; without effect where the two are of other widths.
        share: of the step; a mean over the batch counts as the batch's part of the step's mean.

    Returns:
        The loss, and its parts for the log.
    """
    parts: dict[str, Tensor] = {}
    loss = out.dense.new_zeros(())
    if output.hidden is not None:
        own = _projected(out.hidden.float(), projection)
        parts["token"] = share.tokens * _distance(own, output.hidden)
        loss = loss + TOKEN * parts["token"]
    if output.pooled is not None:
        parts["pooled"] = share.texts * _distance(_projected(out.dense, projection), output.pooled)
        loss = loss + POOLED * parts["pooled"]
    if output.hidden is not None and axes is not None:
        unit = F.normalize(output.hidden, dim=-1)
        parts["late"] = share.tokens * _distance(out.tokens, unit @ axes.T)
        loss = loss + LATE * parts["late"]
    pairs = matched_layers(len(out.states), len(output.states))
    if layerwise and pairs and out.states[0].shape[1] == output.states[0].shape[1]:
        distances = [
            _distance(out.states[own].float(), output.states[other].float()) for own, other in pairs
        ]
        loss = loss + layerwise * share.tokens * torch.stack(distances).sum()
    return loss, parts


def _distance(own: Tensor, wanted: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(own, wanted, dim=-1).mean()


def _projected(vectors: Tensor, projection: Tensor | None) -> Tensor:
    return vectors if projection is None else F.linear(vectors.float(), projection)


def matched_layers(own: int, teacher: int) -> list[tuple[int, int]]:
    """Inner layers at the same depth of a student of `own` layers and of its teacher.

    As many as the shallower one has, without the last, whose output has losses of its own.
    """
    depth = min(own, teacher)
    return [
        (round(own * at / depth) - 1, round(teacher * at / depth) - 1) for at in range(1, depth)
    ]


def teachers_ranking(
    outputs: Sequence[TeacherOutput], weights: Sequence[float], layout: Layout, count: int
) -> Tensor:
    """What teachers think of texts for queries: f32 [count, count], higher is better.

    Each similarity, of a teacher's pooled vectors and of its tokens, is moved to the range from 0
    to 1, query by query; they are added by the teachers' weights.

    Args:
        outputs: of `count` queries followed by `count` texts.
    """
    lengths = list(layout.lengths)
    scores: list[Tensor] = []
    for output, weight in zip(outputs, weights, strict=True):
        if output.pooled is not None:
            pooled = F.normalize(output.pooled, dim=-1)
            scores.append(weight * min_max(pooled[:count] @ pooled[count:].T))
        if output.hidden is not None:
            hidden = torch.split(F.normalize(output.hidden, dim=-1), lengths)
            scores.append(weight * min_max(maxsim_matrix(hidden[:count], hidden[count:])))
    return torch.stack(scores).sum(0)


def pair_losses(
    pooled: Tensor, tokens: Tensor, wanted: Tensor, layout: Layout
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Losses of queries followed by as many texts that answer them.

    Args:
        pooled: f32 [2 n, D], the student's dense vectors.
        tokens: f32 [T, d], its token vectors.
        wanted: f32 [n, n], the teachers' ranking.

    Returns:
        The contrast with the batch's other texts, for each head, and the distance from the
        teachers' ranking of them.
    """
    count = len(wanted)
    own = torch.split(tokens, list(layout.lengths))
    dense = pooled[:count] @ pooled[count:].T
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


def needle_loss(
    queries: Sequence[Sequence[Tensor]],
    weights: Sequence[Sequence[Tensor]],
    own: Sequence[Tensor],
    changed: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the text that says what is asked for against the same with a word changed.

    Args:
        queries: f32 [l, d] of each query, by text; there is one at least. Every first one asks for
            what stands in `own`, every second one for what stands in `changed`.
        weights: f32 [l], what each of their tokens counts; 1 on average.
        own: f32 [L, d] of each text.
        changed: the same of each with some words changed.

    Returns:
        The mean loss, and the share of queries for which the right text is ahead.
    """
    ahead: list[Tensor] = []
    for asked, counts, text, other in zip(queries, weights, own, changed, strict=True):
        if not asked:
            continue
        tokens, count = torch.cat(list(asked)), torch.cat(list(counts))
        by = (tokens @ text.T).amax(1) - (tokens @ other.T).amax(1)
        parts = torch.split(count * by, [len(query) for query in asked])
        means = torch.stack([part.mean() for part in parts])
        sign = 1 - 2 * (torch.arange(len(means), device=means.device) % 2)
        ahead.append(sign * means)
    by_query = torch.cat(ahead)
    return F.softplus(-by_query / LATE_TEMPERATURE).mean(), (by_query > 0).float().mean()


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
