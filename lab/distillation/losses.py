"""The student's losses: distances to the teachers' vectors, and contrast between known pairs."""

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

TOKEN_WEIGHT, POOLED_WEIGHT, LATE_WEIGHT = 1.0, 2.0, 0.5
"""The weight of each distance in a teacher's loss."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of a step's tokens and texts that a batch has, where processes share the step."""

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
    """Cosine distances to one teacher: of tokens, of pooled vectors, and of the token head.

    Args:
        out: of the student.
        output: of the teacher.
        layout: lengths of the texts.
        axes: f32 [d, D], the teacher's principal axes: the token head learns the projection onto
            them. None leaves the token head out.
        projection: f32 [D, E], from the student's vectors to the teacher's space, if needed.
        layerwise: weight of the distance between hidden layers and the teacher's at the same
            depth; without effect where their widths differ.
        share: of the step; a mean over the batch counts as the batch's part of the step's mean.

    Returns:
        The loss, and its parts for the log.
    """
    parts: dict[str, Tensor] = {}
    loss = out.dense.new_zeros(())
    if output.hidden is not None:
        student_hidden = _projected(out.hidden.float(), projection)
        parts["token"] = share.tokens * _distance(student_hidden, output.hidden)
        loss = loss + TOKEN_WEIGHT * parts["token"]
    if output.pooled is not None:
        parts["pooled"] = share.texts * _distance(_projected(out.dense, projection), output.pooled)
        loss = loss + POOLED_WEIGHT * parts["pooled"]
    if output.hidden is not None and axes is not None:
        unit = F.normalize(output.hidden, dim=-1)
        parts["late"] = share.tokens * _distance(out.tokens, unit @ axes.T)
        loss = loss + LATE_WEIGHT * parts["late"]
    pairs = matched_layers(len(out.states), len(output.states))
    if layerwise and pairs and out.states[0].shape[1] == output.states[0].shape[1]:
        distances = [
            _distance(out.states[layer].float(), output.states[other].float())
            for layer, other in pairs
        ]
        loss = loss + layerwise * share.tokens * torch.stack(distances).sum()
    return loss, parts


def _distance(vectors: Tensor, targets: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(vectors, targets, dim=-1).mean()


def _projected(vectors: Tensor, projection: Tensor | None) -> Tensor:
    return vectors if projection is None else F.linear(vectors.float(), projection)


def matched_layers(student: int, teacher: int) -> list[tuple[int, int]]:
    """Inner layers at the same depth of a student and a teacher with so many layers.

    As many as the shallower one has, without the last, whose output has losses of its own.
    """
    depth = min(student, teacher)
    return [
        (round(student * level / depth) - 1, round(teacher * level / depth) - 1)
        for level in range(1, depth)
    ]


def teacher_scores(
    outputs: Sequence[TeacherOutput], weights: Sequence[float], layout: Layout, count: int
) -> Tensor:
    """The teachers' scores of texts for queries: f32 [count, count], higher is better.

    Each similarity, of a teacher's pooled vectors and of its tokens, is scaled to the range from 0
    to 1 for each query; they are added with the teachers' weights.

    Args:
        outputs: of `count` queries followed by `count` texts.
        weights: of the teachers.
        layout: lengths of all of them.
        count: number of queries.
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
    pooled: Tensor, tokens: Tensor, teacher_ranking: Tensor, layout: Layout
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Losses of queries followed by as many texts that answer them.

    Args:
        pooled: f32 [2 n, D], the student's dense vectors.
        tokens: f32 [T, d], its token vectors.
        teacher_ranking: f32 [n, n], the teachers' scores.
        layout: lengths of queries and texts.

    Returns:
        The contrast with the batch's other texts, for each head, and the distance from the
        teachers' ranking of them.
    """
    count = len(teacher_ranking)
    token_vectors = torch.split(tokens, list(layout.lengths))
    dense = pooled[:count] @ pooled[count:].T
    late = maxsim_matrix(token_vectors[:count], token_vectors[count:])
    contrast = {
        "pair_dense": symmetric_contrastive_loss(dense / DENSE_TEMPERATURE),
        "pair_late": contrastive_loss(late / LATE_TEMPERATURE),
    }
    ranking = {
        name: ranking_distillation_loss(
            scores,
            scale_to_student(scores, teacher_ranking),
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
    original: Sequence[Tensor],
    changed: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the text that states what is asked against the same with a word changed.

    Args:
        queries: f32 [l, d] of each query, by text; at least one. Of each text, even ones ask for
            what stands in `original`, odd ones for what stands in `changed`.
        weights: f32 [l], the weights of their tokens; 1 on average.
        original: f32 [L, d] of each text.
        changed: the same of each text with some words changed.

    Returns:
        The mean loss, and the share of queries that rank the right text first.
    """
    signed_margins: list[Tensor] = []
    for text_queries, text_weights, text, other in zip(
        queries, weights, original, changed, strict=True
    ):
        if not text_queries:
            continue
        tokens, token_weights = torch.cat(list(text_queries)), torch.cat(list(text_weights))
        margins = (tokens @ text.T).amax(1) - (tokens @ other.T).amax(1)
        parts = torch.split(token_weights * margins, [len(query) for query in text_queries])
        means = torch.stack([part.mean() for part in parts])
        sign = 1 - 2 * (torch.arange(len(means), device=means.device) % 2)
        signed_margins.append(sign * means)
    query_margins = torch.cat(signed_margins)
    return F.softplus(-query_margins / LATE_TEMPERATURE).mean(), (query_margins > 0).float().mean()


def contrastive_loss(scores: Tensor) -> Tensor:
    """Cross-entropy of each query's own text against the batch's others: [n, n] to a scalar."""
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def symmetric_contrastive_loss(scores: Tensor) -> Tensor:
    """The mean of the contrastive losses of queries and of texts."""
    return (contrastive_loss(scores) + contrastive_loss(scores.T)) / 2


def scale_to_student(scores: Tensor, teacher: Tensor) -> Tensor:
    """The teacher's similarities [n, m], each row with the range of the student's.

    Teacher and student similarities have no common scale. So the order and the relative distances
    are learnt, and the contrast decides how far apart they are.
    """
    student = scores.detach()
    return min_max(teacher) * (student.amax(1, keepdim=True) - student.amin(1, keepdim=True))
