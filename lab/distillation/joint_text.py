"""Pairs of a corpus as a student reads them, and teachers' vectors of their windows.

A document of the student has a vector for each window of it, encoded in the context of the whole. A
teacher encodes each window alone, preceded by the document's beginning: what a window is about
often stands in the title, or in a function's signature.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lab.distillation.joint_targets import (
    JointTargets,
    TeacherVectors,
    combine_teachers,
    is_recalled,
    nearest,
)
from lab.running.checkpoint import check_settings
from lab.text.corpus import TokenCorpus
from retrieval.encoders.sides import window_lengths
from retrieval.errors import InputError
from retrieval.ragged import offsets_of
from retrieval.train.teacher_cache import TeacherCache
from retrieval.types import ProgressCallback

CONTEXT_TOKENS = 16
"""Tokens of a document's beginning that a teacher reads before its later windows."""

NEIGHBOURS = 24
RECALL_DEPTH = 20
"""A query is kept if the teachers rank its own text among so many of all texts."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of texts.

    Attributes:
        ids: token ids of each window, special tokens included.
        first: i64 [n + 1]; text i has windows first[i]:first[i + 1].
    """

    ids: list[NDArray[Any]]
    first: NDArray[np.int64]

    @property
    def owner(self) -> NDArray[np.int64]:
        """The text of each window, i64 [w]."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


@dataclass(frozen=True, slots=True)
class JointText:
    """Texts with their targets. Texts without a query are learnt from as well.

    Attributes:
        texts: i64 [n], numbers in the corpus.
        queries: i64 [n], numbers in the corpus, -1 where there is none.
        first: i64 [n + 1]; text i has windows first[i]:first[i + 1].
        query_rows: i64 [n], the row of a text's query in the targets.
        near: i32 [n, k], the most similar texts, best first.
        targets: of the windows and the queries.
    """

    texts: NDArray[np.int64]
    queries: NDArray[np.int64]
    first: NDArray[np.int64]
    query_rows: NDArray[np.int64]
    near: NDArray[np.int32]
    targets: JointTargets


def split_windows(corpus: TokenCorpus, texts: NDArray[np.int64], max_tokens: int) -> Windows:
    """Split texts as the student's documents are, and put their beginning before later windows."""
    windows: list[NDArray[Any]] = []
    counts: list[int] = []
    for text in texts.tolist():
        ids = corpus[text]
        cls, sep, inner = ids[:1], ids[-1:], ids[1:-1]
        lengths = window_lengths(len(ids), max_tokens)
        # In the first and the last window, a special token takes the place of one of the text.
        borders = np.clip(np.cumsum([0, *lengths]) - 1, 0, len(inner))
        for number, (start, stop) in enumerate(itertools.pairwise(borders)):
            context = inner[: min(CONTEXT_TOKENS, start)] if number else inner[:0]
            windows.append(np.concatenate([cls, context, inner[start:stop], sep]))
        counts.append(len(lengths))
    return Windows(windows, offsets_of(counts))


def read_with_teachers(
    corpus: TokenCorpus,
    tokenizer: Tokenizer,
    teachers: Sequence[tuple[TeacherCache, float]],
    *,
    window: int,
    alone: int = 0,
    device: torch.device | str = "cpu",
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> JointText:
    """Have teachers encode the corpus's pairs, and so many texts without a query.

    Args:
        corpus: the texts, with pairs.
        tokenizer: of the corpus's ids.
        teachers: with their weights; the first has the student's space.
        window: most tokens of a student's window.
        alone: how many texts without a query.
        device: for the similarities of all texts with each other.
        seed: of the choice of texts.
        progress: called as the teachers encode.

    Raises:
        InputError: there are no pairs, or a teacher has no dense vectors.
    """
    for cache, _ in teachers:
        if cache.encoder.dense_dim is None:
            raise InputError(f"{cache.encoder.name} has no dense vectors, which are to be learnt")
    if not len(corpus.pairs):
        raise InputError("the corpus has no pairs: make it of records with a `query`")
    query_numbers = set(corpus.pairs[:, 0].tolist())
    answers = dict(zip(corpus.pairs[:, 1].tolist(), corpus.pairs[:, 0].tolist(), strict=True))
    others = [text for text in range(len(corpus)) if text not in query_numbers | answers.keys()]
    chosen = np.random.default_rng(seed).permutation(others)[:alone]
    texts = np.array([*answers, *chosen], np.int64)
    query_texts = np.array([*answers.values()], np.int64)
    windows = split_windows(corpus, texts, window)
    window_strings = tokenizer.decode_batch([ids.tolist() for ids in windows.ids])
    query_strings = tokenizer.decode_batch(
        [corpus[query].tolist() for query in query_texts.tolist()]
    )
    teacher_vectors = [
        _read(cache, weight, window_strings, query_strings, progress) for cache, weight in teachers
    ]
    targets = combine_teachers(teacher_vectors, seed=seed)
    sides = [torch.from_numpy(side).to(device).float() for side in _sides(targets)]
    owner = torch.from_numpy(windows.owner).to(device)
    pair_rows = np.arange(len(query_texts))
    recalled = is_recalled(
        sides[1], sides[0], owner, pair_rows, among=min(RECALL_DEPTH, len(texts) // 4)
    )
    means = sides[0].new_zeros(len(texts), sides[0].shape[1]).index_add(0, owner, sides[0])
    missing = np.full(len(texts), -1)
    queries, rows = missing.copy(), missing.copy()
    queries[pair_rows[recalled]], rows[pair_rows[recalled]] = (
        query_texts[recalled],
        pair_rows[recalled],
    )
    near = nearest(F.normalize(means, dim=1), NEIGHBOURS)
    return JointText(texts, queries, windows.first, rows, near, targets)


def _read(
    cache: TeacherCache,
    weight: float,
    windows: Sequence[str],
    queries: Sequence[str],
    progress: ProgressCallback | None,
) -> TeacherVectors:
    """One teacher's vectors of all windows and queries."""
    cache.add(queries, "query", progress=progress)
    cache.add(windows, "document", progress=progress)
    text_vectors = [cache.get(text, "document").dense for text in windows]
    query_vectors = [cache.get(text, "query").dense for text in queries]
    return TeacherVectors(np.stack(text_vectors), np.stack(query_vectors), weight)  # type: ignore[arg-type]


def _sides(targets: JointTargets) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    return targets.text_sides, targets.query_sides


def save_joint_text(path: Path, text: JointText, settings: Mapping[str, Any]) -> None:
    """Write the texts and targets, at 2 bytes a number.

    Args:
        path: of the file.
        text: what to save.
        settings: plain values that say what it was made from.
    """
    from retrieval.files.whole import replacing

    targets = text.targets
    with replacing(path) as file:
        np.savez(
            file,
            settings=json.dumps(settings, sort_keys=True),
            texts=text.texts,
            queries=text.queries,
            first=text.first,
            asked=text.query_rows,
            near=text.near,
            text_targets=targets.texts,
            query_targets=targets.queries,
            text_sides=targets.text_sides,
            query_sides=targets.query_sides,
        )


def load_joint_text(path: Path, settings: Mapping[str, Any]) -> JointText:
    """Read what `save_joint_text` wrote.

    Raises:
        InputError: the file is damaged.
        CheckpointError: it was made with other settings.
    """
    try:
        with np.load(path) as arrays:
            fields = {name: arrays[name] for name in arrays}
            saved_settings = str(fields.pop("settings"))
            targets = JointTargets(
                fields.pop("text_targets"),
                fields.pop("query_targets"),
                fields.pop("text_sides"),
                fields.pop("query_sides"),
            )
            text = JointText(query_rows=fields.pop("asked"), **fields, targets=targets)
    except Exception as error:  # numpy and zipfile raise whatever the damage leads to
        raise InputError(f"{path} cannot be read ({error}): remove it to make it anew") from None
    check_settings(path, {"settings": saved_settings}, settings)
    return text
