"""Train the embedded model in several sizes, each on as many tokens as the others.

    python -m lab.recipes.model_sizes --teacher FOLDER --text 'text/*.jsonl' --out runs/sizes \\
        --shapes 7x256 6x384 10x384 --tokens 9000000

Teacher, text and settings are those of `embedded_model.py`; only layers and width differ. The
shapes take turns: all are trained to the first share of the tokens, then all to the next, so that
they can be compared whenever the run is stopped. At each share a model folder is written,
`OUT/SHAPE/TOKENS`, with `training.json`: the number of tokens seen, and whether the learning rate
had decayed, which happens only at the end. A stopped run resumes from its last checkpoint when it
is started again with the same arguments. `benchmarks/model_sizes.py` measures the models.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from lab.distillation.distill import distill, tokens_seen
from lab.distillation.distill_config import DistillConfig
from lab.distillation.teacher import Teacher
from lab.recipes.command import open_log, run_recipe
from lab.recipes.embedded_model import (
    HEAD_DIM,
    cached_corpus,
    new_student,
    query_token_weights,
    student_config,
    write_model,
)
from lab.text.corpus import TokenCorpus
from retrieval.encoders.model_folder import TOKENIZER_FILE
from retrieval.encoders.runtimes.torch import choose_device
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.files.whole import PART, move_whole
from retrieval.train.processes import check_alone

FACTS = "training.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and train every shape; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--text", action="append", default=[], help="a glob; may be repeated")
    parser.add_argument("--corpus-cache", type=Path, help="the text as token ids; OUT/corpus.npz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shapes", type=Shape.parse, nargs="+", required=True, metavar="LxH")
    parser.add_argument("--tokens", type=int, default=9_000_000, help="that each shape sees")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.25, 0.5, 1.0], help="where to keep a model"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")
    args = parser.parse_args(arguments)
    if args.tokens < 1 or not all(0 < share <= 1 for share in args.shares):
        parser.error("give --tokens of at least 1 and --shares above 0 and up to 1")
    torch.set_num_threads(args.threads)
    return run_recipe(lambda: train(args))


def train(args: argparse.Namespace) -> None:
    """Train every shape to every share."""
    check_alone("training several sizes")
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(args.teacher / TOKENIZER_FILE)
    cache = args.corpus_cache or args.out / "corpus.npz"
    corpus = cached_corpus(cache, args.text, tokenizer)
    teacher = Teacher(args.teacher, choose_device(args.device))
    run = Sizes(args.out, args.teacher, teacher, tokenizer, corpus)
    for share in sorted(args.shares):
        for shape in args.shapes:
            run.train(shape, DistillConfig(tokens=args.tokens), round(share * args.tokens))


@dataclass(frozen=True, slots=True)
class Shape:
    """The depth and width of a model."""

    layers: int
    hidden: int

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Parse a shape such as `6x384`."""
        layers, _, hidden = text.partition("x")
        shape = cls(int(layers), int(hidden))
        if shape.layers < 1 or shape.hidden < 1 or shape.hidden % HEAD_DIM:
            raise ValueError(f"{text}: expected layers x a multiple of {HEAD_DIM}")
        return shape

    def __str__(self) -> str:
        return f"{self.layers}x{self.hidden}"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What all shapes have in common."""

    out: Path
    folder: Path
    teacher: Teacher
    tokenizer: Tokenizer
    corpus: TokenCorpus

    def train(self, shape: Shape, settings: DistillConfig, until: int) -> None:
        """Train a shape to so many tokens, and write its model folder."""
        folder = self.out / str(shape)
        model, part, run = folder / f"{until}", folder / f"{until}{PART}", folder / "run"
        if (model / FACTS).exists():
            return
        print(f"{shape}: to {until:,} of {settings.tokens:,} tokens", flush=True)
        config = student_config(self.tokenizer, layers=shape.layers, hidden=shape.hidden)
        student = new_student(self.teacher, config).to(self.teacher.device)
        run.mkdir(parents=True, exist_ok=True)
        with open_log(folder / "log.jsonl") as log:
            distill(student, self.teacher, self.corpus, settings, run, log=log, until=until)
        student.query_token_weights = query_token_weights(self.corpus, self.tokenizer)
        shutil.rmtree(part, ignore_errors=True)
        write_model(part, student, self.folder, f"modernbert-{shape}")
        seen = tokens_seen(run)
        facts = {"tokens": seen, "decayed": seen >= settings.tokens}
        (part / FACTS).write_text(json.dumps(facts) + "\n")
        move_whole(part, model)
        print(f"{shape}: {seen:,} tokens, {model}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
