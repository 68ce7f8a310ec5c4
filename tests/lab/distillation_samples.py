"""Tiny teachers, texts and a student for the tests of distillation, the same in every process."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from lab.distillation.distill import distill
from lab.distillation.distill_config import DistillConfig
from lab.distillation.teacher import Targets, Teacher
from lab.distillation.teachers import WeightedTeacher
from lab.running.distributed import Ranks, join_ranks
from lab.text.corpus import Record, TokenCorpus, tokenise
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.train.student import Student
from tests.index.fake_encoder import FakeEncoder
from tests.train.made_up import ASKED, FILLERS, TOLD, tokenizer

WIDTH, WIDER = 32, 48
CONFIG = DistillConfig(
    tokens=13_000, batch_tokens=300, pairs=4, pairs_from=0.2, long_every=4, checkpoint_seconds=0.0
)


class CountingTeacher(Teacher):
    """Knows how many texts it has encoded."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.encoded = 0

    def __call__(self, texts: Sequence[NDArray[Any]], *, states: bool = False) -> Targets:
        """As every teacher."""
        self.encoded += len(texts)
        return super().__call__(texts, states=states)


def write_teacher(
    folder: Path,
    *,
    width: int = WIDTH,
    seed: int = 0,
    layers: int = 2,
    vocabulary: int | None = None,
) -> Path:
    """A BERT with random weights and the made-up language's tokenizer and vocabulary, if any."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    own = tokenizer()
    shape = BertConfig(
        vocab_size=vocabulary or own.get_vocab_size(),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.2,
    )
    BertModel(shape).save_pretrained(folder)
    own.save(str(folder / "tokenizer.json"))
    return folder


def student(*, hidden: int = WIDTH) -> Student:
    """Untrained, of the same layers and width as the first teacher."""
    config = ModernBertConfig(
        vocab_size=tokenizer().get_vocab_size(),
        hidden_size=hidden,
        intermediate_size=48,
        num_layers=2,
        num_heads=2,
        layer_kinds=("global", "local"),
    )
    made = Student(config, dense_dim=WIDTH, tokens=16)
    made.initialise(seed=0)
    return made


def corpus(texts: int = 60, *, keep_text: bool = True) -> TokenCorpus:
    """Texts of the made-up language, a query with each."""
    rng = np.random.default_rng(0)
    words = [*TOLD, *ASKED, *FILLERS]
    records = [
        Record(" ".join(rng.choice(words, rng.integers(5, 60))), "", " ".join(rng.choice(ASKED, 3)))
        for _ in range(texts)
    ]
    own: Tokenizer = tokenizer()
    return tokenise(records, own, max_tokens=40, keep_text=keep_text)


def weighted_teachers(folder: Path) -> list[WeightedTeacher]:
    """Three teachers: the one that comes first, a wider one, and one that reads text."""
    return [
        WeightedTeacher(CountingTeacher(folder / "first")),
        WeightedTeacher(CountingTeacher(folder / "wider"), 0.5),
        WeightedTeacher(FakeEncoder(24), 0.25, ("pooled",)),
    ]


@dataclass(frozen=True, slots=True)
class Together(Ranks):
    """Ranks that are threads of one process."""

    shelf: list[Tensor] = field(default_factory=list)
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    @classmethod
    def of(cls, count: int) -> list[Together]:
        """So many, to run in as many threads."""
        shelf, barrier = [torch.zeros(())] * count, threading.Barrier(count)
        return [cls(rank, count, shelf=shelf, barrier=barrier) for rank in range(count)]

    def sum(self, value: Tensor) -> Tensor:
        """As `Ranks.sum`."""
        self.shelf[self.rank] = value.clone()
        self.barrier.wait(60)
        value.copy_(torch.stack(self.shelf).sum(0))
        self.barrier.wait(60)
        return value

    def wait(self) -> None:
        """As `Ranks.wait`."""
        self.barrier.wait(60)


def run(
    made: Sequence[WeightedTeacher],
    folder: Path,
    own: Ranks | None = None,
    *,
    config: DistillConfig = CONFIG,
    on_step: Callable[[dict[str, Any]], object] = lambda figures: None,
    **given: Any,
) -> list[dict[str, Any]]:
    """The figures of a run, as `log` got them, without the rate at which it went."""
    log: list[dict[str, Any]] = []

    def note(figures: dict[str, Any]) -> None:
        log.append({key: value for key, value in figures.items() if key != "tokens_per_s"})
        on_step(log[-1])

    begun = student()
    first = made[0].teacher
    assert isinstance(first, Teacher)
    first.initialise(begun, attention=True)
    distill(begun, made, corpus(), config, folder, ranks=own, log=note, **given)
    return log


def main() -> None:
    """Run to the end with the teachers and in the folder that are named; tell each tenth step."""
    teachers, folder = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    with join_ranks("cpu") as own:
        run(
            weighted_teachers(teachers),
            folder,
            own,
            vectors=folder / "vectors",
            on_step=lambda figures: print(json.dumps(figures), flush=True),
        )


if __name__ == "__main__":
    main()
