"""What is learnt from each of several teachers: token vectors, pooled vectors, and their weight.

A `Teacher`, a BERT of the student's tokenizer, gives a vector for every position, and their mean.
Any other encoder with a dense head gives the vectors of whole texts, which it reads in its own
tokens. What a teacher made is kept in a folder, if there is one, by its fingerprint and the digest
of what it read: a second run encodes nothing that this one has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.errors import InputError
from retrieval.train.corpus import TokenCorpus
from retrieval.train.goals import Goal, KeptTeacher, TextReader, TokenReader
from retrieval.train.joined import Joined, join
from retrieval.train.teacher import Teacher, TokenTeacher
from retrieval.types import Encoder

Kind = Literal["tokens", "pooled"]

KINDS: tuple[Kind, ...] = ("tokens", "pooled")


@dataclass(frozen=True, slots=True)
class Lesson:
    """A teacher, what of it is learnt, and how much that counts.

    Attributes:
        teacher: a `Teacher`, or an encoder with a dense head, of which pooled vectors are learnt.
        weight: of its loss among the teachers'.
        targets: kinds of vectors.
        projected: whether the student is compared with it through a linear map, which is learnt
            with the student and then left out. None: where the widths differ, and where another
            teacher's vectors are already compared with the student's own.
    """

    teacher: Teacher | Encoder
    weight: float = 1.0
    targets: tuple[Kind, ...] = KINDS
    projected: bool | None = None

    @property
    def width(self) -> int:
        """Dimensions of the teacher's vectors."""
        if isinstance(self.teacher, Teacher):
            return self.teacher.width
        return self.teacher.dense_dim or 0


class Lessons:
    """All teachers over one corpus."""

    def __init__(
        self, lessons: Sequence[Lesson], corpus: TokenCorpus, *, kept: Path | None = None
    ) -> None:
        """Check that they can be learnt from.

        Args:
            lessons: the first one's teacher gives the token head its targets.
            kept: a folder for the teachers' vectors; None keeps none.

        Raises:
            InputError: a lesson cannot be learnt from this corpus, or beside the first one.
        """
        first = _check(lessons, corpus)
        self.lessons, self.corpus = lessons, corpus
        self._fingerprints = [_fingerprint(lesson.teacher) for lesson in lessons]
        self._readers: list[TokenReader | TextReader] = []
        for lesson, fingerprint in zip(lessons, self._fingerprints, strict=True):
            folder = None if kept is None else kept / fingerprint[:32]
            if isinstance(lesson.teacher, Teacher):
                teacher: Teacher | KeptTeacher = lesson.teacher
                if folder is not None:
                    teacher = KeptTeacher(lesson.teacher, folder)
                self._readers.append(
                    TokenReader(
                        teacher, corpus, "tokens" in lesson.targets, "pooled" in lesson.targets
                    )
                )
            else:
                self._readers.append(TextReader(lesson.teacher, corpus, first.device, folder))

    @property
    def first(self) -> TokenTeacher:
        """The first teacher, whose tokens the token head learns."""
        reader = self._readers[0]
        assert isinstance(reader, TokenReader)
        return reader.teacher

    def settings(self) -> list[dict[str, Any]]:
        """What a run must share to go on from another's state."""
        pairs = zip(self.lessons, self._fingerprints, strict=True)
        return [
            {
                "fingerprint": fingerprint,
                "weight": lesson.weight,
                "targets": sorted(lesson.targets),
                "projected": lesson.projected,
            }
            for lesson, fingerprint in pairs
        ]

    def projections(self, width: int) -> list[Tensor | None]:
        """A first f32 [D, width] for each teacher that needs a map from the student's vectors.

        Raises:
            InputError: a teacher of another width is not to be projected.
        """
        made: list[Tensor | None] = []
        direct = False
        for number, lesson in enumerate(self.lessons):
            differs = lesson.width != width
            projected = lesson.projected
            if projected is None:
                projected = differs or direct
            if differs and not projected:
                raise InputError(
                    f"{lesson.teacher.name} has {lesson.width} dimensions, the student {width}: "
                    "let it be projected"
                )
            direct = direct or not projected
            made.append(_orthogonal(lesson.width, width, number) if projected else None)
        return made

    def of_texts(self, texts: NDArray[np.int64], *, states: bool = False) -> list[Goal]:
        """What each teacher makes of texts of the corpus; `states` asks for the first's layers."""
        return [
            reader.of_texts(texts, states=states and number == 0)
            for number, reader in enumerate(self._readers)
        ]

    def of_long(
        self,
        runs: Sequence[NDArray[np.int64]],
        windows: Sequence[Sequence[NDArray[Any]]] | None = None,
    ) -> tuple[Joined, list[Goal]]:
        """Runs of texts as long ones, and what each teacher makes of them, window by window.

        Args:
            windows: what teachers of tokens read in the place of each text; None is the text. A
                teacher that reads text of its own reads it unchanged.
        """
        if windows is None:
            windows = [[self.corpus[int(text)] for text in run] for run in runs]
        joined = join(windows)
        return joined, [reader.of_long(joined, runs) for reader in self._readers]

    def commit(self) -> None:
        """Put on the disk what is to be kept."""
        for reader in self._readers:
            reader.commit()


def _check(lessons: Sequence[Lesson], corpus: TokenCorpus) -> Teacher:
    """The first teacher, if the lessons go together."""
    if not lessons or not isinstance(lessons[0].teacher, Teacher):
        raise InputError("the first teacher is no BERT of the student's tokenizer: begin with one")
    first = lessons[0].teacher
    if "tokens" not in lessons[0].targets:
        raise InputError(
            f"{first.name} comes first, so its token vectors are what the token head learns: "
            "let its targets have `tokens`"
        )
    for lesson in lessons:
        name = lesson.teacher.name
        if not lesson.targets or not set(lesson.targets) <= set(KINDS):
            raise InputError(f"{name}: targets {lesson.targets}, expected some of {KINDS}")
        if not (math.isfinite(lesson.weight) and lesson.weight > 0):
            raise InputError(f"{name}: a weight of {lesson.weight}, expected a number above 0")
        if isinstance(lesson.teacher, Teacher):
            _check_tokens(lesson, lesson.teacher, first)
        else:
            _check_text(lesson, lesson.teacher, corpus)
    return first


def _check_tokens(lesson: Lesson, teacher: Teacher, first: Teacher) -> None:
    if teacher is not first:
        own, known = teacher.tokenizer(), first.tokenizer()
        if own is None or own != known:
            raise InputError(
                f"{teacher.name} has not the tokenizer of {first.name}, so its tokens stand at "
                "other positions: learn its pooled vectors alone, through load_encoder"
            )
    if "pooled" in lesson.targets and not teacher.pools_by_mean():
        raise InputError(
            f"{teacher.name} does not pool by the mean over the tokens: learn its token vectors "
            "alone, and its pooled vectors through load_encoder"
        )


def _check_text(lesson: Lesson, encoder: Encoder, corpus: TokenCorpus) -> None:
    if "tokens" in lesson.targets:
        raise InputError(
            f"{encoder.name} reads tokens of its own: token vectors are learnt from a BERT with "
            "the student's tokenizer, from others the pooled ones alone (targets=('pooled',))"
        )
    if encoder.dense_dim is None:
        raise InputError(f"{encoder.name} has no dense head, so there are no pooled vectors")
    if not corpus.has_text:
        raise InputError(
            f"{encoder.name} reads text, and the corpus holds token ids alone: make it anew with "
            "its text (tokenise(..., keep_text=True))"
        )


def _fingerprint(teacher: Teacher | Encoder) -> str:
    return teacher.fingerprint() if isinstance(teacher, Teacher) else teacher.fingerprint


def _orthogonal(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.init.orthogonal_(torch.empty(rows, columns), generator=generator)
