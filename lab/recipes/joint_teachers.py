"""Train a model further towards the joint geometry of several encoders.

    python -m lab.recipes.joint_teachers --start FOLDER --text 'text/*.jsonl' --out runs/joint \\
        --teacher MINILM 1 --teacher BGE 1 --export models/next

A teacher is any encoder of this package or of sentence-transformers, or a folder with the ONNX
graph of a BERT that is pooled by [CLS]. The first has as many dimensions as the model, and defines
its space. Teachers read each window of a text once; their vectors are kept in the output folder. An
interrupted run resumes when it is started again with the same arguments.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from lab.distillation.joint import JointConfig, train_jointly
from lab.distillation.joint_text import (
    JointText,
    load_joint_text,
    read_with_teachers,
    save_joint_text,
)
from lab.distillation.onnx_teacher import OnnxTeacher
from lab.recipes.command import open_log, run_recipe
from lab.recipes.embedded_model import cached_corpus
from lab.running.averaging import average
from lab.running.checkpoint import arrays_digest
from lab.text.corpus import TokenCorpus
from retrieval.encoders import load_encoder
from retrieval.encoders.model_folder import SECTION, TOKENIZER_FILE, read_config
from retrieval.encoders.runtimes.torch import choose_device
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import InputError
from retrieval.train.student import Student, export_like
from retrieval.train.teacher_cache import TeacherCache
from retrieval.types import Encoder, ProgressUpdate

DENSE_WINDOW = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and train; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", type=Path, required=True, help="the model folder to go on from")
    parser.add_argument("--text", action="append", required=True, help="a glob; may be repeated")
    parser.add_argument(
        "--teacher",
        nargs=2,
        action="append",
        required=True,
        metavar=("MODEL", "WEIGHT"),
        help="may be repeated; the first has the model's width",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--export", type=Path, help="write the model folder here")
    parser.add_argument(
        "--average", type=float, default=1.0, help="at the end: this share of the new weights"
    )
    defaults = JointConfig()
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--pairs", type=int, default=defaults.pairs, help="of a step")
    parser.add_argument("--alone", type=int, default=10_000, help="texts without a query, at most")
    parser.add_argument("--muon", type=float, default=defaults.muon, help="its peak rate")
    parser.add_argument("--adam", type=float, default=defaults.adam, help="its peak rate")
    parser.add_argument("--minutes", type=float, help="stop with a checkpoint after this long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu or cuda; CUDA where there is one")
    args = parser.parse_args(arguments)
    return run_recipe(lambda: train(args))


def train(args: argparse.Namespace) -> None:
    """Have the teachers read what they have not read yet, train, and export the model."""
    if args.steps < 1 or args.pairs < 2:
        raise InputError(f"--steps {args.steps} --pairs {args.pairs}, expected 1 and 2 or more")
    args.out.mkdir(parents=True, exist_ok=True)
    device = choose_device(args.device)
    student = Student.from_folder(args.start)
    tokenizer = load_tokenizer(args.start / TOKENIZER_FILE)
    corpus = cached_corpus(args.out / "corpus.npz", args.text, tokenizer)
    window = read_config(args.start)[SECTION].get("dense_window") or DENSE_WINDOW
    text = load_or_read_text(args, corpus, window, device)
    config = replace(
        JointConfig(),
        steps=args.steps,
        pairs=args.pairs,
        muon=args.muon,
        adam=args.adam,
        window=window,
        seed=args.seed,
    )
    deadline = time.monotonic() + args.minutes * 60 if args.minutes else None
    with open_log(args.out / "log.jsonl") as log:
        train_jointly(
            student.to(device), corpus, text, config, args.out, log=log, deadline=deadline
        )
    if args.export:
        average(student, Student.from_folder(args.start), args.average)
        export_like(args.export, student, args.start)


def load_or_read_text(
    args: argparse.Namespace, corpus: TokenCorpus, window: int, device: torch.device
) -> JointText:
    """The teachers' vectors of the corpus; encoded once, then read from the output folder."""
    path = args.out / "joint.npz"
    settings = {
        "teacher": [[str(Path(model)), parse_weight(weight)] for model, weight in args.teacher],
        "corpus": arrays_digest(corpus.ids, corpus.offsets, corpus.pairs),
        "window": window,
        "alone": args.alone,
        "seed": args.seed,
    }
    if not path.exists():
        teachers = [
            (TeacherCache(load_teacher(model, device), args.out / "vectors"), parse_weight(weight))
            for model, weight in args.teacher
        ]
        text = read_with_teachers(
            corpus,
            load_tokenizer(args.start / TOKENIZER_FILE),
            teachers,
            window=window,
            alone=args.alone,
            device=device,
            seed=args.seed,
            progress=print_progress,
        )
        save_joint_text(path, text, settings)
    text = load_joint_text(path, settings)
    pairs = int((text.queries >= 0).sum())
    print(f"{pairs:,} of {len(corpus.pairs):,} queries are found again by the teachers")
    return text


def load_teacher(model: str, device: torch.device) -> Encoder:
    """The teacher in a folder, or of a Hub id."""
    folder = Path(model)
    if (folder / "model.onnx").exists() and not (folder / "model.safetensors").exists():
        return OnnxTeacher(folder)
    return load_encoder(model, device=str(device))


def parse_weight(text: str) -> float:
    """A number above 0."""
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise InputError(f"--teacher ... {text}, expected a weight above 0")
    return weight


def print_progress(update: ProgressUpdate) -> None:
    """Print how many texts are done."""
    print(f"{update.stage}: {update.done:,} of {update.total or 0:,} {update.unit}", flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
