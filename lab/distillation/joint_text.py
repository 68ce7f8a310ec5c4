"""Pairs of a corpus as a student is to read them, and what teachers make of their windows.

A document of the student has a vector for each window of it, read in the context of the whole. A
teacher reads each window alone, below the document's beginning: what a window is about often stands
in the title, or in a function's signature.
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
    Read,
    found_again,
    joint_targets,
    nearest,
)
from lab.running.checkpoint import check_settings
from lab.text.corpus import TokenCorpus
from retrieval.encoders.sides import window_lengths
from retrieval.errors import InputError
from retrieval.ragged import offsets_of
from retrieval.train.teacher_cache import TeacherCache
from retrieval.types import ProgressCallback

BEGINNING = 16
"""Tokens of a document that a teacher reads above its later windows."""

NEIGHBOURS = 24
AMONG = 20
"""A query is kept if its own text is among so many of all texts for the teachers."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of texts.

    Attributes:
        ids: of each window, special tokens included.
        first: i64 [n + 1]; text i has windows first[i]:first[i + 1].
    """

    ids: list[NDArray[Any]]
    first: NDArray[np.int64]

    @property
    def owner(self) -> NDArray[np.int64]:
        """i64 [w]: the text that each is of."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


@dataclass(frozen=True, slots=True)
class JointText:
    """Texts with their targets; a text that no query asks for is learnt from all the same.

    Attributes:
        texts: i64 [n], numbers in the corpus.
        queries: i64 [n], numbers in the corpus, -1 where there is none.
        first: i64 [n + 1], whose windows are which.
        asked: i64 [n], the row of a text's query in the targets.
        near: i32 [n, k], the most similar texts, best first.
    """

    texts: NDArray[np.int64]
    queries: NDArray[np.int64]
    first: NDArray[np.int64]
    asked: NDArray[np.int64]
    near: NDArray[np.int32]
    targets: JointTargets


def windows_of(corpus: TokenCorpus, texts: NDArray[np.int64], most: int) -> Windows:
    """Cut texts as the student's documents are, and put its beginning above each later window."""
    found: list[NDArray[Any]] = []
    counts: list[int] = []
    for text in texts.tolist():
        ids = corpus[text]
        begin, end, inner = ids[:1], ids[-1:], ids[1:-1]
        lengths = window_lengths(len(ids), most)
        # The first and the last window have a special token in the place of one of the text's.
        borders = np.clip(np.cumsum([0, *lengths]) - 1, 0, len(inner))
        for number, (start, stop) in enumerate(itertools.pairwise(borders)):
            above = inner[: min(BEGINNING, start)] if number else inner[:0]
            found.append(np.concatenate([begin, above, inner[start:stop], end]))
        counts.append(len(lengths))
    return Windows(found, offsets_of(counts))


def read_jointly(
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
    """Have teachers read the corpus's pairs, and so many texts that no query asks for.

    Args:
        teachers: with their weights; the first has the student's space.
        window: most tokens of a student's window.
        device: for similarities of everything with everything.

    Raises:
        InputError: there are no pairs, or a teacher has no dense vectors.
    """
    for kept, _ in teachers:
        if kept.encoder.dense_dim is None:
            raise InputError(f"{kept.encoder.name} has no dense vectors, which are to be learnt")
    if not len(corpus.pairs):
        raise InputError("the corpus has no pairs: make it of records with a `query`")
    of_queries = set(corpus.pairs[:, 0].tolist())
    answers = dict(zip(corpus.pairs[:, 1].tolist(), corpus.pairs[:, 0].tolist(), strict=True))
    others = [text for text in range(len(corpus)) if text not in of_queries | answers.keys()]
    chosen = np.random.default_rng(seed).permutation(others)[:alone]
    texts = np.array([*answers, *chosen], np.int64)
    asking = np.array([*answers.values()], np.int64)
    windows = windows_of(corpus, texts, window)
    said = tokenizer.decode_batch([ids.tolist() for ids in windows.ids])
    asked = tokenizer.decode_batch([corpus[query].tolist() for query in asking.tolist()])
    read = [_read(kept, weight, said, asked, progress) for kept, weight in teachers]
    targets = joint_targets(read, seed=seed)
    sides = [torch.from_numpy(side).to(device).float() for side in _sides(targets)]
    owner = torch.from_numpy(windows.owner).to(device)
    own = np.arange(len(asking))
    kept_queries = found_again(sides[1], sides[0], owner, own, among=min(AMONG, len(texts) // 4))
    means = sides[0].new_zeros(len(texts), sides[0].shape[1]).index_add(0, owner, sides[0])
    none = np.full(len(texts), -1)
    queries, rows = none.copy(), none.copy()
    queries[own[kept_queries]], rows[own[kept_queries]] = asking[kept_queries], own[kept_queries]
    near = nearest(F.normalize(means, dim=1), NEIGHBOURS)
    return JointText(texts, queries, windows.first, rows, near, targets)


def _read(
    kept: TeacherCache,
    weight: float,
    said: Sequence[str],
    asked: Sequence[str],
    progress: ProgressCallback | None,
) -> Read:
    kept.add(asked, "query", progress=progress)
    kept.add(said, "document", progress=progress)
    texts = [kept.get(text, "document").dense for text in said]
    queries = [kept.get(text, "query").dense for text in asked]
    return Read(np.stack(texts), np.stack(queries), weight)  # type: ignore[arg-type]


def _sides(targets: JointTargets) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    return targets.text_sides, targets.query_sides


def save_joint(path: Path, text: JointText, settings: Mapping[str, Any]) -> None:
    """Keep it: 2 bytes a number.

    Args:
        settings: plain values that say what it was made of.
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
            asked=text.asked,
            near=text.near,
            text_targets=targets.texts,
            query_targets=targets.queries,
            text_sides=targets.text_sides,
            query_sides=targets.query_sides,
        )


def load_joint(path: Path, settings: Mapping[str, Any]) -> JointText:
    """What was kept.

    Raises:
        InputError: the file is damaged.
        CheckpointError: it was made of something else.
    """
    try:
        with np.load(path) as arrays:
            kept = {name: arrays[name] for name in arrays}
            made_of = str(kept.pop("settings"))
            targets = JointTargets(
                kept.pop("text_targets"),
                kept.pop("query_targets"),
                kept.pop("text_sides"),
                kept.pop("query_sides"),
            )
            text = JointText(**kept, targets=targets)
    except Exception as wrong:  # numpy and zipfile raise whatever the damage leads to
        raise InputError(f"{path} cannot be read ({wrong}): remove it to make it anew") from None
    check_settings(path, {"settings": made_of}, settings)
    return text
