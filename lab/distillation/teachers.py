"""What is learnt from each of several teachers: token vectors, pooled vectors, and their weight.

A `Teacher`, a BERT with the student's tokenizer, gives a vector for every position, and their mean.
Any other encoder with a dense head gives vectors of whole texts, which it tokenises itself. Vectors
are cached in a folder, if one is given, by the teacher's fingerprint and the digest of its input: a
second run encodes nothing again.
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

from lab.distillation.long_texts import LongTexts, join_windows
from lab.distillation.teacher import Teacher, TokenTeacher
from lab.distillation.teacher_outputs import CachedTeacher, TeacherOutput, TextReader, TokenReader
from lab.text.corpus import TokenCorpus
from retrieval.errors import InputError
from retrieval.types import Encoder

Kind = Literal["tokens", "pooled"]

KINDS: tuple[Kind, ...] = ("tokens", "pooled")


@dataclass(frozen=True, slots=True)
class WeightedTeacher:
    """A teacher, what of it is learnt, and its weight.

    Attributes:
        teacher: a `Teacher`, or an encoder with a dense head, of which pooled vectors are learnt.
        weight: of its loss among the teachers'.
        targets: kinds of vectors.
        projected: whether the student is compared with it through a linear map, which is trained
            with the student and then dropped. None means: where the widths differ, and where
            another teacher's vectors are already compared with the student's directly.
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


class TeacherEnsemble:
    """All teachers over one corpus."""

    def __init__(
        self, members: Sequence[WeightedTeacher], corpus: TokenCorpus, *, kept: Path | None = None
    ) -> None:
        """Check that the teachers can be learnt from.

        Args:
            members: the first one's teacher gives the token head its targets.
            corpus: what they read.
            kept: a folder that caches the teachers' vectors; None for none.

        Raises:
            InputError: a member cannot be learnt from with this corpus, or beside the first one.
        """
        first = _check(members, corpus)
        self.members, self.corpus = members, corpus
        self._fingerprints = [_fingerprint(member.teacher) for member in members]
        self._readers: list[TokenReader | TextReader] = []
        for member, fingerprint in zip(members, self._fingerprints, strict=True):
            folder = None if kept is None else kept / fingerprint[:32]
            if isinstance(member.teacher, Teacher):
                teacher: Teacher | CachedTeacher = member.teacher
                if folder is not None:
                    teacher = CachedTeacher(member.teacher, folder)
                self._readers.append(
                    TokenReader(
                        teacher, corpus, "tokens" in member.targets, "pooled" in member.targets
                    )
                )
            else:
                self._readers.append(TextReader(member.teacher, corpus, first.device, folder))

    @property
    def first(self) -> TokenTeacher:
        """The first teacher, whose tokens the token head learns."""
        reader = self._readers[0]
        assert isinstance(reader, TokenReader)
        return reader.teacher

    def settings(self) -> list[dict[str, Any]]:
        """What a run must share to resume from a checkpoint."""
        pairs = zip(self.members, self._fingerprints, strict=True)
        return [
            {
                "fingerprint": fingerprint,
                "weight": member.weight,
                "targets": sorted(member.targets),
                "projected": member.projected,
            }
            for member, fingerprint in pairs
        ]

    def projections(self, width: int) -> list[Tensor | None]:
        """An initial map f32 [D, width] for each teacher that needs one from the student's vectors.

        Raises:
            InputError: a teacher of another width must not be projected.
        """
        projections: list[Tensor | None] = []
        direct = False
        for number, member in enumerate(self.members):
            differs = member.width != width
            projected = member.projected
            if projected is None:
                projected = differs or direct
            if differs and not projected:
                raise InputError(
                    f"{member.teacher.name} has {member.width} dimensions, the student {width}: "
                    "let it be projected"
                )
            direct = direct or not projected
            projections.append(_orthogonal(member.width, width, number) if projected else None)
        return projections

    def of_texts(self, texts: NDArray[np.int64], *, states: bool = False) -> list[TeacherOutput]:
        """Each teacher's output for texts of the corpus; `states` adds the first one's layers."""
        return [
            reader.of_texts(texts, states=states and number == 0)
            for number, reader in enumerate(self._readers)
        ]

    def of_long(
        self,
        runs: Sequence[NDArray[np.int64]],
        windows: Sequence[Sequence[NDArray[Any]]] | None = None,
    ) -> tuple[LongTexts, list[TeacherOutput]]:
        """Long texts joined from runs of texts, and each teacher's output, window by window.

        Args:
            runs: i64, numbers of neighbouring texts.
            windows: what teachers of tokens read instead of each text; None for the text. A teacher
                with a tokenizer of its own reads the text unchanged.
        """
        if windows is None:
            windows = [[self.corpus[int(text)] for text in run] for run in runs]
        long_texts = join_windows(windows)
        return long_texts, [reader.of_long(long_texts, runs) for reader in self._readers]

    def commit(self) -> None:
        """Write cached vectors to disk."""
        for reader in self._readers:
            reader.commit()


def _check(members: Sequence[WeightedTeacher], corpus: TokenCorpus) -> Teacher:
    """The first teacher, if the members can be combined."""
    if not members or not isinstance(members[0].teacher, Teacher):
        raise InputError("the first teacher is no BERT of the student's tokenizer: begin with one")
    first = members[0].teacher
    if "tokens" not in members[0].targets:
        raise InputError(
            f"{first.name} comes first, so its token vectors are what the token head learns: "
            "let its targets have `tokens`"
        )
    for member in members:
        name = member.teacher.name
        if not member.targets or not set(member.targets) <= set(KINDS):
            raise InputError(f"{name}: targets {member.targets}, expected some of {KINDS}")
        if not (math.isfinite(member.weight) and member.weight > 0):
            raise InputError(f"{name}: a weight of {member.weight}, expected a number above 0")
        if isinstance(member.teacher, Teacher):
            _check_tokens(member, member.teacher, first)
        else:
            _check_text(member, member.teacher, corpus)
    return first


def _check_tokens(member: WeightedTeacher, teacher: Teacher, first: Teacher) -> None:
    if teacher is not first:
        tokenizer, first_tokenizer = teacher.tokenizer(), first.tokenizer()
        if tokenizer is None or tokenizer != first_tokenizer:
            raise InputError(
                f"{teacher.name} has not the tokenizer of {first.name}, so its tokens stand at "
                "other positions: learn its pooled vectors alone, through load_encoder"
            )
    if "pooled" in member.targets and not teacher.pools_by_mean():
        raise InputError(
            f"{teacher.name} does not pool by the mean over the tokens: learn its token vectors "
            "alone, and its pooled vectors through load_encoder"
        )


def _check_text(member: WeightedTeacher, encoder: Encoder, corpus: TokenCorpus) -> None:
    if "tokens" in member.targets:
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
